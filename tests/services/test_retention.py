"""What is old is deleted, a bounded number each time, and nothing that a user may still ask for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode, Run, RunRequest, Status, Target
from linker.core.records import AuditEntry, PlannedChange, RowIssue
from linker.core.serialization import iso
from linker.services import housekeeping
from linker.services.housekeeping import Bounds
from tests.fakes.world import START, World, contact_id

DAY = housekeeping.DAY_S
KEEP = 90
PLENTY = Bounds()


class History:
    """The durable history: remembers until when it was to be deleted."""

    def __init__(self) -> None:
        self.asked: list[datetime] = []

    async def __call__(self, before: datetime) -> int:
        self.asked.append(before)
        return 0


@pytest.fixture
def world() -> World:
    return World(keep_days=KEEP, keep_history_days=7)


async def ran(world: World, run: str, status: Status = Status.SUCCESSFUL, *, rows: int = 2) -> None:
    """A run with row errors and a target, requested now."""
    await world.deps.runs.create(Run(run, Mode.INCREMENTAL, status))
    await world.deps.runs.save_target(run, Target("contact", "contacts", "contactid", ""))
    issues = [RowIssue("contact", contact_id(n), "rejected", "Refused", "no", "") for n in range(rows)]
    await world.deps.issues.save(run, issues)
    await world.deps.samples.save(run, ("contact", "v1_00"), [PlannedChange("contact", "row9", "unlink")])


async def left_of(world: World, most: Bounds = PLENTY) -> set[str]:
    """The runs of which anything is left after a purge."""
    await housekeeping.purge(world.deps, History(), most)
    keys = [key for key in world.store.entities if key[0] in ("linkerstatus", "linkererrors")]
    names = {part for _, partition, row in keys for part in (*partition.split("-"), *row.split("-"))}
    return {name for name in names if name.startswith("run") and name != "run"}


async def test_a_run_is_deleted_at_its_age_with_its_row_errors_samples_and_targets(world: World) -> None:
    await ran(world, "run1")
    world.clock.pass_s(KEEP * DAY)
    await ran(world, "run2")
    assert await left_of(world) == {"run1", "run2"}
    world.clock.pass_s(1)
    assert await left_of(world) == {"run2"}


async def test_a_run_that_could_not_start_is_kept_a_day(world: World) -> None:
    await ran(world, "run1", Status.NOT_STARTED)
    await ran(world, "run2", Status.FAILED)
    world.clock.pass_s(DAY + 1)
    assert await left_of(world) == {"run2"}


async def test_what_the_lock_or_the_task_leads_to_is_kept_at_any_age(world: World) -> None:
    for run in ("run1", "run2", "run3", "run4", "run5"):
        await ran(world, run)
    ids = iter(["run1", "m1", "m2", "run5", "m3", "m4"])
    world.deps = replace(world.deps, lock=replace(world.deps.lock, new_id=ids.__next__))
    await world.deps.lock.request(RunRequest(jobs=("job",)))
    await world.deps.lock.finish("run1", completed=True)
    await world.deps.lock.request(RunRequest(), "key")
    await world.deps.lock.finish("run5", completed=True)

    async def shown(task: object) -> object:
        return replace(task, run="run3")  # type: ignore[type-var]

    await world.deps.runs.change_task(shown)  # type: ignore[arg-type]
    world.clock.pass_s(KEEP * DAY + 1)
    assert await left_of(world) == {"run1", "run3", "run5"}


async def test_a_run_with_very_many_row_errors_is_deleted_over_several_days(world: World) -> None:
    await ran(world, "run1", rows=5)
    world.clock.pass_s(KEEP * DAY + 1)
    assert await left_of(world, Bounds(issues=3)) == {"run1"}
    assert await world.deps.runs.load("run1") is not None
    assert await left_of(world, Bounds(issues=3)) == set()


async def test_only_so_many_runs_are_deleted_at_once(world: World) -> None:
    for run in ("run1", "run2", "run3"):
        await ran(world, run)
    world.clock.pass_s(KEEP * DAY + 1)
    assert await left_of(world, Bounds(runs=2)) == {"run3"}


async def test_what_is_remembered_of_a_row_goes_when_it_had_no_error_for_so_long(world: World) -> None:
    await world.deps.states.save("contact", TableState(linked=True), None)
    await ran(world, "run1", rows=2)
    world.clock.pass_s(KEEP * DAY)
    await ran(world, "run2", rows=1)
    world.clock.pass_s(1)
    await housekeeping.purge(world.deps, History())
    assert await world.deps.issues.last_of("contact", contact_id(0)) is not None
    assert await world.deps.issues.last_of("contact", contact_id(1)) is None


async def acted(world: World, who: str) -> None:
    """A user did something by hand, now."""
    await world.deps.audit.save(AuditEntry(world.deps.audit.next_id(), iso(world.clock.now), who, "", "post_run"))


async def who_acted(world: World) -> list[str]:
    return [entry.who async for entry in world.deps.audit.entries()]


async def test_the_audit_goes_by_an_age_of_its_own_after_the_runs(world: World) -> None:
    await acted(world, "ada")
    world.clock.pass_s(365 * DAY)
    await acted(world, "bob")
    await housekeeping.purge(world.deps, History())
    assert await who_acted(world) == ["bob", "ada"]
    world.clock.pass_s(0.001)
    await housekeeping.purge(world.deps, History())
    assert await who_acted(world) == ["bob"]


async def test_only_so_many_entries_of_the_audit_are_deleted_at_once(world: World) -> None:
    for who in ("ada", "bob", "eve"):
        await acted(world, who)
        world.clock.pass_s(1)
    world.clock.pass_s(366 * DAY)
    await housekeeping.purge(world.deps, History(), Bounds(audit=2))
    assert len(await who_acted(world)) == 1
    await housekeeping.purge(world.deps, History())
    assert await who_acted(world) == []


async def test_durable_history_goes_by_an_age_of_its_own(world: World) -> None:
    history = History()
    await housekeeping.purge(world.deps, history)
    assert history.asked == [datetime.fromtimestamp(START - 7 * DAY, UTC)]
