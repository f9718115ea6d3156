"""A run that lost its lock touches nothing of its successor: each note is its run's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from linker.core.model import RunRequest, Status, TableRun, Touches
from linker.core.runs.activity_values import TableEnd, Totals
from linker.core.runs.generation_values import TouchReport
from linker.durable.activities import run_lifecycle
from linker.durable.activities.touch_profiles import report_touch
from linker.services import housekeeping, run_requests
from tests.fakes.client import Starter
from tests.fakes.world import World, contact_id, key_of

PROFILES = [contact_id(number) for number in range(5)]


class Sleepy:
    """A world in which a run fell asleep, and its successor holds the lock."""

    def __init__(self) -> None:
        self.world, self.start = World(), Starter()
        self.asleep = self.successor = ""

    async def begin(self) -> None:
        deps = self.world.deps
        self.asleep = (await run_requests.request_run(deps, RunRequest(), self.start)).id
        await run_lifecycle.begin_run(deps, self.start.started[-1])
        await self._shown(self.asleep)

    async def lose(self) -> None:
        self.world.clock.pass_s(self.world.settings.lease_seconds)
        self.successor = await housekeeping.watch_runs(self.world.deps, self.start)
        await run_lifecycle.begin_run(self.world.deps, self.start.started[-1])
        await self._shown(self.successor)

    async def _shown(self, run: str) -> None:
        table = TableRun("contact", "crm", Status.REFRESHING)
        await self.world.deps.runs.advance(run, lambda old: replace(old, status=Status.REFRESHING, tables=(table,)))


@pytest.fixture
async def sleepy() -> Sleepy:
    made = Sleepy()
    await made.begin()
    return made


def over(run: str) -> TouchReport:
    return TouchReport(run, Touches(5, 5), over=True)


def ended(run: str) -> TableEnd:
    return TableEnd(run, "contact", Totals())


async def removed(world: World, run: str) -> dict[str, Any]:
    return {shard: keys async for shard, keys in world.deps.removed.after("contact", run, "")}


async def test_profiles_that_the_successor_noted_wait_for_the_successor(sleepy: Sleepy) -> None:
    deps = sleepy.world.deps
    await deps.waiting.note(sleepy.asleep, "s0", PROFILES[:2], dry_run=False)
    await sleepy.lose()
    await deps.waiting.note(sleepy.successor, "s0", PROFILES, dry_run=False)
    assert not (await report_touch(deps, over(sleepy.asleep))).held
    assert await deps.waiting.part(sleepy.successor, 0, 1, dry_run=False) == sorted(PROFILES)


async def test_also_those_that_it_notes_while_the_other_one_forgets(sleepy: Sleepy) -> None:
    """The sleeper has looked at its lock and is about to delete; then its lock goes, and the successor notes."""
    deps = sleepy.world.deps
    await deps.waiting.note(sleepy.asleep, "s0", PROFILES[:2], dry_run=False)
    hooks = sleepy.world.store.hooks

    async def meanwhile(operation: str, partition: str, row: str) -> None:
        if operation == "delete" and "touches" in partition:
            hooks.clear()
            await sleepy.lose()
            await deps.waiting.note(sleepy.successor, "s0", PROFILES[3:], dry_run=False)

    hooks.append(meanwhile)
    await report_touch(deps, over(sleepy.asleep))
    assert await deps.waiting.part(sleepy.successor, 0, 1, dry_run=False) == sorted(PROFILES[3:])


async def test_a_run_that_holds_its_lock_forgets_all_that_waited(sleepy: Sleepy) -> None:
    deps = sleepy.world.deps
    await deps.waiting.note("20200101T000000Z-earlier", "s0", PROFILES[:2], dry_run=False)
    await deps.waiting.note(sleepy.asleep, "s0", PROFILES[2:], dry_run=False)
    assert (await report_touch(deps, over(sleepy.asleep))).held
    assert await deps.waiting.notes(dry_run=False) == []


async def test_removed_rows_that_the_successor_noted_are_its_own(sleepy: Sleepy) -> None:
    """The sleeper notes, reads and ends its table late, in any order."""
    deps = sleepy.world.deps
    await deps.removed.note("contact", "s0", sleepy.asleep, [key_of(1)])
    await sleepy.lose()
    await deps.removed.note("contact", "s0", sleepy.successor, [key_of(2), key_of(3)])
    await deps.removed.note("contact", "s0", sleepy.asleep, [key_of(4)])
    assert await removed(sleepy.world, sleepy.asleep) == {"s0": [key_of(4)]}
    await run_lifecycle.end_table(deps, ended(sleepy.asleep))
    assert await removed(sleepy.world, sleepy.successor) == {"s0": [key_of(2), key_of(3)]}


async def test_the_end_of_a_table_forgets_what_was_noted_of_it_by_whomever(sleepy: Sleepy) -> None:
    deps = sleepy.world.deps
    for run in ("20200101T000000Z-earlier", sleepy.asleep):
        await deps.removed.note("contact", "s0", run, [key_of(1)])
    await run_lifecycle.end_table(deps, ended(sleepy.asleep))
    assert await deps.removed.notes("contact") == []


async def test_a_table_is_shown_as_ended_before_its_notes_go(sleepy: Sleepy) -> None:
    """A second start of the run that missed the rows that it is to unlink would show the table as failed."""
    deps, shown = sleepy.world.deps, list[Status]()
    await deps.removed.note("contact", "s0", sleepy.asleep, [key_of(1)])

    async def look(operation: str, partition: str, row: str) -> None:
        if operation == "delete" and row.startswith(sleepy.asleep):
            run = await deps.runs.load(sleepy.asleep)
            assert run is not None
            shown.append(run.tables[0].status)

    sleepy.world.store.hooks.append(look)
    await run_lifecycle.end_table(deps, ended(sleepy.asleep))
    assert shown == [Status.SUCCESSFUL]


async def test_a_touch_that_came_less_far_does_not_take_back_what_was_shown(sleepy: Sleepy) -> None:
    """A second start of the run finds fewer profiles, because the first one has touched and forgotten them."""
    deps = sleepy.world.deps
    for touches in (Touches(5, 4, 1), Touches(2, 2)):
        await report_touch(deps, replace(over(sleepy.asleep), touches=touches))
    run = await deps.runs.load(sleepy.asleep)
    assert run is not None
    assert run.touches == Touches(5, 4, 1)


async def test_a_table_that_is_a_successors_is_not_ended_by_the_run_before(sleepy: Sleepy) -> None:
    deps = sleepy.world.deps
    await sleepy.lose()
    before = dict(sleepy.world.store.entities)
    await run_lifecycle.end_table(deps, ended(sleepy.asleep))
    assert sleepy.world.store.entities == before


async def test_the_pages_of_one_run_come_in_order_and_from_any_one_on(sleepy: Sleepy) -> None:
    deps = sleepy.world.deps
    for number in (3, 1, 2):
        await deps.removed.note("contact", f"s04-{number:02}", sleepy.asleep, [key_of(number)])
    found = [name async for name, _ in deps.removed.after("contact", sleepy.asleep, "s04-01")]
    assert found == ["s04-02", "s04-03"]
