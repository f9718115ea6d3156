"""An operator's way through the pages of a running app, with the forms as a browser without JavaScript sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.fakes.browser import text_of

from .world import TABLES, World

FORM = re.compile(r'<form method="post" action="([^"]+)".*?</form>', re.DOTALL)
FIELD = re.compile(r'name="(\w+)" value="([^"]*)"')


@pytest.fixture
def operator(linked: World) -> Iterator[httpx.Client]:
    """A user who signed in at the host, which asks for no key."""
    with httpx.Client(base_url=linked.host.ready["url"], timeout=120) as client:
        assert client.post("/api/portal-session").status_code == 303
        yield client


def shown(client: httpx.Client, address: str) -> str:
    return client.get(address).raise_for_status().text


def send(client: httpx.Client, page: str, action: str) -> httpx.Response:
    """Send a form of a page as it stands there, the last one: before a run that clears links, its dry run is offered."""
    *_, form = (found for found in FORM.finditer(page) if unescape(found[1]) == action)
    fields: dict[str, list[str]] = {}
    for name, value in FIELD.findall(form[0].partition("<button")[0]):
        fields.setdefault(name, []).append(unescape(value))
    return client.post(action, data=fields)


def reviewed(client: httpx.Client, page: str) -> str:
    """Send the form that asks for a review, and return the page that it leads to."""
    reply = send(client, page, "/api/portal/actions/review")
    assert reply.status_code == 303, reply.text
    return shown(client, reply.headers["Location"])


def run_of(reply: httpx.Response) -> str:
    assert reply.status_code == 303, reply.text
    return parse_qs(urlsplit(reply.headers["Location"]).query)["run"][0]


def test_links_that_were_held_back_are_let_go_by_hand_table_by_table_and_nothing_else_is_written(
    linked: World, operator: httpx.Client
) -> None:
    done = linked.unify(drop=0.2)
    held = linked.publish(done["jobId"])
    before = {table: linked.versions(table) for table in TABLES}
    for table in TABLES:
        rows = next(one["heldBack"] for one in held["tables"] if one["table"] == table)
        page = shown(operator, f"/api/portal/tables/{table}/unlink")
        review = reviewed(operator, page)
        assert f"at most {rows} departed rows of {table} are cleared" in text_of(review)
        run = run_of(send(operator, review, "/api/portal/actions/run"))
        assert run_of(send(operator, review, "/api/portal/actions/run")) == run
        assert linked.ended(run)["counts"]["unlinked"] == rows
    for table in TABLES:
        links, truth, now = linked.links(table), linked.truth(table), linked.versions(table)
        assert {row: link for row, link in links.items() if link is not None} == truth
        assert {row for row in now if now[row] != before[table][row]} == links.keys() - truth.keys()
    assert "Waiting for a decision" not in shown(operator, "/api/portal/actions")
    asked = operator.get("/api/audit").raise_for_status().json()["value"]
    by_hand = [entry for entry in asked if entry["action"] == "post_run"]  # the webhook is written down as well
    assert [(entry["action"], entry["who"]) for entry in by_hand] == [("post_run", "holder of a function key")] * 4


def test_a_dry_run_is_looked_at_and_then_run_for_real(linked: World, operator: httpx.Client) -> None:
    moved = linked.unify(move=0.1)["moved"]
    actions = shown(operator, "/api/portal/actions")
    token = re.search(r'name="token" value="([^"]+)"', actions)
    assert token is not None
    fields = {"token": token[1], "mode": "incremental", "dry_run": "true"}
    asked = operator.post("/api/portal/actions/review", data=fields)
    assert asked.status_code == 303, asked.text
    review = shown(operator, asked.headers["Location"])
    dry = run_of(send(operator, review, "/api/portal/actions/run"))
    assert linked.ended(dry)["counts"]["linked"] == moved
    assert linked.counted("rowsWritten") == 0
    changes = shown(operator, f"/api/portal/runs/{dry}/changes")
    review = reviewed(operator, changes)
    real = linked.ended(run_of(send(operator, review, "/api/portal/actions/run")))
    assert (real["dryRun"], real["counts"]["linked"], linked.counted("rowsWritten")) == (False, moved, moved)
