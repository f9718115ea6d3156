"""A run continues the scan of a run that died: committed slices are not read again, and nothing that is gone is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage import Scan
from linker.core.linking.mapping_scan import ScanChoice, TableState
from linker.core.model import Counts, Source
from linker.core.runs.activity_values import ShardsTask, SliceTask
from linker.durable.activities import scan_mapping
from linker.durable.activities.scan_mapping import plan_shards, scan_slice
from linker.durable.staged import CONTINUE_S, Opening, open_scan
from tests.fakes.requests import Request
from tests.fakes.world import World, contact_id
from tests.model_checking.schedules import search_scan

PEOPLE, SLICE, NEWEST = 10, 4, 1_000.0


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten mapping rows, of which a slice reads four."""
    monkeypatch.setattr(scan_mapping, "SLICE_ROWS", SLICE)
    world = World()
    world.people(PEOPLE)
    world.dataverse.page_size = SLICE
    await world.prepare("dead")
    await world.prepare("next")
    return world


async def opened(world: World, run: str, since: float | None = None, **changes: Any) -> Scan:
    target = await world.deps.target(run, "contact")
    opening = Opening(run, target, ScanChoice(since, "for a test"), TableState(), NEWEST)
    return await open_scan(world.deps, world.deps.dataverse(), replace(opening, **changes))


async def read_slices(world: World, scan: Scan, most: int = 100) -> None:
    for _ in range(most):
        outcome = await scan_slice(world.deps, SliceTask(scan.run, "contact", scan.id, 0))
        assert outcome.failed == ""
        if outcome.done:
            return


async def linked(world: World, scan: Scan) -> Counts:
    """Link what a scan staged, whose streams are read."""
    await plan_shards(world.deps, ShardsTask(scan.run, "contact", scan.id))
    return (await world.link(scan.run, scan=scan)).counts


def rows_asked(world: World) -> list[str]:
    """Return the continuation of each mapping page that was asked for, empty for a first page."""
    pages: list[str] = []

    def remember(asked: Request) -> None:
        if asked.path == "msdynci_alternatekeys" and "$top" not in asked.options:
            pages.append(asked.options.get("$skiptoken", ""))

    world.dataverse.hooks.append(remember)
    return pages


async def test_committed_slices_are_not_read_again(world: World) -> None:
    first = await opened(world, "dead")
    await read_slices(world, first, most=1)
    pages = rows_asked(world)
    scan = await opened(world, "next")
    await read_slices(world, scan)
    assert pages == ["4", "8"]
    assert await linked(world, scan) == Counts(rows_read=PEOPLE, linked=PEOPLE)
    assert world.is_right()


async def test_a_scan_that_was_read_to_its_end_is_not_read_again(world: World) -> None:
    first = await opened(world, "dead")
    await read_slices(world, first)
    await plan_shards(world.deps, ShardsTask("dead", "contact", first.id))
    pages = rows_asked(world)
    scan = await opened(world, "next")
    await read_slices(world, scan)
    assert pages == []
    assert await linked(world, scan) == Counts(rows_read=PEOPLE, linked=PEOPLE)


async def test_a_second_death_is_continued_too(world: World) -> None:
    for run in ("dead", "next", "dead"):
        await read_slices(world, await opened(world, run), most=1)
    scan = await opened(world, "next")
    assert await linked(world, scan) == Counts(rows_read=PEOPLE, linked=PEOPLE)


async def test_the_dead_run_can_do_nothing_more_about_its_scan(world: World) -> None:
    first = await opened(world, "dead")
    await read_slices(world, first, most=1)
    scan = await opened(world, "next")
    late = await scan_slice(world.deps, SliceTask("dead", "contact", first.id, 0))
    assert "A later run scans table 'contact'" in late.failed
    await world.deps.staging.end("contact", first)
    await read_slices(world, scan)
    assert await linked(world, scan) == Counts(rows_read=PEOPLE, linked=PEOPLE)


async def test_a_slice_of_the_dead_run_that_commits_late_counts_once(world: World) -> None:
    first = await opened(world, "dead")
    taken: list[Scan] = []

    async def take_over(asked: Request) -> None:
        if asked.path == "msdynci_alternatekeys" and not taken:
            taken.append(first)  # before the next line, which sends no request but would come here again
            taken.append(await opened(world, "next"))

    world.dataverse.after.append(take_over)
    await scan_slice(world.deps, SliceTask("dead", "contact", first.id, 0))
    await read_slices(world, taken[1])
    assert await linked(world, taken[1]) == Counts(rows_read=PEOPLE, linked=PEOPLE)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"newest": NEWEST + 1}, id="the mapping changed since"),
        pytest.param({"newest": NEWEST - 1}, id="the environment was restored"),
        pytest.param({"newest": 0.0}, id="the mapping does not say when it changed"),
        pytest.param({"since": 500.0}, id="changed rows instead of all"),
        pytest.param({"sources": (Source("crm", "contact"), Source("erp", "contact"))}, id="other sources"),
        pytest.param({"names_profile": True}, id="other columns"),
        pytest.param({"later_s": CONTINUE_S}, id="it is too old"),
        pytest.param({"salt": True}, id="another secret"),
    ],
)
async def test_another_scan_reads_from_the_start(world: World, changes: dict[str, Any]) -> None:
    first = await opened(world, "dead")
    await read_slices(world, first, most=1)
    world.clock.pass_s(changes.pop("later_s", 0.0))
    if changes.pop("salt", False):
        world.deps.cache.salt = b"another"
    facts = {name: changes.pop(name) for name in ("sources", "names_profile") if name in changes}
    target = replace(await world.deps.target("next", "contact"), **facts)
    scan = await opened(world, "next", **changes, target=target)
    assert (scan.origin, scan.began) == ("", world.clock())
    assert all(not stream.slices for stream in await world.deps.staging.streams("contact", scan))


async def test_a_table_that_ended_leaves_nothing_to_continue(world: World) -> None:
    """Also where it failed: what its scan staged is removed then."""
    first = await opened(world, "dead")
    await read_slices(world, first)
    await world.deps.staging.end("contact", first)
    scan = await opened(world, "next")
    await read_slices(world, scan)
    assert (scan.origin, await linked(world, scan)) == ("", Counts(rows_read=PEOPLE, linked=PEOPLE))


async def test_a_run_that_dies_while_it_replaces_a_scan_leaves_nothing_to_continue(world: World) -> None:
    first = await opened(world, "dead")
    await read_slices(world, first, most=1)
    died: list[str] = []

    def die(operation: str, _: str, row: str) -> None:
        if operation == "replace" and row.startswith("stream-") and not died:
            died.append(row)
            raise RuntimeError

    world.store.hooks.append(die)
    with pytest.raises(RuntimeError):
        await opened(world, "next", newest=NEWEST + 1)
    scan = await opened(world, "next")
    await read_slices(world, scan)
    assert await linked(world, scan) == Counts(rows_read=PEOPLE, linked=PEOPLE)


async def test_a_continued_scan_counts_from_its_beginning(world: World) -> None:
    """The schedule that breaks the model otherwise: an old answer was read shortly after a change."""
    assert "one continues the scan" in search_scan("began")[0]
    first = await opened(world, "dead")
    await read_slices(world, first, most=1)
    world.clock.pass_s(900)
    scan = await opened(world, "next")
    assert (scan.began, scan.watermark) == (first.began, NEWEST)


async def test_rows_that_are_open_now_are_looked_up_by_the_run_that_continues(world: World) -> None:
    await opened(world, "dead", since=500.0)
    scan = await opened(world, "next", since=500.0, revisit=[contact_id(1).replace("-", "")])
    assert (scan.origin != "", scan.revisit) == (True, (contact_id(1).replace("-", ""),))
