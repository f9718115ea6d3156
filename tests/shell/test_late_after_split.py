"""Attempts that come late, after their page was split by somebody else (design decisions 7 and 10)."""

import asyncio

import pytest
from linker.activities.page import link_page
from linker.activities.planning import split_pages
from linker.pages import PAGE_ROWS

from linker.activities.values import PageTask, SplitTask
from linker.deps import Deps
from linker.errors import TransientError
from linker.model import Counts, Mode
from tests.fakes.world import ATTEMPT_S, VERSION, World, contact_id, stalls_before

ROWS = PAGE_ROWS + 100  # one page that a split makes two of


@pytest.fixture
async def world() -> World:
    """A page that was linked by run0; the mapping now wants another customer for its first row."""
    world = World()
    world.people(ROWS)
    assert (await world.link("run0")).counts.linked == ROWS
    world.dataverse.map(contact_id(1), "c2")
    world.dataverse.written.clear()
    return world


async def split(deps: Deps) -> str:
    """Split the page; return the version of the new plan."""
    answer = await split_pages(deps, SplitTask("run0", "contact", VERSION, (0,)))
    assert answer.shares == ((0, 2),)
    return answer.version


async def link_all(world: World, run: str, version: str) -> Counts:
    """Link both pages of the new plan on another host."""
    await world.prepare(run)
    tasks = [PageTask(run, "contact", version, page, Mode.INCREMENTAL, "", 1_000) for page in range(2)]
    outcomes = [await link_page(world.host(), task) for task in tasks]
    return sum((outcome.counts for outcome in outcomes), Counts())


async def test_a_page_that_another_host_split_since_is_not_written_by_a_host_that_still_knows_it(world: World) -> None:
    await split(world.host())
    outcome = await world.link("run0")
    assert "not part of the current plan" in outcome.failed
    assert not world.dataverse.written


async def test_a_write_that_comes_after_a_split_unconfirms_its_rows_in_the_new_blocks(world: World) -> None:
    gate = stalls_before(world, "update")
    late = asyncio.create_task(world.link("run0"))
    await gate.reached.wait()
    world.clock.pass_s(ATTEMPT_S + 1)
    version = await split(world.host())
    world.dataverse.map(contact_id(1), "c3")
    assert (await link_all(world, "run1", version)).linked == 1
    gate.open.set()
    assert (await late).later_s > 0
    assert world.links()[contact_id(1)] == "c2"  # the harm that cannot be prevented ...
    assert await link_all(world, "run2", version) == Counts(rows_read=ROWS, linked=1, unchanged=ROWS - 1)
    assert world.is_right()  # ... and is not hidden


async def test_a_late_write_is_marked_although_storage_fails_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linker.activities.late.WAIT_S", 0.0)
    gate = stalls_before(world, "update")
    late = asyncio.create_task(world.link("run0"))
    await gate.reached.wait()
    world.clock.pass_s(ATTEMPT_S + 1)
    world.dataverse.map(contact_id(1), "c3")
    assert (await world.link("run1", deps=world.host())).counts.linked == 1
    fails = [3]

    def busy(operation: str, _: str, __: str) -> None:
        if operation == "get" and fails[0] and world.dataverse.written["bulk"] == 2:
            fails[0] -= 1
            raise TransientError("Storage is busy.")

    world.store.hooks.append(busy)
    gate.open.set()
    await late
    assert fails == [0]
    assert (await world.link("run2")).counts.linked == 1
    assert world.is_right()
