"""Promises that hold over several parts: what is sent, what is counted, what runs at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import linker
from linker.activities.writing import Writer, Written
from linker.dataverse.client import BYPASS
from linker.model import Counts, Status
from tests.fakes.app import FakeApp
from tests.fakes.dataverse import Request
from tests.fakes.world import World, contact_id, stalls_before

LINKER = Path(linker.__file__).parent


@pytest.mark.parametrize(
    "name", ["msdynci_LookupField_CustomerProfile", "msdynci_lookupfield_customerprofile", "new_X"]
)
def test_links_are_bound_by_the_name_that_metadata_gives(make_app: Callable[..., FakeApp], name: str) -> None:
    app = make_app()
    app.world.dataverse.navigation = name
    assert app.run().status is Status.SUCCESSFUL
    bound = [row for sent in app.world.dataverse.bodies for row in sent.body["Targets"] if f"{name}@odata.bind" in row]
    assert len(bound) == app.world.dataverse.written["bulk"] == 3
    assert app.world.is_right()


@pytest.mark.parametrize("bulk", [pytest.param(True, id="UpdateMultiple"), pytest.param(False, id="PATCH in a batch")])
def test_bypass_is_on_every_write_and_on_no_read(make_app: Callable[..., FakeApp], bulk: bool) -> None:
    app = make_app(unlink_max_share=0.5)
    world = app.world
    world.contacts.bulk = bulk
    world.deps = replace(world.deps, write_headers=BYPASS)
    served: list[Request] = []
    world.dataverse.hooks.append(served.append)
    app.run()
    world.dataverse.map(contact_id(1), None)
    assert app.run().counts.unlinked == 1
    writes = world.dataverse.bodies
    assert {asked.kind for asked in writes} >= {"update" if bulk else "patch", "clear"}
    wanted = {name.lower(): value for name, value in BYPASS.items()}
    assert [asked.kind for asked in writes if not wanted.items() <= asked.headers.items()] == []
    assert [asked.kind for asked in served if asked.method == "GET" and wanted.keys() & asked.headers.keys()] == []


async def test_a_page_that_loses_count_of_a_row_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of our own, put in on purpose: rows that were written and then forgotten."""

    async def forgets(*_: object) -> Written:
        return Written()

    monkeypatch.setattr(Writer, "write", forgets)
    world = World()
    world.people(2)
    outcome = await world.link()
    assert "read 2 rows and accounts for 0" in outcome.failed
    assert outcome.counts.outcomes == 0


async def test_rows_that_paging_gives_twice_because_others_came_in_are_counted_once() -> None:
    world = World()
    world.people(4)
    late = world.contact(9)
    world.dataverse.profile("c9")
    world.dataverse.page_size = 2

    def comes_in(asked: Request) -> None:
        if asked.kind == "mapping" and "$skiptoken" in asked.options and len(world.dataverse.mapping) == 4:
            world.dataverse.map(late, "c9")
            world.dataverse.mapping.insert(0, world.dataverse.mapping.pop())  # the server's order shifts by one

    world.dataverse.hooks.append(comes_in)
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=4, linked=4)
    assert world.dataverse.written["bulk"] == 4
    assert (await world.link("run2")).counts == Counts(rows_read=5, linked=1, unchanged=4)


async def test_pages_of_one_process_do_not_wait_for_each_other() -> None:
    world = World()
    world.people(2)
    await world.prepare(cuts=(contact_id(2),))
    gate = stalls_before(world, "update")
    stalled = asyncio.create_task(world.link(page=0, width=2))
    await gate.reached.wait()
    async with asyncio.timeout(5):  # else a page that waits would wait for ever
        assert (await world.link(page=1, width=2)).counts.linked == 1
    assert not stalled.done()
    gate.open.set()
    assert (await stalled).counts.linked == 1


def test_nothing_is_sent_to_storage_in_transactions_so_their_limits_cannot_be_met() -> None:
    """100 operations or 4 MiB at once: the local emulator takes more, the service does not (azure.md 8.1)."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in LINKER.rglob("*.py")}
    assert [name for name, text in sources.items() if "submit_transaction" in text] == []


def test_packages_on_which_replay_depends_are_pinned_exactly() -> None:
    lines = (LINKER.parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    exact = {line.partition("==")[0] for line in lines if "==" in line}
    assert exact >= {"azure-functions-durable", "durabletask"}


def test_orchestrators_know_nothing_of_the_platform_that_decorates_them() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in LINKER.rglob("*.py")}
    assert [name for name, text in sources.items() if "azure.durable_functions" in text] == []
