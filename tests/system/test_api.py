"""The API on the host: what it reports of a real run, who may ask, and the command line on top of it."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from linker.entrypoints import api
from linker.entrypoints.api.openapi import document
from tests.fakes.principal import headers

from .conftest import MakeWorld
from .world import ROOT, SAMPLE, TABLES, World


@pytest.fixture
def client(shown: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{shown.host.ready['url']}/api", timeout=120) as made:
        yield made


def test_the_last_runs_show_the_first_link(client: httpx.Client) -> None:
    (first,) = client.get("/runs").raise_for_status().json()["value"]
    assert (first["status"], first["mode"], first["trigger"]) == ("Successful", "full", "webhook")
    assert (first["counts"]["linked"], first["change"]) == (90, None)
    assert first["seconds"] >= 0


def test_a_linked_row_shows_the_link_that_dataverse_has(shown: World, client: httpx.Client) -> None:
    row, profile = next(iter(shown.truth("lead").items()))
    found = client.get(f"/rows/lead/{row}").raise_for_status().json()
    assert (found["confirmed"], found["run"]) == (True, shown.app.status()["run"]["id"])
    assert (found["now"]["profile"], found["now"]["asConfirmed"]) == (profile, True)


def test_the_document_that_is_served_is_the_one_that_is_tested(shown: World, client: httpx.Client) -> None:
    served = client.get("/openapi.json").raise_for_status().json()
    assert served == document(api.OPERATIONS, shown.host.ready["url"])


def test_rows_that_were_deferred_are_reported_over_the_runs_in_every_format(fresh: World) -> None:
    fresh.unify(delete_profiles=0.1)
    waiting = fresh.publish()
    after = fresh.ended(waiting["followUp"])
    assert (after["counts"]["deferred"], after["trigger"]) == (waiting["counts"]["deferred"], "follow-up")
    errors = f"{fresh.host.ready['url']}/api/runs/{after['id']}/errors"
    told = httpx.get(errors, timeout=120).raise_for_status().json()["value"]
    table = httpx.get(errors, headers={"Accept": "text/csv"}, timeout=120).raise_for_status()
    assert len(told) == after["counts"]["deferred"] > 0
    assert {(row["code"], row["outcome"], row["attempts"]) for row in told} == {("ProfileMissing", "deferred", 2)}
    assert all(waiting["requestedAt"] <= row["firstSeen"] <= waiting["endedAt"] for row in told)
    assert table.headers["Content-Type"].startswith("text/csv")
    assert [row["row"] for row in csv.DictReader(io.StringIO(table.text))] == [row["row"] for row in told]


def test_where_people_sign_in_their_app_roles_decide_and_the_audit_knows_them(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE), WEBSITE_AUTH_ENABLED="True")
    with httpx.Client(base_url=f"{world.host.ready['url']}/api", timeout=120) as client:
        viewer, operator, admin = (headers(("roles", role)) for role in ("viewer", "operator", "admin"))
        assert client.get("/status").status_code == 401
        assert client.get("/status", headers=viewer).status_code == 200
        assert client.post("/runs", headers=viewer, json={"dryRun": True}).status_code == 403
        run = client.post("/runs", headers=operator, json={"dryRun": True}).raise_for_status().json()
        assert client.get("/audit", headers=operator).status_code == 403
        (entry,) = client.get("/audit", headers=admin).raise_for_status().json()["value"]
        assert client.get("/health").status_code == 200
    assert (entry["who"], entry["action"], entry["run"]) == ("ada@contoso.com", "post_run", run["id"])
    assert entry["asked"] == {"mode": "incremental", "dryRun": True, "tables": [], "allowUnlinking": []}


# ---- the command line ----


def command(world: World, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `linker run --yes` against the host of a world."""
    environment = os.environ | {"LINKER_APP_URL": world.host.ready["url"], "COLUMNS": "120"}
    line = [sys.executable, "-m", "linker", "run", "--yes", *options]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_the_command_line_waits_for_the_end_and_shows_it(shown: World) -> None:
    done = command(shown, "--mode", "verify", "--tables", "lead", "--dry-run", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dry run: nothing is written" in done.stdout
    assert "lead" in done.stdout
    assert "contact" not in done.stdout


def test_a_run_that_links_nothing_ends_the_command_with_another_exit_code(fresh: World) -> None:
    fresh.sandbox.admin("POST", "environment", {"isB2B": True, "isB2C": False})
    done = command(fresh, "--wait")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Skipped" in done.stdout
    assert "Backstamping job skipped" in done.stdout


def test_what_the_app_refuses_is_one_sentence_and_exit_code_2(shown: World) -> None:
    done = command(shown, "--tables", "no table")
    assert (done.returncode, done.stdout) == (2, "")
    assert "tables" in done.stderr
    assert "Nothing was started." in done.stderr


def test_the_command_line_lets_held_back_links_go_for_as_many_rows_as_it_names(linked: World) -> None:
    linked.unify(drop=0.3)
    held = {table["table"]: table["heldBack"] for table in linked.publish()["tables"]}
    allowed = [part for table, rows in held.items() for part in ("--allow-unlinking", f"{table}={rows}")]
    one_less = ["--allow-unlinking", f"contact={held['contact'] - 1}"]
    assert command(linked, "--wait", *one_less).returncode == 3
    done = command(linked, "--wait", *allowed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {table: linked.links(table) for table in TABLES} == {
        table: dict.fromkeys(linked.links(table)) | linked.truth(table) for table in TABLES
    }
    assert command(linked, "--allow-unlinking", "contact").returncode == 2
