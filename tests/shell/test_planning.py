"""Where pages are cut, and what a split moves: entries, unconfirmed bits and epoch, whatever moment it is interrupted at."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from linker.activities.page import link_page
from linker.activities.planning import Counter, new_plan, prove_key_ranges, prove_ranges, split_pages
from linker.activities.prepare import mark_vanished
from linker.activities.values import PageTask, SplitTask
from linker.blocks import confirmed
from linker.core.keys import key_text
from linker.errors import ConfigurationError
from linker.model import Counts, KeyRange, Mode
from linker.pages import COUNT_CAP, PAGE_ROWS, SPLIT_ROWS, Plan, cuts_from_counts
from tests.fakes.dataverse import Request
from tests.fakes.world import FIRST_PAGE, DiedError, World, contact_id, key_of

MANY = SPLIT_ROWS + 100
KNOWN = PAGE_ROWS + 500  # one page that a split makes two of


@pytest.fixture
def world() -> World:
    return World()


async def _split(world: World, run: str = "run1") -> int:
    found = await world.deps.plans.load("contact")
    assert found is not None
    split = await split_pages(world.deps, SplitTask(run, "contact", found[0].plan.version, (0,)))
    return split.shares[0][1] - split.shares[0][0]


async def _link_all(world: World, run: str = "run1") -> Counts:
    """Link every page of the current plan."""
    found = await world.deps.plans.load("contact")
    assert found is not None
    plan = found[0].plan
    outcomes = [
        await link_page(world.deps, PageTask(run, "contact", plan.version, page, Mode.INCREMENTAL, "", 1_000))
        for page in range(plan.pages)
    ]
    assert not [outcome for outcome in outcomes if outcome.split or outcome.failed or outcome.later_s]
    return sum((outcome.counts for outcome in outcomes), Counts())


async def test_a_table_whose_keys_all_start_alike_is_still_cut_into_pages_of_two_requests_at_most(world: World) -> None:
    world.people(MANY)
    await world.prepare()
    plan = await new_plan(world.deps.dataverse(), await world.deps.target("run1", "contact"), "v2")
    in_page = [0] * plan.pages
    for number in range(1, MANY + 1):
        in_page[plan.page_of(key_of(number))] += 1
    assert sum(in_page) == MANY
    assert max(in_page) <= SPLIT_ROWS
    assert plan.pages <= 2 * MANY / PAGE_ROWS + 1


class _Sorted(Counter):
    """Counts as an environment with these sorted keys would."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def held(self, keys: KeyRange) -> int:
        """Return the rows in a range, however many."""
        end = len(self._keys) if keys.upper is None else bisect_left(self._keys, keys.upper)
        return end - bisect_left(self._keys, keys.lower or "")

    async def rows(self, keys: KeyRange) -> int:
        return min(COUNT_CAP, self.held(keys))


@pytest.mark.parametrize("seed", [1, 20_261])
async def test_a_million_rows_of_which_nine_tenths_share_eight_digits_make_pages_of_one_request(seed: int) -> None:
    chance = random.Random(seed)
    crowd = f"{chance.getrandbits(32):08x}"
    texts = (key_text(chance.randbytes(16)) for _ in range(1_000_000))
    keys = sorted(crowd + text[8:] if number % 10 else text for number, text in enumerate(texts))
    counter = _Sorted(keys)
    plan = Plan("v1", cuts_from_counts(await counter.leaves(KeyRange())))
    in_page = [counter.held(plan.range(page)) for page in range(plan.pages)]
    assert sum(in_page) == len(keys)
    assert max(in_page) < COUNT_CAP
    crowded = sum(
        keys.lower is not None and keys.lower.startswith(crowd) for keys in map(plan.range, range(plan.pages))
    )
    assert 900_000 // PAGE_ROWS <= crowded <= 1.2 * 900_000 / PAGE_ROWS


class _NoRanges(Counter):
    """Counts as an environment would that takes a range filter and ignores it."""

    async def rows(self, keys: KeyRange) -> int:
        return await super().rows(KeyRange())


async def test_an_environment_that_ignores_ranges_is_refused_before_a_row_is_read_by_them(world: World) -> None:
    world.people(40)
    await world.prepare()
    target = await world.deps.target("run1", "contact")
    counter = _NoRanges(world.deps.dataverse(), target)
    with pytest.raises(ConfigurationError, match="not honoured"):
        await prove_ranges(counter, target, await counter.leaves(KeyRange()))


@pytest.mark.parametrize("ignored", ["(ge|lt)", "ge", "lt"])
@pytest.mark.parametrize("prove", [new_plan, prove_key_ranges])
async def test_a_large_table_is_refused_where_ranges_mean_nothing_before_dense_prefixes_are_searched(
    world: World, prove: Callable[..., Awaitable[object]], ignored: str
) -> None:
    """Every prefix has as many rows as a count tells, so the search would not end before the sun does."""
    for number in range(COUNT_CAP + 100):
        world.dataverse.add_mapping(key_text(number.to_bytes(4)[::-1] + bytes(12)), "c")
    filtered = world.dataverse._filtered

    def ignoring(rows: list[dict[str, object]], asked: Request) -> list[dict[str, object]]:
        text = re.sub(rf" and msdynci_identifier {ignored} '[^']*'", "", asked.options.get("$filter", ""))
        return filtered(rows, replace(asked, options={**asked.options, "$filter": text}))

    world.dataverse._filtered = ignoring  # type: ignore[method-assign]
    await world.prepare()
    target, arguments = await world.deps.target("run1", "contact"), () if prove is prove_key_ranges else ("v2",)
    with pytest.raises(ConfigurationError, match="not honoured"):
        await prove(world.deps.dataverse(), target, *arguments)
    assert world.dataverse.asked["count"] <= 3


async def test_a_page_that_outgrew_its_requests_asks_to_be_split_and_does_nothing_else(world: World) -> None:
    world.people(MANY)
    outcome = await world.link()
    assert outcome.split
    assert outcome.counts == Counts()
    assert not world.dataverse.asked["update"]


async def test_a_split_moves_what_is_known_so_that_no_link_is_written_twice(world: World) -> None:
    world.people(KNOWN)
    assert (await world.link()).counts.linked == KNOWN
    for number in range(KNOWN + 1, MANY + 1):
        world.contact(number, f"c{number}")
    assert (await world.link("run2")).split
    assert await _split(world, "run2") >= 3
    assert await _link_all(world, "run2") == Counts(rows_read=MANY, linked=MANY - KNOWN, unchanged=KNOWN)
    assert (await world.block()).entries == {}, "the block of the page that was split is gone"
    assert world.is_right()


async def test_a_split_keeps_unconfirmed_bits(world: World) -> None:
    world.people(KNOWN)
    await world.link()
    world.dataverse.link_by_hand(contact_id(17), None)
    found = await world.deps.plans.load("contact")
    assert found is not None
    target = await world.deps.target("run1", "contact")
    assert await mark_vanished(world.deps, world.deps.dataverse(), target, found[0].plan) == 1
    await _split(world)
    assert (await _link_all(world)).linked == 1
    assert world.is_right()


@pytest.mark.parametrize("step", ["first block", "plan", "old block"])
async def test_a_split_that_dies_leaves_a_plan_with_its_blocks(world: World, step: str) -> None:
    """Before the plan is swapped the old page counts, after it the new ones; either way no link is written again."""
    world.people(KNOWN)
    await world.link()
    written = world.dataverse.asked["update"]
    world.store.hooks.append(_dies_at(step))
    with pytest.raises(DiedError):
        await _split(world)
    world.store.hooks.clear()
    world.deps = world.host()
    await world.prepare("run2")
    assert (await _link_all(world, "run2")).unchanged == KNOWN
    assert world.dataverse.asked["update"] == written


def _dies_at(step: str):
    def hook(operation: str, partition: str, row: str) -> None:
        at = {
            "first block": operation in ("insert", "replace") and "contact" in partition,
            "plan": operation == "replace" and row == "plan-contact",
            "old block": operation == "delete" and row == FIRST_PAGE,
        }
        if at[step]:
            raise DiedError

    return hook


async def test_a_damaged_block_yields_no_new_block_so_that_its_rows_are_compared(world: World) -> None:
    world.people(KNOWN)
    await world.link()
    entity = world.store.entities[world.block_entity()]
    world.store.entities[world.block_entity()] = type(entity)(
        entity.partition, entity.row, {**entity.properties, "digest": "0" * 32}, entity.etag
    )
    written = world.dataverse.asked["update"]
    await _split(world)
    assert (await _link_all(world)).unchanged == KNOWN
    assert world.dataverse.asked["update"] == written
    assert world.dataverse.asked["links"]


async def test_a_key_in_braces_is_linked_and_found_again_when_its_link_vanishes(world: World) -> None:
    """A brace sorts elsewhere than a digit, so the row is not read with the page where its canonical text stands."""
    key = world.contact(1)
    world.dataverse.map("{" + key.upper() + "}", "c1")
    world.dataverse.profile("c1")
    await world.prepare(cuts=("8",))
    found = await world.deps.plans.load("contact")
    assert found is not None
    plan = found[0].plan
    assert plan.page_of(key_of(1)) == 0
    assert (await world.link(page=1)).counts == Counts(rows_read=1, linked=1)
    world.dataverse.link_by_hand(key, None)
    target = await world.deps.target("run1", "contact")
    assert await mark_vanished(world.deps, world.deps.dataverse(), target, plan) == 1
    block = (await world.deps.blocks.load("contact", plan.name(1))).block
    assert not confirmed(block.entries[key_of(1)])
    assert (await world.link("run2", page=1)).counts.linked == 1


async def test_a_row_that_is_spelled_in_two_ways_is_decided_by_its_own_page_alone(world: World) -> None:
    """Else every full run would write one link and then the other."""
    key = world.contact(1, "c1")
    world.dataverse.map("{" + key.upper() + "}", "c2")
    world.dataverse.profile("c2")
    await world.prepare(cuts=("8",))
    for run in ("run1", "run2"):
        for mode in (Mode.FULL, Mode.VERIFY):
            epoch = f"{run}-{mode}"
            odd = await world.link(run, page=1, mode=mode, epoch=epoch)
            own = await world.link(run, page=0, mode=mode, epoch=epoch)
            assert (odd.counts, odd.conflicts, odd.departed) == (Counts(), 1, 0)
            assert own.counts.rows_read == 1
            assert world.links() == {key: "c1"}
