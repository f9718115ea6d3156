"""What starts a run: events, the timer, the daily verify run, the watchdog."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from linker.adapters.customer_insights import Job, NoAnswer
from linker.core.errors import TransientError
from linker.core.linking.shards import Shard
from linker.core.model import Mode, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import Ending, Settled, SettleTask
from linker.core.runs.signals import Marks
from linker.core.serialization import find_time
from linker.deps import Deps
from linker.durable.activities import run_lifecycle
from linker.durable.activities.discover_tables import settle
from linker.durable.attempt import mark_late
from linker.services import run_requests
from tests.core.runs.test_events import START, START_S, body, properties, record
from tests.fakes.client import Starter
from tests.fakes.lives import begun, loaded
from tests.fakes.requests import Refusal
from tests.fakes.world import World

DAY = 86_400.0


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


# ---- events ----


async def test_one_batch_of_events_asks_for_one_run_for_all_its_unifications(world: World, start: Starter) -> None:
    batch = [body(record(), record("Map.TaskCompleted")), b"?", body(record(properties=properties("job2")))]
    run = await run_requests.unification_events(world.deps, batch, start)
    assert start.started == [Ticket(run, RunRequest(jobs=("job", "job2"), job_start=START_S, trigger="event"))]


async def test_events_of_no_completed_unification_start_nothing(world: World, start: Starter) -> None:
    assert await run_requests.unification_events(world.deps, [b"?", body(record(result="Failure"))], start) == ""
    assert not start.started


async def test_the_event_that_follows_the_webhook_is_the_same_run(world: World, start: Starter) -> None:
    run = (await run_requests.request_run(world.deps, RunRequest(jobs=("job",), trigger="webhook"), start)).id
    assert await run_requests.unification_events(world.deps, [body(record())], start) == run
    assert (await world.deps.lock.peek()).pending is None


# ---- the timer ----


class FakeInsights:
    """Customer Insights that knows of one unification, or does not answer."""

    def __init__(self, job: Job | NoAnswer | None) -> None:
        self.job = job

    async def last_unification(self) -> Job | NoAnswer | None:
        return self.job


def telling(world: World, job: Job | NoAnswer | None) -> Deps:
    return replace(world.deps, insights=FakeInsights(job))  # type: ignore[arg-type]


async def ran(world: World, run: str, start: Starter, status: Status | None = None, *tables: TableRun) -> None:
    """A run that ended, as its tables ended without `status`."""
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    settled: Settled = await settle(world.deps, SettleTask(run))
    await world.deps.runs.advance(run, lambda old: replace(old, tables=tables))
    await run_lifecycle.end_run(world.deps, Ending(run, status, marks=settled.marks))


GOOD = TableRun("contact", "crm", Status.SUCCESSFUL)


SKIPPED = TableRun("lead", "crm", Status.SKIPPED)


JOB = Job("job", START, "")


async def test_the_timer_asks_for_a_run_once_for_each_unification(world: World, start: Starter) -> None:
    deps = telling(world, JOB)
    run = await run_requests.poll(deps, start)
    assert await run_requests.poll(deps, start) == run
    await ran(world, run, start, None, GOOD)
    assert await run_requests.poll(deps, start) == ""
    assert start.started == [Ticket(run, RunRequest(jobs=("job",), job_start=find_time(START), trigger="timer"))]


@pytest.mark.parametrize("job", [None, NoAnswer("no role")], ids=["no unification", "no answer"])
async def test_without_customer_insights_the_timer_asks_when_the_marks_differ_from_those_of_the_last_complete_run(
    world: World, start: Starter, job: NoAnswer | None
) -> None:
    deps = telling(world, job)
    world.dataverse.profile("c1")
    run = await run_requests.poll(deps, start)
    await ran(world, run, start, None, GOOD)
    assert await run_requests.poll(deps, start) == ""
    world.dataverse.marks["msdynci_customerprofiles"] = "2026-11-24T00:00:00Z"
    again = await run_requests.poll(deps, start)
    assert again not in ("", run)
    assert await run_requests.poll(deps, start) == ""  # that one looks for itself whether anything moved meanwhile


@pytest.mark.parametrize("entity_set", ["msdynci_alternatekeys", "msdynci_customerprofiles"])
async def test_a_change_within_the_second_of_the_last_one_is_seen(
    world: World, start: Starter, entity_set: str
) -> None:
    """Dataverse keeps whole seconds: only the versions of the rows show what came after a run had looked."""
    world.dataverse.profile("c1")
    await ran(world, await run_requests.poll(world.deps, start), start, None, GOOD)
    world.dataverse.versions[entity_set] += 1
    assert await run_requests.poll(world.deps, start) != ""


async def test_where_rows_cannot_be_sorted_by_version_the_seconds_have_to_do(world: World, start: Starter) -> None:
    world.dataverse.versions.clear()
    world.dataverse.profile("c1")
    await ran(world, await run_requests.poll(world.deps, start), start, None, GOOD)
    assert await run_requests.poll(world.deps, start) == ""
    world.dataverse.marks["msdynci_alternatekeys"] = "2026-11-24T00:00:00Z"
    assert await run_requests.poll(world.deps, start) != ""


async def test_once_a_day_the_timer_asks_for_a_run_anyway(world: World, start: Starter) -> None:
    await ran(world, await run_requests.poll(world.deps, start), start, None, GOOD)
    world.clock.pass_s(DAY - 1)
    assert await run_requests.poll(world.deps, start) == ""
    world.clock.pass_s(1)
    assert await run_requests.poll(world.deps, start) != ""


async def test_rows_of_a_late_write_do_not_wait_for_the_next_day(world: World, start: Starter) -> None:
    run = await run_requests.poll(world.deps, start)
    await ran(world, run, start, None, GOOD)
    await mark_late(world.deps, "contact", Shard(0, 0), {})
    assert await run_requests.poll(world.deps, start) == ""  # a run has just ended: what is late may not be alone
    world.clock.pass_s(run_requests.UNSERVED_RETRY_S + 1)
    assert await run_requests.poll(world.deps, start) not in ("", run)


@pytest.mark.parametrize("tables", [(SKIPPED,), (GOOD, SKIPPED)], ids=["skipped", "a table skipped"])
async def test_a_run_that_was_not_complete_is_tried_again_only_after_a_while(
    world: World, start: Starter, tables: tuple[TableRun, ...]
) -> None:
    deps = telling(world, JOB)
    run = await run_requests.poll(deps, start)
    await ran(world, run, start, None, *tables)
    assert await run_requests.poll(deps, start) == ""
    world.clock.pass_s(run_requests.UNSERVED_RETRY_S + 1)
    assert await run_requests.poll(deps, start) not in ("", run)


async def test_a_table_that_was_skipped_because_customer_insights_did_not_answer_is_tried_again_within_minutes(
    world: World, start: Starter
) -> None:
    deps = telling(world, JOB)
    run = await run_requests.poll(deps, start)
    await ran(world, run, start, None, replace(SKIPPED, passing=True))
    assert await run_requests.poll(deps, start) == ""
    world.clock.pass_s(run_requests.PASSING_RETRY_S + 1)
    assert await run_requests.poll(deps, start) not in ("", run)


async def test_another_unification_does_not_wait_for_that_while(world: World, start: Starter) -> None:
    run = await run_requests.poll(telling(world, JOB), start)
    await ran(world, run, start, Status.FAILED, GOOD)
    assert await run_requests.poll(telling(world, Job("job2", START, "")), start) not in ("", run)


async def test_a_run_of_some_tables_or_a_dry_one_has_not_seen_the_marks(world: World, start: Starter) -> None:
    for request in (RunRequest(tables=("contact",)), RunRequest(dry_run=True)):
        run = (await run_requests.request_run(world.deps, request, start)).id
        await run_lifecycle.begin_run(world.deps, start.started[-1])
        await run_lifecycle.end_run(world.deps, Ending(run, marks=Marks(1.0, 2.0), dry_run=request.dry_run))
    assert (await world.deps.runs.task()).marks is None


async def test_switched_off_the_timer_starts_nothing(start: Starter) -> None:
    world = World(poll=False)
    assert await run_requests.poll(telling(world, JOB), start) == ""


# ---- not before it is ready ----


async def test_a_run_that_finds_something_missing_has_not_started_and_the_next_tick_tries_again(
    world: World, start: Starter
) -> None:
    first = await run_requests.poll(world.deps, start)
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    await run_lifecycle.end_run(
        world.deps, Ending(first, Status.FAILED, "The app's identity is not a user of this environment.")
    )
    shown = await world.deps.runs.load_shown()
    assert shown is not None
    assert (shown.id, shown.status) == (first, Status.NOT_STARTED)
    assert "not a user" in shown.status_detail
    second = await run_requests.poll(world.deps, start)
    assert second not in ("", first)
    await ran(world, second, start, None, GOOD)
    world.clock.pass_s(DAY)
    third = await run_requests.poll(world.deps, start)
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    await run_lifecycle.end_run(
        world.deps, Ending(third, Status.FAILED, "The app's identity is not a user of this environment.")
    )
    assert (await loaded(world, third)).status is Status.FAILED


async def test_once_ready_a_lost_access_shows_in_a_run(world: World, start: Starter) -> None:
    """The timer alone would only log it."""
    await ran(world, await run_requests.poll(world.deps, start), start, None, GOOD)
    world.dataverse.hooks.append(refusing(403))
    assert await run_requests.poll(world.deps, start) != ""


async def test_a_dataverse_that_is_busy_is_asked_again_by_the_next_tick(world: World, start: Starter) -> None:
    await ran(world, await run_requests.poll(world.deps, start), start, None, GOOD)
    world.dataverse.hooks.append(refusing(503))
    with pytest.raises(TransientError):
        await run_requests.poll(world.deps, start)


def refusing(status: int) -> Callable[[object], None]:
    def refuse(_: object) -> None:
        raise Refusal(status)

    return refuse


# ---- the daily verify run ----


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param({}, None, id="off"),
        pytest.param({"verify": True}, RunRequest(Mode.VERIFY, trigger="timer"), id="on"),
        pytest.param(
            {"unlisted_tables": ("lead",)},
            RunRequest(Mode.VERIFY, tables=("lead",), trigger="timer"),
            id="on where empty links are not listed",
        ),
        pytest.param(
            {"verify": True, "unlisted_tables": ("lead",)}, RunRequest(Mode.VERIFY, trigger="timer"), id="on for all"
        ),
    ],
)
async def test_the_daily_verify_run(start: Starter, settings: dict[str, object], wanted: RunRequest | None) -> None:
    run = await run_requests.verify(World(**settings).deps, start)
    assert start.started == ([Ticket(run, wanted)] if wanted else [])


# ---- what was canceled ----


async def test_a_canceled_run_is_asked_for_again_after_a_while(world: World, start: Starter) -> None:
    deps = telling(world, JOB)
    run = await run_requests.poll(deps, start)
    await ran(world, run, start, Status.CANCELED, GOOD)
    assert await run_requests.poll(deps, start) == ""
    world.clock.pass_s(run_requests.UNSERVED_RETRY_S + 1)
    assert await run_requests.poll(deps, start) not in ("", run)


async def test_a_run_that_was_canceled_while_it_waited_is_asked_for_again_at_the_next_look(
    world: World, start: Starter
) -> None:
    await begun(world, start)
    waiting = await run_requests.poll(telling(world, JOB), start)
    await world.deps.lock.cancel(waiting)
    again = await run_requests.poll(telling(world, JOB), start)
    pending = (await world.deps.lock.peek()).pending
    assert again != waiting
    assert pending == Ticket(again, RunRequest(jobs=("job",), job_start=find_time(START), trigger="timer"))
