"""Callers that ask for too much, or at an unlucky moment: linking continues, and what they asked for is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage.documents import cut_text
from linker.adapters.storage.lock_store import ROW, TABLE
from linker.adapters.storage.table_limits import MAX_ENTITY_BYTES, entity_bytes
from linker.core.errors import TransientError
from linker.core.model import (
    MAX_ROWS,
    Finding,
    Mode,
    Run,
    RunRequest,
    Source,
    Status,
    TableRun,
    Ticket,
    UnlinkAllowance,
    Verdict,
)
from linker.core.runs import lifecycle
from linker.core.runs.lock_state import LockState, TakeOver, slim_state
from linker.core.runs.request_merging import MAX_ALLOWED_TABLES, MAX_SERVED, MAX_TABLES, bound_request
from linker.core.runs.run_lock import MAX_ASKED, MAX_DROPPED, cancel, finish, request, take_over
from linker.core.runs.run_size import SHORTENED
from linker.core.serialization import dumps
from linker.durable.activities import run_lifecycle
from linker.entrypoints import api
from linker.services import run_requests, run_watchdog
from tests.fakes.client import Client, Starter
from tests.fakes.world import World

ANY = RunRequest()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def begun(world: World, start: Starter, request: RunRequest = ANY) -> str:
    """Ask for a run that takes the lock and works."""
    run = (await run_requests.request_run(world.deps, request, start)).id
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    await world.deps.runs.advance(run, lambda old: replace(old, status=Status.REFRESHING))
    return run


async def loaded(world: World, run: str) -> Run:
    found = await world.deps.runs.load(run)
    assert found is not None
    return found


# ---- everything that merges is bounded ----


def largest(number: int, *, dry_run: bool = False) -> RunRequest:
    """The largest request that any entry lets in, unlike any other `number`; four bytes a character."""
    names = tuple(f"{number:04}{table:02}".ljust(128, "x") for table in range(MAX_TABLES))
    jobs = tuple(f"{number:04}{job:02}".ljust(200, "\N{GRINNING FACE}") for job in range(MAX_SERVED))
    kinds = [(False, False), (True, False), (False, True), (True, True)]
    allowed = tuple(
        UnlinkAllowance(name, MAX_ROWS - 2 * flags[0], *flags) for name in names[:MAX_ALLOWED_TABLES] for flags in kinds
    )
    return RunRequest(Mode.FULL, dry_run, names, jobs, 1.8e9, "follow-up", allowed, nameless_job=True)


def fullest() -> LockState:
    """A lock with everything at its largest."""
    tickets = [Ticket("r" * 25, largest(number), 2, "r" * 25) for number in range(4)]
    pairs = tuple((str(number).ljust(200, "\N{GRINNING FACE}"), "r" * 25) for number in range(MAX_SERVED))
    asked = tuple((f"{'k' * 32}.{'c' * 16}", "r" * 25) for _ in range(MAX_ASKED))
    taken = TakeOver(tickets[0], canceled=False, successor="r" * 25, next=tickets[1])
    ids = ("r" * 25,) * MAX_DROPPED
    return LockState(*tickets[:1], 1.8e9, *tickets[1:], "r" * 25, "r" * 25, taken, pairs, asked, "r" * 25, ids)


def stored_bytes(state: LockState) -> int:
    return entity_bytes("environment", ROW, {**cut_text(dumps(state)), "marks": " ".join(["m" * 16] * 64)})


def test_the_fullest_lock_takes_less_than_half_of_what_an_entity_holds() -> None:
    state = slim_state(fullest())
    assert stored_bytes(state) < MAX_ENTITY_BYTES / 2
    after, taken = take_over(state, run_id="again", now=2e9, lease_s=1.0)
    assert taken is not None
    assert stored_bytes(after) < MAX_ENTITY_BYTES / 2


def test_the_largest_run_takes_less_than_half_of_what_an_entity_holds() -> None:
    run = lifecycle.promise_run(Ticket("r" * 25, bound_request(largest(1))))
    assert entity_bytes("environment", "run-" + run.id, cut_text(dumps(run))) < MAX_ENTITY_BYTES / 2


def report_of(tables: int, words: int) -> Run:
    """A run that has something long to say of each of its tables."""
    text = "\N{GRINNING FACE}" * words
    finding = Finding("R1", Verdict.MET, text, text, text, text)
    one = TableRun("t", "s" * 400, Status.FAILED, text, Mode.FULL, text, findings=(finding,) * 6, scan=text)
    of_tables = tuple(
        replace(
            one, table=f"{number:03}".ljust(128, "t"), sources=(Source("s" * 400, "t" * 400),), automations=(text,) * 20
        )
        for number in range(tables)
    )
    run = lifecycle.promise_run(Ticket("r" * 25, bound_request(largest(1))))
    return replace(
        run, status_detail=text, tables=of_tables, warnings=(text,) * 500, notes=(text,) * 500, findings=(finding,) * 6
    )


@pytest.mark.parametrize(("tables", "words"), [(1, 100), (14, 300), (60, 1_000), (200, 1_000)])
async def test_the_largest_report_takes_less_than_half_of_what_an_entity_holds(
    world: World, tables: int, words: int
) -> None:
    report = report_of(tables, words)
    await world.deps.runs.create(Run(report.id, Mode.FULL, Status.REFRESHING))
    for _ in range(2):  # again, since each step adds to it
        stored = await world.deps.runs.advance(
            report.id, lambda old: replace(report, notes=(*old.notes, *report.notes), status=Status.REFRESHING)
        )
    assert entity_bytes("environment", "run-" + report.id, cut_text(dumps(stored))) < MAX_ENTITY_BYTES / 2
    assert [table.table for table in stored.tables] == [table.table for table in report.tables]
    assert stored.notes.count(SHORTENED) == 1


async def test_an_ordinary_report_is_stored_as_it_is(world: World) -> None:
    report = report_of(6, 20)
    report = replace(report, warnings=report.warnings[:5], notes=report.notes[:5])
    await world.deps.runs.create(Run(report.id, Mode.FULL, Status.REFRESHING))
    stored = await world.deps.runs.advance(report.id, lambda _: replace(report, status=Status.REFRESHING))
    assert (stored.warnings, stored.notes, stored.findings) == (report.warnings, report.notes, report.findings)
    for table, whole in zip(stored.tables, report.tables, strict=True):
        assert (table.detail, table.automations, table.findings) == (whole.detail, whole.automations, whole.findings)


def test_no_number_of_requests_makes_the_lock_larger() -> None:
    state, _ = request(LockState(), largest(0), run_id="r0", now=0.0, lease_s=60.0)
    sizes = []
    for number in range(1, 40):
        wanted = replace(largest(number, dry_run=number % 3 == 0), unlink_allowed=largest(0).unlink_allowed)
        state, _ = request(state, wanted, run_id=f"r{number}", now=0.0, lease_s=60.0, key=f"{number:032}.{number:016}")
        sizes.append(stored_bytes(state))
    assert max(sizes) < MAX_ENTITY_BYTES / 2


@pytest.mark.parametrize(
    ("digits", "status"),
    [
        pytest.param(str(MAX_ROWS), 202, id="the largest number"),
        pytest.param(str(MAX_ROWS + 1), 400, id="one more"),
        pytest.param("9" * 19, 400, id="beyond 64 bits"),
        pytest.param("9" * 400, 400, id="beyond a float"),
        pytest.param("9" * 4_300, 400, id="as many digits as Python reads"),
        pytest.param("9" * 60_000, 400, id="more digits than Python reads"),
    ],
)
async def test_the_rows_of_an_allowance_have_a_bound(world: World, digits: str, status: int) -> None:
    body = f'{{"allowUnlinking": [{{"table": "contact", "mostRows": {digits}}}]}}'
    assert (await Client(world).ask(api.post_run, body=body.encode())).status == status


async def test_allowances_of_more_tables_than_fit_are_refused_and_none_is_dropped(world: World) -> None:
    client = Client(world)
    await client.ask(api.post_run)
    statuses = []
    for first in range(0, 2 * MAX_ALLOWED_TABLES, MAX_ALLOWED_TABLES // 2):
        allowed = [{"table": f"t{first + n}", "mostRows": 5} for n in range(MAX_ALLOWED_TABLES // 2)]
        statuses.append((await client.ask(api.post_run, body={"allowUnlinking": allowed})).status)
    assert statuses == [202, 202, 409, 409]
    pending = (await world.deps.lock.peek()).pending
    assert pending is not None
    assert len(pending.request.unlink_allowed) == MAX_ALLOWED_TABLES


async def test_five_requests_and_a_restart_do_not_stop_linking(world: World, start: Starter) -> None:
    client = Client(world)
    await client.ask(api.post_run, body={"mode": "full"})
    await run_lifecycle.begin_run(world.deps, client.start.started[0])
    for number in range(5):
        tables = [f"t{number}{n:02}".ljust(128, "x") for n in range(14)]
        allowed = [{"table": table, "mostRows": MAX_ROWS} for table in tables]
        await client.ask(api.post_run, body={"allowUnlinking": allowed})
    world.clock.pass_s(world.settings.lease_seconds)
    again = await run_watchdog.watch_runs(world.deps, start)
    assert (await loaded(world, again)).status is Status.QUEUED
    assert [ticket.run for ticket in start.started] == [again]


async def test_a_lock_that_an_earlier_version_filled_can_be_left(world: World, start: Starter) -> None:
    """By the watchdog and by a cancellation; the entity is as large as one can be."""
    huge = tuple(UnlinkAllowance(f"t{n}".ljust(120, "x"), int("9" * 4_000)) for n in range(100))
    run = Ticket("20261118T000000Z-dead", ANY)
    full = LockState(run, 1.0, pending=Ticket("20261118T000000Z-wait", RunRequest(unlink_allowed=huge)))
    assert entity_bytes("env", ROW, cut_text(dumps(full))) > MAX_ENTITY_BYTES / 2
    await world.store.insert(TABLE, "env", ROW, {**cut_text(dumps(full)), "marks": ""})
    assert await run_watchdog.watch_runs(world.deps, start) == "20261118T000000Z-wait"
    state = await world.deps.lock.peek()
    assert state.holder is not None
    assert state.holder.request.unlink_allowed == ()
    assert (await Client(world).ask(api.post_cancel, run=state.holder.run)).status == 202


# ---- a key names one request ----


async def test_a_key_with_another_request_is_refused(world: World) -> None:
    client = Client(world, headers={"idempotency-key": "k"})
    first = await client.ask(api.post_run, body={"dryRun": True})
    same = await client.ask(api.post_run, body={"dryRun": True})
    other = await client.ask(api.post_run, body={"mode": "full"})
    assert (first.status, same.body["id"], other.status) == (202, first.body["id"], 409)
    assert first.body["id"] in other.body["detail"]


def test_a_key_that_an_earlier_version_kept_leads_where_it_led() -> None:
    state = LockState(asked=(("k" * 32, "old"),))
    assert request(state, ANY, run_id="new", now=0.0, lease_s=1.0, key="k" * 32 + ".c")[1].run == "old"


# ---- times that have not come ----


@pytest.mark.parametrize(
    ("ahead_s", "kept"),
    [
        pytest.param(-60.0, True, id="past"),
        pytest.param(60.0, True, id="clocks differ"),
        pytest.param(3_600.0, False, id="future"),
    ],
)
async def test_a_unification_that_has_not_begun_yet_makes_nobody_wait(
    world: World, start: Starter, ahead_s: float, kept: bool
) -> None:
    began = world.clock.now + ahead_s
    await run_requests.request_run(world.deps, RunRequest(jobs=("job",), job_start=began), start)
    assert start.started[0].request.job_start == (began if kept else 0.0)


# ---- a lock without a run, a run without a lock ----


class Failing:
    """A task hub that does not take runs for a while."""

    def __init__(self, times: int) -> None:
        self.left, self.started = times, list[Ticket]()

    async def __call__(self, ticket: Ticket) -> None:
        if self.left:
            self.left -= 1
            raise TransientError("The task hub does not answer.")
        if ticket not in self.started:
            self.started.append(ticket)


def storage_fails_once(world: World, operation: str, row: str) -> None:
    def fails(kind: str, partition: str, key: str) -> None:
        if kind == operation and key.startswith(row):
            world.store.hooks.remove(fails)
            world.store.hooks.append(again)
            raise TransientError("storage is down")

    def again(kind: str, partition: str, key: str) -> None:  # the write is sent once more, and fails again
        if kind == operation and key.startswith(row):
            world.store.hooks.remove(again)
            raise TransientError("storage is down")

    world.store.hooks.append(fails)


async def by_the_same_key(world: World, start: Any) -> None:
    await run_requests.request_run(world.deps, ANY, start, "key")


async def by_another_request(world: World, start: Any) -> None:
    await run_requests.request_run(world.deps, RunRequest(Mode.VERIFY), start, "other")


async def by_the_next_tick(world: World, start: Any) -> None:
    await run_watchdog.watch_runs(world.deps, start)


@pytest.mark.parametrize("repair", [by_the_same_key, by_another_request, by_the_next_tick])
@pytest.mark.parametrize("broken", ["storage", "task hub", "storage, then task hub"])
async def test_a_run_that_was_promised_and_not_started_is_started_by_whoever_comes_next(
    world: World, repair: Callable[..., Any], broken: str
) -> None:
    start = Failing(1 if "task hub" in broken else 0)
    if "storage" in broken:
        storage_fails_once(world, "insert", "run-")
    while True:
        try:
            await run_requests.request_run(world.deps, ANY, start, "key")
            break
        except TransientError:
            if broken == "storage" or not start.left:
                break
    promised = (await world.deps.lock.peek()).holder
    assert promised is not None
    await repair(world, start)
    assert [ticket.run for ticket in start.started] == [promised.run]
    assert (await loaded(world, promised.run)).status is Status.QUEUED


async def test_a_run_that_has_begun_is_not_started_again(world: World, start: Starter) -> None:
    await begun(world, start)
    start.started.clear()
    await run_requests.request_run(world.deps, ANY, start)
    await run_watchdog.watch_runs(world.deps, start)
    assert not start.started


async def test_the_run_after_another_one_is_started_by_the_watchdog_when_its_start_failed(
    world: World, start: Starter
) -> None:
    run = await begun(world, start)
    waiting = (await run_requests.request_run(world.deps, ANY, start)).id
    await world.deps.lock.finish(run, completed=True)  # the host dies before it starts the next one
    await world.deps.runs.advance(run, lambda old: lifecycle.end_early(old, Status.SUCCESSFUL, "", world.clock.now))
    assert await run_watchdog.watch_runs(world.deps, start) == waiting
    assert start.started[-1].run == waiting


async def test_a_run_that_could_not_be_started_says_so(world: World, start: Starter) -> None:
    with pytest.raises(TransientError):
        await run_requests.request_run(world.deps, ANY, Failing(1))
    dead = (await world.deps.lock.peek()).holder
    assert dead is not None
    world.clock.pass_s(world.settings.lease_seconds)
    await run_watchdog.watch_runs(world.deps, start)
    assert (await loaded(world, dead.run)).status_detail.startswith(run_watchdog.NEVER_BEGAN)


async def test_a_waiting_run_that_was_canceled_does_not_stay_queued(world: World, start: Starter) -> None:
    """The storage fails between the lock and the run, and the caller does not come back."""
    await begun(world, start)
    waiting = (await run_requests.request_run(world.deps, ANY, start)).id
    await world.deps.lock.cancel(waiting)
    assert (await loaded(world, waiting)).status is Status.QUEUED
    await run_watchdog.watch_runs(world.deps, start)
    ended = await loaded(world, waiting)
    assert (ended.status, ended.status_detail) == (Status.CANCELED, run_watchdog.TAKEN_BACK)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_runs_whose_lock_was_lost_end_and_their_work_goes_on(world: World, start: Starter, dry_run: bool) -> None:
    working = await begun(world, start, RunRequest(Mode.FULL, dry_run, jobs=("job",)))
    waiting = (await run_requests.request_run(world.deps, RunRequest(Mode.VERIFY, dry_run), start)).id
    await world.store.delete(TABLE, "env", ROW)
    again = await run_watchdog.watch_runs(world.deps, start)
    ended = [await loaded(world, run) for run in (working, waiting)]
    assert [run.status for run in ended] == [Status.FAILED] * 2
    assert all(run_watchdog.LOST in run.status_detail for run in ended)
    assert bool(again) is not dry_run
    if again:
        assert {run.follow_up for run in ended} <= {again, (await world.deps.lock.peek()).pending.run}  # type: ignore[union-attr]
        assert start.started[-1].run == again


async def test_a_run_whose_lock_was_lost_can_be_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.store.delete(TABLE, "env", ROW)
    reply = await Client(world).ask(api.post_cancel, run=run)
    assert (reply.status, reply.body["status"]) == (202, "Canceled")


async def test_a_quiet_watchdog_writes_nothing(world: World, start: Starter) -> None:
    await begun(world, start)
    await run_requests.request_run(world.deps, ANY, start)
    world.store.writes.clear()
    await run_watchdog.watch_runs(world.deps, start)
    assert not world.store.writes


# ---- clocks of other hosts ----


async def test_a_host_whose_clock_is_an_hour_ahead_and_that_dies_blocks_nobody_for_an_hour(
    world: World, start: Starter
) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ANY, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    lease_s = world.settings.lease_seconds
    other = world.host()
    assert await run_watchdog.watch_runs(other, start) == ""
    world.clock.pass_s(lease_s)
    again = await run_watchdog.watch_runs(other, start)
    assert again
    assert (await loaded(world, run)).status is Status.FAILED


async def test_a_host_whose_clock_is_an_hour_ahead_keeps_its_run_while_it_renews(world: World, start: Starter) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ANY, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    other = world.host()
    for _ in range(6):
        world.clock.pass_s(world.settings.lease_seconds / 3)
        await ahead.lock.renew(run)
        assert await run_watchdog.watch_runs(other, start) == ""


async def test_a_run_that_moves_to_a_host_with_a_right_clock_keeps_its_lease(world: World, start: Starter) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ANY, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    right, watching = world.host(), world.host()
    for _ in range(6):
        world.clock.pass_s(world.settings.lease_seconds / 3)
        assert (await right.lock.renew(run)).held
        assert await run_watchdog.watch_runs(watching, start) == ""
    assert (await world.deps.lock.peek()).expires == world.clock.now + world.settings.lease_seconds


def test_cancel_and_finish_work_on_the_fullest_lock() -> None:
    state = slim_state(fullest())
    assert state.pending is not None
    assert state.holder is not None
    assert stored_bytes(cancel(state, state.pending.run)[0]) < MAX_ENTITY_BYTES / 2
    assert stored_bytes(finish(state, state.holder.run, completed=True, now=0.0, lease_s=1.0)[0]) < MAX_ENTITY_BYTES / 2
