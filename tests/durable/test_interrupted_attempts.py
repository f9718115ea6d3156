"""Attempts at a shard may break off anywhere, several in a row. What they linked counts as linked by the run."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from linker.core.model import Counts, Mode
from linker.core.runs.activity_values import ShardOutcome
from tests.fakes.moments import DiedError, dies_after, dies_before
from tests.fakes.requests import Refusal
from tests.fakes.world import World, key_of

PEOPLE, BATCH = 7, 2
MOST_ATTEMPTS = 12
OWNED_S = 300.0  # longer than a dead attempt owns its shard
BUSY = Refusal(503, "0x0", "Service Unavailable")
RUNS = {
    "incremental": (Mode.INCREMENTAL, "", False),
    "full": (Mode.FULL, "e", False),
    "a new column": (Mode.FULL, "e", True),
}


async def prepared(mode: Mode, *, is_new: bool) -> World:
    """Seven contacts of a table without a proved link. Four of them were linked before, unless the column is new."""
    world = World()
    world.people(4)
    await world.prepare("run0")
    if not is_new:
        await world.link("run0")
    world.dataverse.bodies.clear()
    for number in (5, 6, 7):
        world.contact(number, f"c{number}")
    await world.prepare("run1", created=is_new)
    await world.deps.change_state("contact", lambda state: replace(state, proven=False))
    return world


def refuses_before(world: World, kind: str, *, after: int) -> None:
    """Let Dataverse be busy for one request of this kind, after so many."""
    left = [after]

    def hook(asked: object) -> None:
        if getattr(asked, "kind", "") == kind:
            left[0] -= 1
            if left[0] == -1:
                raise BUSY

    world.dataverse.hooks.append(hook)


async def attempts(world: World, mode: Mode, epoch: str, *, canary: bool) -> ShardOutcome:
    """Attempt until the shard is done; return the last outcome."""
    scan = await world.scan("run1")
    for _ in range(MOST_ATTEMPTS):
        try:
            outcome = await world.link("run1", scan=scan, mode=mode, epoch=epoch, canary=canary, batch=BATCH, width=1)
        except DiedError:
            world.clock.pass_s(OWNED_S)
            continue
        if not outcome.later_s:
            return outcome
        world.clock.pass_s(OWNED_S)
    raise AssertionError("the shard is never done")


ENDS = [
    *product(("dies before", "dies after", "busy"), ("update", "links"), (0, 1, 2))
]  # how, before what, after how many


@pytest.mark.parametrize(("mode", "epoch", "is_new"), RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("canary", [True, False], ids=["proves a link", "proved before"])
@pytest.mark.parametrize("first", ENDS, ids=lambda end: " ".join(map(str, end)))
async def test_what_interrupted_attempts_linked_is_right_and_counts_as_linked(
    mode: Mode, epoch: str, is_new: bool, canary: bool, first: tuple[str, str, int]
) -> None:
    for second in ENDS:
        world = await prepared(mode, is_new=is_new)
        for how, kind, after in (first, second):
            if how == "busy":
                refuses_before(world, kind, after=after)
            elif how == "dies before":
                dies_before(world, kind, after=after)
            else:
                dies_after(world, kind, times=1 + (after > 0))
        outcome = await attempts(world, mode, epoch, canary=canary)
        linked = PEOPLE if is_new else 3
        expected = Counts(rows_read=PEOPLE, linked=linked, unchanged=PEOPLE - linked)
        assert (outcome.failed, outcome.counts, outcome.drift) == ("", expected, 0), (first, second)
        assert world.is_right()
        assert set((await world.block()).entries) == set(map(key_of, range(1, PEOPLE + 1)))
