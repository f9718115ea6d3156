"""Callers that ask for too much, or at an unlucky moment: linking continues, and what they asked for is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.adapters.storage.lock_store import ROW, TABLE
from linker.adapters.storage.run_store import SHORTENED
from linker.adapters.storage.table_guards import MAX_ENTITY_BYTES, cut_text, entity_bytes
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
from linker.core.runs.lock_state import (
    MAX_ALLOWED_TABLES,
    MAX_SERVED,
    MAX_TABLES,
    LockState,
    TakeOver,
    bound_request,
    slim_state,
)
from linker.core.runs.run_lock import MAX_ASKED, MAX_DROPPED, cancel, finish, request, take_over
from linker.core.serialization import dumps
from linker.durable.activities import run_lifecycle
from linker.entrypoints import api
from linker.services import housekeeping, run_requests
from tests.fakes.client import Client, Starter
from tests.fakes.lives import ALL, loaded
from tests.fakes.world import World


@pytest.fixture
def start() -> Starter:
    return Starter()


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
    again = await housekeeping.watch_runs(world.deps, start)
    assert (await loaded(world, again)).status is Status.QUEUED
    assert [ticket.run for ticket in start.started] == [again]


async def test_a_lock_that_an_earlier_version_filled_can_be_left(world: World, start: Starter) -> None:
    """By the watchdog and by a cancellation; the entity is as large as one can be."""
    huge = tuple(UnlinkAllowance(f"t{n}".ljust(120, "x"), int("9" * 4_000)) for n in range(100))
    run = Ticket("20261118T000000Z-dead", ALL)
    full = LockState(run, 1.0, pending=Ticket("20261118T000000Z-wait", RunRequest(unlink_allowed=huge)))
    assert entity_bytes("env", ROW, cut_text(dumps(full))) > MAX_ENTITY_BYTES / 2
    await world.store.insert(TABLE, "env", ROW, {**cut_text(dumps(full)), "marks": ""})
    assert await housekeeping.watch_runs(world.deps, start) == "20261118T000000Z-wait"
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
    assert request(state, ALL, run_id="new", now=0.0, lease_s=1.0, key="k" * 32 + ".c")[1].run == "old"


# ---- times that have not come ----


@pytest.mark.parametrize(
    ("ahead_s", "kept"),
    [
        pytest.param(-60.0, True, id="past"),
        pytest.param(60.0, True, id="clocks differ"),
        pytest.param(3_600.0, False, id="future"),
    ],
)
async def test_a_unification_that_has_not_begun_yet_makes_no_run_wait(
    world: World, start: Starter, ahead_s: float, kept: bool
) -> None:
    began = world.clock.now + ahead_s
    await run_requests.request_run(world.deps, RunRequest(jobs=("job",), job_start=began), start)
    assert start.started[0].request.job_start == (began if kept else 0.0)


def test_cancel_and_finish_work_on_the_fullest_lock() -> None:
    state = slim_state(fullest())
    assert state.pending is not None
    assert state.holder is not None
    assert stored_bytes(cancel(state, state.pending.run)[0]) < MAX_ENTITY_BYTES / 2
    assert stored_bytes(finish(state, state.holder.run, completed=True, now=0.0, lease_s=1.0)[0]) < MAX_ENTITY_BYTES / 2
