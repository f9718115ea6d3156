"""Modes, run after run: why a run is full, what it compares and writes, and what the next one is ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import shard_of
from linker.core.model import Counts, Mode, Run, Status
from linker.core.ports import Entity
from tests.fakes.app import FakeApp
from tests.fakes.insights import FakeInsights
from tests.fakes.memory_tables import Key
from tests.fakes.requests import Request
from tests.fakes.world import DiedError, World, contact_id, key_of

ROWS = 3


class NoMerge(FakeInsights):
    """Customer Insights that knows of no successful merge."""

    async def has_never_unified(self) -> bool:
        return True


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    return make_app()


@pytest.fixture
def linked(app: FakeApp) -> FakeApp:
    """The app after its first run, counting from zero."""
    assert app.run().status is Status.SUCCESSFUL
    forget(app.world)
    return app


def forget(world: World) -> None:
    world.dataverse.written.clear()
    world.dataverse.asked.clear()
    world.store.writes.clear()


def remembered(world: World) -> dict[Key, Entity]:
    """Return the blocks and states of tables, which a run leaves to the next one."""
    found = world.store.entities.items()
    return {key: entity for key, entity in found if "-contact-" in key[1] or key[2].startswith("table-")}


def how(run: Run) -> tuple[Mode | None, str]:
    (table,) = run.tables
    return table.mode, table.mode_reason


# ---- what makes a run full ----


def nothing(_: FakeApp) -> None:
    """The world stays as it is."""


def another_schema(app: FakeApp) -> None:
    app.world.dataverse.text_columns.append("new_segment")


def no_merge(app: FakeApp) -> None:
    app.world.deps = replace(app.world.deps, insights=NoMerge())  # type: ignore[arg-type]


def merge_again(app: FakeApp) -> None:
    app.world.deps = replace(app.world.deps, insights=FakeInsights())  # type: ignore[arg-type]


def column_removed(app: FakeApp) -> None:
    app.world.contacts.column = False
    for key in app.world.contacts.rows:
        app.world.dataverse.link_by_hand(key, None)


@dataclass(frozen=True, slots=True)
class Case:
    """What happened since the last run, what is asked for, and what becomes of it. `after` is undone for the next run."""

    happened: Callable[[FakeApp], None]
    asked: Mode
    mode: Mode
    reason: str
    written: int = 0  # rows
    compared: bool = True
    after: Callable[[FakeApp], None] = nothing


CASES = {
    "nothing happened": Case(nothing, Mode.INCREMENTAL, Mode.INCREMENTAL, "only rows that changed", compared=False),
    "full asked for": Case(nothing, Mode.FULL, Mode.FULL, "asked for"),
    "verify asked for": Case(nothing, Mode.VERIFY, Mode.VERIFY, "asked for"),
    "the profile table has another schema": Case(
        another_schema, Mode.INCREMENTAL, Mode.FULL, "the schema of the profile table changed"
    ),
    "no successful merge": Case(
        no_merge, Mode.INCREMENTAL, Mode.FULL, "Customer Insights knows of no successful merge", after=merge_again
    ),
    "the column was removed": Case(
        column_removed, Mode.INCREMENTAL, Mode.FULL, "the lookup column was missing and is new", ROWS, compared=False
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_a_run_is_as_full_as_it_has_to_be_says_why_and_the_next_one_is_incremental(linked: FakeApp, case: Case) -> None:
    world = linked.world
    case.happened(linked)
    forget(world)
    run = linked.run(mode=case.asked)
    assert (run.status, how(run)) == (Status.SUCCESSFUL, (case.mode, case.reason))
    assert run.counts == Counts(rows_read=ROWS, linked=case.written, unchanged=ROWS - case.written)
    assert world.dataverse.written["bulk"] == case.written
    sampled = case.mode is Mode.INCREMENTAL  # a few confirmed links, for the case of a restored environment
    looked = world.dataverse.asked["links"] > sampled + bool(case.written)  # what is written is read back
    assert looked is case.compared
    assert world.is_right()

    case.after(linked)
    forget(world)
    following = linked.run()
    assert how(following) == (Mode.INCREMENTAL, "only rows that changed")
    assert following.counts == Counts(rows_read=ROWS, unchanged=ROWS)
    assert (world.dataverse.asked["links"], world.dataverse.written.total()) == (1, 0)  # the sample


def test_the_first_run_of_a_table_is_full_and_adopts_links_that_are_right_already(app: FakeApp) -> None:
    app.world.dataverse.link_by_hand(contact_id(1), "c1")
    run = app.run()
    assert how(run) == (Mode.FULL, "first run on this table")
    assert run.counts == Counts(rows_read=ROWS, linked=ROWS - 1, unchanged=1)


def test_a_full_run_writes_every_row_where_the_setting_says_so_and_once(make_app: Callable[..., FakeApp]) -> None:
    app = make_app(full="rewrite")
    app.run()
    forget(app.world)
    assert app.run(mode=Mode.FULL).counts == Counts(rows_read=ROWS, linked=ROWS)
    assert app.world.dataverse.written["bulk"] == ROWS
    forget(app.world)
    assert app.run().counts == Counts(rows_read=ROWS, unchanged=ROWS)
    assert app.world.dataverse.written.total() == 0


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.VERIFY])
def test_what_another_writer_changed_is_set_right_and_reported_as_drift(linked: FakeApp, mode: Mode) -> None:
    linked.world.dataverse.link_by_hand(contact_id(1), "c2")
    run = linked.run(mode=mode)
    assert (run.status, run.counts.linked) == (Status.WARNINGS, 1)
    assert "another writer had changed" in run.tables[0].detail
    assert linked.world.is_right()


@pytest.mark.parametrize(("mode", "told"), [(Mode.FULL, False), (Mode.VERIFY, True)])
def test_a_link_that_neither_mapping_nor_block_names_is_reported_by_verify_and_never_cleared(
    linked: FakeApp, mode: Mode, told: bool
) -> None:
    outsider = linked.world.contact(9)
    linked.world.dataverse.link_by_hand(outsider, "c1")
    run = linked.run(mode=mode)
    assert ("neither the mapping nor this app knows, left alone: 1" in run.tables[0].detail) is told
    assert linked.world.links()[outsider] == "c1"


# ---- interrupted ----


def several_shards(world: World) -> None:
    """Leave a state with one contact in a shard."""
    bits = next(bits for bits in range(9) if len({shard_of(key_of(n), bits) for n in (1, 2, 3)}) == ROWS)
    asyncio.run(world.deps.states.save("contact", TableState(bits), None))


def interrupted(app: FakeApp) -> None:
    """A first run that died when two of its three rows were done."""
    several_shards(app.world)

    def dies_at_the_third_write(asked: Request) -> None:
        if asked.kind == "update" and app.world.dataverse.written["bulk"] == ROWS - 1:
            raise DiedError

    app.world.dataverse.hooks.append(dies_at_the_third_write)
    with pytest.raises(DiedError):
        app.run(mode=Mode.FULL)
    app.world.dataverse.hooks.clear()
    app.world.clock.pass_s(app.world.settings.attempt_seconds)  # of the attempt that died
    forget(app.world)


def test_an_interrupted_full_run_continues_where_it_was_and_the_next_one_is_incremental(app: FakeApp) -> None:
    interrupted(app)
    world = app.world
    run = app.recover()
    assert (run.status, how(run)) == (Status.SUCCESSFUL, (Mode.FULL, "the first run was interrupted and continues"))
    assert run.counts == Counts(rows_read=ROWS, linked=1, unchanged=ROWS - 1)
    assert world.dataverse.written == {"bulk": 1}
    assert world.dataverse.asked["links"] == 2  # of the third shard alone: compared, and read back
    assert how(app.run()) == (Mode.INCREMENTAL, "only rows that changed")


@pytest.mark.parametrize("happened", [column_removed, another_schema])
def test_what_an_interrupted_full_run_saved_is_not_believed_when(
    app: FakeApp, happened: Callable[[FakeApp], None]
) -> None:
    interrupted(app)
    happened(app)
    run = app.recover()
    assert (run.status, app.world.is_right()) == (Status.SUCCESSFUL, True)
    assert (
        happened is not another_schema or app.world.dataverse.asked["links"] == ROWS + 1
    )  # each shard, and a read-back
    assert how(app.run()) == (Mode.INCREMENTAL, "only rows that changed")


def test_a_link_that_vanished_while_a_full_run_was_interrupted_is_found_when_it_continues(app: FakeApp) -> None:
    interrupted(app)
    app.world.dataverse.link_by_hand(contact_id(1), None)
    assert app.recover().counts == Counts(rows_read=ROWS, linked=2, unchanged=1)
    assert app.world.is_right()


# ---- dry ----


@pytest.mark.parametrize("mode", list(Mode))
def test_a_dry_run_counts_what_it_would_do_and_writes_no_row_no_column_and_no_block(app: FakeApp, mode: Mode) -> None:
    app.world.contacts.column = False
    run = app.run(mode=mode, dry_run=True)
    assert (run.status, run.counts) == (Status.SUCCESSFUL, Counts(rows_read=ROWS, linked=ROWS))
    assert app.world.dataverse.written.total() == 0
    assert not app.world.contacts.column
    assert [key for key in remembered(app.world) if key[0] == "linkerhashes"] == []
    assert how(app.run()) == (Mode.FULL, "first run on this table")


@pytest.mark.parametrize("mode", list(Mode))
def test_a_dry_run_after_changes_leaves_them_all_to_the_next_run(linked: FakeApp, mode: Mode) -> None:
    world = linked.world
    world.dataverse.map(contact_id(1), "c2")
    before = remembered(world)
    dry = linked.run(mode=mode, dry_run=True)
    assert dry.counts == Counts(rows_read=ROWS, linked=1, unchanged=ROWS - 1)
    assert world.dataverse.written.total() == 0
    assert remembered(world) == before
    real = linked.run()
    assert (how(real)[0], real.counts) == (Mode.INCREMENTAL, dry.counts)
