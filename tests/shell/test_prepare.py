"""Making a table ready: its column, its pages, its mode, and the rows whose link vanished (decisions 6, 7, 11, 12)."""

from dataclasses import replace

import pytest
from linker.activities.planning import split_pages
from linker.pages import Plan

from linker.activities.prepare import prepare_table
from linker.activities.values import Prepared, SplitTask, TableTask
from linker.core.blocks import HashBlock, confirmed
from linker.errors import TransientError
from linker.model import Mode, Run, Status, TableRun, Target
from linker.state import StoredBlock, TablePlan
from tests.fakes.dataverse import NAVIGATION, Refusal
from tests.fakes.world import CRM, FIRST_PAGE, VERSION, DiedError, World, contact_id, key_of


@pytest.fixture
def world() -> World:
    return World()


async def surveyed(world: World, run: str) -> None:
    """Leave the state that survey leaves."""
    table = TableRun("contact", "crm", Status.QUEUED)
    await world.deps.runs.create(Run(run, Mode.INCREMENTAL, Status.REFRESHING, tables=(table,)))
    await world.deps.runs.save_target(run, Target("contact", "contacts", "contactid", "", sources=(CRM,)))


async def prepared(world: World, run: str = "run1", *, survey: bool = True, **values: object) -> Prepared:
    if survey:
        await surveyed(world, run)
    return await prepare_table(world.deps, TableTask(run, "contact", **{"mode": Mode.INCREMENTAL, **values}))  # type: ignore[arg-type]


async def stored(world: World) -> TablePlan:
    found = await world.deps.plans.load("contact")
    assert found is not None
    return found[0]


async def already_linked(world: World, **values: object) -> None:
    await world.deps.plans.save("contact", TablePlan(Plan(VERSION), **{"linked": True, **values}), None)  # type: ignore[arg-type]


# ---- the column ----


async def test_the_first_run_creates_the_column_with_the_documented_names(world: World) -> None:
    world.contacts.column = False
    ready = await prepared(world)
    assert (ready.failed, ready.mode) == ("", Mode.FULL)
    (made,) = [asked.body for asked in world.dataverse.bodies]
    assert (made["Lookup"]["SchemaName"], made["ReferencedEntity"]) == (
        "msdynci_lookupfield_customerprofile",
        "msdynci_customerprofile",
    )
    assert made["Lookup"]["DisplayName"]["LocalizedLabels"][0]["Label"] == "Customer Profile"
    cascade = made["CascadeConfiguration"]
    assert {name: what for name, what in cascade.items() if what != "NoCascade"} == {"Delete": "RemoveLink"}
    target = await world.deps.runs.target("run1", "contact")
    assert (target.navigation, target.column_created) == (NAVIGATION, True)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_column_of_that_name_that_is_no_lookup_is_told_before_anything_is_created(
    world: World, dry_run: bool
) -> None:
    world.contacts.column = False
    world.dataverse.text_columns.append("msdynci_lookupfield_customerprofile")
    ready = await prepared(world, dry_run=dry_run)
    assert "is of type String" in ready.failed
    assert not world.dataverse.bodies


async def test_preparing_again_after_a_crash_still_knows_that_the_column_is_new(world: World) -> None:
    world.contacts.column = False
    await prepared(world)
    await prepared(world, survey=False)
    assert (await world.deps.runs.target("run1", "contact")).column_created


async def test_a_dry_run_creates_no_column_and_saves_no_epoch(world: World) -> None:
    world.contacts.column = False
    await prepared(world, dry_run=True)
    assert not world.dataverse.bodies
    assert (await world.deps.runs.target("run1", "contact")).column_created  # as it would be
    found = await world.deps.plans.load("contact")
    assert found is None or found[0].epoch == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"column": False, "table_type": "Elastic"}, "elastic", id="elastic table"),
        pytest.param({"column": False, "table_type": "Virtual"}, "virtual", id="virtual table"),
        pytest.param({"column": False, "creatable": False}, "no new columns", id="no columns allowed"),
        pytest.param({"points_to": "account"}, "points to 'account'", id="a column of that name points elsewhere"),
    ],
)
async def test_a_table_that_cannot_have_the_column_says_why(
    world: World, values: dict[str, object], words: str
) -> None:
    for name, value in values.items():
        setattr(world.contacts, name, value)
    ready = await prepared(world)
    assert words in ready.failed
    assert "Nothing was written" in ready.failed
    assert ready.retry_s == 0.0


async def test_another_customisation_is_waited_for(world: World) -> None:
    world.contacts.column = False

    def locked(asked: object) -> None:
        if getattr(asked, "kind", "") == "create column":
            raise Refusal(429, "0x80071151", "Cannot start another [EntityCustomization]")

    world.dataverse.hooks.append(locked)
    assert (await prepared(world)).retry_s == 15.0


async def test_a_column_that_somebody_created_in_the_same_moment_is_used(world: World) -> None:
    """The vendor's own task may be faster: the answer is that the name is taken (dataverse.md 8.4)."""
    world.contacts.column = False

    def is_faster(asked: object) -> None:
        world.contacts.column = world.contacts.column or getattr(asked, "kind", "") == "create column"

    world.dataverse.hooks.append(is_faster)
    ready = await prepared(world)
    assert (ready.failed, world.dataverse.written["column"]) == ("", 0)
    assert (await world.deps.runs.target("run1", "contact")).navigation == NAVIGATION


# ---- pages ----


async def test_a_small_table_is_one_page_and_its_plan_is_stored(world: World) -> None:
    world.people(30)
    ready = await prepared(world)
    assert (ready.pages, ready.version) == (1, (await stored(world)).plan.version)


async def test_pages_are_cut_from_counts_and_hold_every_row(world: World) -> None:
    numbers = range(0, 12_000_000, 1_000)
    for number in numbers:
        world.dataverse.add_mapping(contact_id(number * 300), f"c{number}")
    ready = await prepared(world)
    plan = (await stored(world)).plan
    pages = [plan.page_of(key_of(number * 300)) for number in numbers]
    sizes = [pages.count(page) for page in range(ready.pages)]
    assert sum(sizes) == len(numbers)
    assert 3 <= ready.pages <= 6
    assert max(sizes) <= 5_000


async def test_the_stored_plan_is_kept(world: World) -> None:
    await already_linked(world)
    assert (await prepared(world)).version == VERSION
    assert not world.dataverse.asked["count"]


async def test_an_environment_that_does_not_honour_key_ranges_is_refused(world: World) -> None:
    world.people(30)
    honest = world.dataverse._filtered
    world.dataverse._filtered = lambda rows, asked: (  # type: ignore[method-assign]
        rows if "msdynci_identifier" in asked.options.get("$filter", "") else honest(rows, asked)
    )
    ready = await prepared(world)
    assert "not honoured" in ready.failed
    assert await world.deps.plans.load("contact") is None


async def large_page(world: World) -> dict[bytes, tuple[int, ...]]:
    """One page with more rows than a count tells, of which some are unconfirmed; return its entries."""
    await surveyed(world, "run1")
    await already_linked(world, epoch="e")
    numbers = [number * 700_000 for number in range(6_000)]
    for number in numbers:
        world.dataverse.add_mapping(contact_id(number), "c")
    entries = {key_of(number): (number + number % 2,) for number in numbers} | {key_of(5): (3,)}
    block = HashBlock().saved_by("run0", "e", entries)
    await world.deps.blocks.save("contact", FIRST_PAGE, StoredBlock(block, None))
    return entries


SPLIT = SplitTask("run1", "contact", VERSION, (0,))


async def test_a_split_moves_entries_bits_and_epoch_to_the_new_pages(world: World) -> None:
    entries = await large_page(world)
    split = await split_pages(world.deps, SPLIT)
    plan = (await stored(world)).plan
    assert (split.version, split.shares) == (plan.version, ((0, plan.pages),))
    blocks = [await world.block(plan.name(page)) for page in range(plan.pages)]
    assert len(blocks) >= 2
    assert {key: value for block in blocks for key, value in block.entries.items()} == entries
    assert all(plan.page_of(key) == page for page, block in enumerate(blocks) for key in block.entries)
    assert {(block.header.run, block.header.epoch, block.known) for block in blocks} == {("run0", "e", True)}
    assert not (await world.block(FIRST_PAGE)).known


@pytest.mark.parametrize("writes_done", range(8))
async def test_a_split_that_dies_anywhere_is_repeated_without_losing_an_entry(world: World, writes_done: int) -> None:
    entries = await large_page(world)
    left = [writes_done]

    def dies(operation: str, partition: str, row: str) -> None:
        if operation not in ("get", "header"):
            left[0] -= 1
            if left[0] < 0:
                raise DiedError(operation)

    world.store.hooks.append(dies)
    try:
        await split_pages(world.deps, SPLIT)
    except DiedError:
        world.store.hooks.clear()
        world.deps = world.host()
        if (await stored(world)).plan.version == VERSION:
            await split_pages(world.deps, SPLIT)
    plan = (await stored(world)).plan
    blocks = [await world.block(plan.name(page)) for page in range(plan.pages)]
    assert {key: value for block in blocks for key, value in block.entries.items()} == entries


async def test_a_page_without_a_block_is_split_into_pages_that_know_nothing(world: World) -> None:
    await large_page(world)
    del world.store.entities[world.block_entity()]
    await split_pages(world.deps, SPLIT)
    plan = (await stored(world)).plan
    assert not any([(await world.block(plan.name(page))).known for page in range(plan.pages)])


async def test_a_page_that_is_still_worked_on_is_not_split(world: World) -> None:
    await large_page(world)
    held = await world.deps.blocks.load("contact", FIRST_PAGE)
    owned = replace(held, block=held.block.owned_by("somebody", world.clock.now + 50))
    await world.deps.blocks.take("contact", FIRST_PAGE, owned)
    with pytest.raises(TransientError, match="worked on"):
        await split_pages(world.deps, SPLIT)
    assert (await stored(world)).plan.version == VERSION


# ---- modes ----


async def test_the_first_run_is_full_and_an_interrupted_one_goes_on_in_its_epoch(world: World) -> None:
    first = await prepared(world, "run1")
    again = await prepared(world, "run2")
    assert (first.mode, first.epoch) == (again.mode, again.epoch) == (Mode.FULL, "run1")


async def test_mode_and_reason_are_shown(world: World) -> None:
    await prepared(world)
    run = await world.deps.runs.load("run1")
    assert run is not None
    assert (run.mode, run.mode_reason) == (Mode.FULL, "contact: first run on this table")
    assert run.tables[0].status is Status.REFRESHING


async def test_a_profile_table_with_another_schema_makes_the_run_full_once(world: World) -> None:
    await already_linked(world, schema="old")
    assert (await prepared(world, "run1", schema="old")).mode is Mode.INCREMENTAL
    assert (await prepared(world, "run2", schema="new")).mode is Mode.FULL
    assert (await stored(world)).schema == "new"


# ---- links that vanished ----


async def test_rows_whose_link_is_empty_although_a_block_names_them_become_unconfirmed(world: World) -> None:
    world.people(5)
    world.contact(9)  # outside unification: empty, and no block names it
    await world.link("run0")
    world.dataverse.delete_profile("c2")
    world.dataverse.link_by_hand(contact_id(4), None)
    await prepared(world, "run1")
    entries = (await world.block()).entries
    assert {key for key, hashes in entries.items() if not confirmed(hashes)} == {key_of(2), key_of(4)}
    world.dataverse.profile("c2")
    assert (await world.link("run1")).counts.linked == 2
    assert world.is_right()


async def test_a_dry_run_marks_nothing(world: World) -> None:
    world.people(3)
    await world.link("run0")
    world.dataverse.link_by_hand(contact_id(1), None)
    world.store.writes.clear()
    await prepared(world, "dry", dry_run=True)
    assert not [write for write in world.store.writes if write[1] == "linkerhashes"]


async def test_a_table_that_is_not_listed_leaves_its_empty_links_to_the_daily_verify_run() -> None:
    world = World(unlisted_tables=("contact",))
    world.people(3)
    await world.link("run0")
    world.dataverse.link_by_hand(contact_id(1), None)
    before = world.dataverse.asked["empties"]
    await prepared(world, "run1")
    assert world.dataverse.asked["empties"] == before
    assert (await world.link("run1")).counts.unchanged == 3
    ready = await prepared(world, "run2", mode=Mode.VERIFY)
    assert (await world.link("run2", mode=Mode.VERIFY, epoch=ready.epoch)).counts.linked == 1
    assert world.is_right()
