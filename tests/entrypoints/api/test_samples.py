"""What a dry run would change, by example: which rows, to whom, and only what really would happen."""

from collections.abc import Callable
from typing import Any

import pytest

from linker.adapters.storage.record_store import SAMPLE_ROWS
from linker.entrypoints import api
from tests.fakes.app import FakeApp
from tests.fakes.client import Client
from tests.fakes.world import contact_id

PEOPLE = 20


@pytest.fixture
def linked(make_app: Callable[..., FakeApp]) -> FakeApp:
    """An app with some people linked."""
    app = make_app()
    app.world.people(PEOPLE)
    app.run()
    return app


def samples(app: FakeApp, run: str) -> list[dict[str, Any]]:
    reply = app.do(Client(app.world).ask(api.get_samples, run=run))
    assert reply.status == 200
    return list(reply.body["value"])  # type: ignore[index]


def link(number: int, customer: str) -> dict[str, Any]:
    return {"table": "contact", "row": contact_id(number), "change": "link", "customer": customer}


def without_profile(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in change.items() if name != "profile"} for change in found]


def test_each_kind_of_change_is_shown_with_a_few_rows_and_the_profile_to_link(linked: FakeApp) -> None:
    for number in range(1, SAMPLE_ROWS + 3):
        linked.world.dataverse.map(contact_id(number), "c20")
    linked.world.dataverse.map(contact_id(PEOPLE), None)
    found = samples(linked, linked.run(dry_run=True).id)
    *links, unlink = found
    assert without_profile(links) == [link(number, "c20") for number in range(1, SAMPLE_ROWS + 1)]
    assert {linked.world.dataverse.profiles[change["profile"]] for change in links} == {"c20"}
    expected = {"table": "contact", "row": contact_id(PEOPLE), "change": "unlink", "customer": "", "profile": ""}
    assert unlink == expected


def test_rows_that_the_guard_holds_back_are_not_said_to_be_unlinked(linked: FakeApp) -> None:
    for number in range(1, PEOPLE):
        linked.world.dataverse.map(contact_id(number), None)
    run = linked.run(dry_run=True)
    assert run.counts.deferred == PEOPLE - 1
    assert samples(linked, run.id) == []


def test_a_row_without_its_profile_is_not_said_to_be_linked(linked: FakeApp) -> None:
    linked.world.dataverse.map(contact_id(1), "nobody yet")
    assert samples(linked, linked.run(dry_run=True).id) == []


def test_a_real_run_has_none(linked: FakeApp) -> None:
    linked.world.dataverse.map(contact_id(1), "c2")
    run = linked.run()
    assert run.counts.linked == 1
    assert samples(linked, run.id) == []
