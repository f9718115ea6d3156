"""Promises that hold over several parts: what is sent, what is counted, what runs at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linker
from linker.adapters.dataverse.web_api import BYPASS
from linker.adapters.storage.table_guards import batches, entity_bytes
from linker.core.linking.shards import shard_of
from linker.core.model import Counts, Status
from linker.durable.writes import Writer, Written
from tests.fakes.app import FakeApp
from tests.fakes.moments import stalls_before
from tests.fakes.requests import Request
from tests.fakes.world import World, contact_id, key_of

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


async def test_shards_of_one_process_do_not_wait_for_each_other() -> None:
    world = World()
    world.people(20)
    await world.prepare(bits=1)
    scan = await world.scan()
    rows = Counter(shard_of(key_of(number), 1).number for number in range(1, 21))
    gate = stalls_before(world, "update")
    stalled = asyncio.create_task(world.link(scan=scan, number=0, width=2))
    await gate.reached.wait()
    async with asyncio.timeout(60):  # else a shard that waits would wait for ever
        assert (await world.link(scan=scan, number=1, width=2)).counts.linked == rows[1] > 0
    assert not stalled.done()
    gate.open.set()
    assert (await stalled).counts.linked == rows[0] > 0


@given(st.lists(st.integers(0, 900_000), max_size=240))
@settings(max_examples=60, deadline=None)
def test_transactions_of_storage_stay_below_their_limits_and_keep_each_entity(sizes: list[int]) -> None:
    """100 operations or 4 MiB at once, base64 included: the local emulator takes more, the service does not."""
    entities = [(f"r{number}", {"b": bytes(size)}) for number, size in enumerate(sizes)]
    groups = list(batches("p", entities))
    assert [entity for group in groups for entity in group] == entities
    assert all(len(group) <= 100 for group in groups)
    assert all(sum(len(p["b"]) * 4 / 3 + 500 for _, p in group) < 4 * 1024 * 1024 for group in groups)
    assert all(len(one) + len(other) > 100 or bytes_of(one + other) > 2_800_000 for one, other in pairwise(groups))


def bytes_of(group: list[tuple[str, dict[str, bytes]]]) -> int:
    return sum(entity_bytes("p", row, properties) for row, properties in group)


def test_one_module_alone_sends_transactions_to_storage() -> None:
    sources = {path.relative_to(LINKER): path.read_text(encoding="utf-8") for path in LINKER.rglob("*.py")}
    assert [str(name) for name, text in sources.items() if "submit_transaction" in text] == [
        "adapters/storage/table_client.py"
    ]


def test_packages_on_which_replay_depends_are_pinned_exactly() -> None:
    lines = (LINKER.parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    exact = {line.partition("==")[0] for line in lines if "==" in line}
    assert exact >= {"azure-functions-durable", "durabletask"}


def test_orchestrators_know_nothing_of_the_platform_that_decorates_them() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in LINKER.rglob("*.py")}
    assert [name for name, text in sources.items() if "azure.durable_functions" in text] == []
