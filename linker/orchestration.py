"""The two orchestrators (design decisions 2 and 4). They hold counts only, never rows, and decide nothing that a pure function
could decide. Deterministic: no clock, no chance, no environment, no I/O; everything else is an activity.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from durabletask.task import CompletableTask, OrchestrationContext, TaskFailedError, when_any

from linker.activities.values import (
    Ended,
    Ending,
    GenerationOutcome,
    GenerationTask,
    Go,
    PageOutcome,
    PageTask,
    Prepared,
    Report,
    RunRef,
    Settled,
    SettleTask,
    Share,
    Split,
    SplitTask,
    Survey,
    TableEnd,
    TableTask,
    Totals,
    Trouble,
    UnlinkOutcome,
    UnlinkTask,
)
from linker.model import Counts, Pace, Status, Ticket
from linker.pace import next_pace
from linker.wire import from_json, to_json

ORCHESTRATOR = "customerid_backstamping_hydration"
GENERATION = "link_generation"
GENERATION_PAGES = 200  # about 1,000 history events; a replay of more costs noticeably (demand D17: under 2,000)
REPORTS = 40  # news of a run's progress, spread over its pages
MOST_TRIES = 4  # of one page, table or step that failed for a passing reason
SLICE_S = 40.0  # longest wait without renewing the lock; the shortest lease in Azure is above twice that
HELD_PATIENCE = 30  # waits for another attempt at a page end when its time is over

type Steps[T] = Generator[Any, Any, T]


class RunFailedError(Exception):
    """A step of the run failed, for good or too often."""


class RunStopped(Exception):  # noqa: N818 - not a failure: the run gives way
    """The run was cancelled, or another one holds the lock."""

    def __init__(self, *, canceled: bool) -> None:
        super().__init__("canceled" if canceled else "the lock went to another run")
        self.canceled = canceled


def customerid_backstamping_hydration(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """One run of the task, from its ticket to the run that follows. Input: a Ticket."""
    ticket = from_json(Ticket, request)
    try:
        ending = yield from _run(ctx, ticket)
    except RunStopped as stopped:
        if not stopped.canceled:
            return {"run": ticket.run, "status": "superseded"}
        ending = Ending(ticket.run, Status.CANCELED, "Canceled by request; the next run goes on from here.")
    except (RunFailedError, TaskFailedError) as error:
        ending = Ending(ticket.run, Status.FAILED, f"{error}"[:1500], dry_run=ticket.request.dry_run)
    ended = yield from _call(ctx, "end_run", ending, Ended, renewing="")
    if ended.next is not None:
        yield from _call(ctx, "start_run", ended.next, RunRef, renewing="")
    return to_json(ended)


def _run(ctx: OrchestrationContext, ticket: Ticket) -> Steps[Ending]:
    dry_run = ticket.request.dry_run
    _stop_unless((yield from _call(ctx, "begin_run", ticket, Go, renewing=ticket.run)))
    settled = yield from _settle(ctx, ticket.run)
    survey = yield from _call(ctx, "survey", RunRef(ticket.run), Survey, renewing=ticket.run)
    if survey.status is not None:
        return Ending(ticket.run, survey.status, dry_run=dry_run)
    tables: list[Prepared] = []
    for name in survey.tables:
        task = TableTask(ticket.run, name, ticket.request.mode, dry_run, survey.full_reason)
        tables += [(yield from _prepare(ctx, task))]
    linked = yield from _link(ctx, ticket, tables)
    for table in tables:
        yield from _finish_table(ctx, ticket, table, linked, settled)
    if linked.stop:
        raise RunStopped(canceled=linked.stop == "canceled")
    return Ending(ticket.run, marks=settled.marks, dry_run=dry_run)


def _settle(ctx: OrchestrationContext, run: str) -> Steps[Settled]:
    began = ctx.current_utc_datetime
    while True:
        waited_s = (ctx.current_utc_datetime - began).total_seconds()
        settled = yield from _call(ctx, "settle", SettleTask(run, waited_s), Settled, renewing=run)
        if settled.stop:
            raise RunStopped(canceled=(yield from _asked_to_cancel(ctx, run)))
        if not settled.wait_s:
            return settled
        yield ctx.create_timer(timedelta(seconds=settled.wait_s))


def _prepare(ctx: OrchestrationContext, task: TableTask) -> Steps[Prepared]:
    for tries in range(MOST_TRIES):
        prepared = yield from _call(ctx, "prepare_table", task, Prepared, renewing=task.run)
        if not prepared.retry_s or tries + 1 == MOST_TRIES:
            return prepared
        yield from _pause(ctx, task.run, prepared.retry_s)
    raise AssertionError("the last try returns")


def _link(ctx: OrchestrationContext, ticket: Ticket, tables: list[Prepared]) -> Steps[GenerationOutcome]:
    """Run the pages of all tables, then those of pages that had to be split, until none is left."""
    ready = [table for table in tables if not table.failed]
    shares = [Share(t.table, t.version, 0, t.pages, t.mode, t.epoch) for t in ready]
    done = GenerationOutcome({table.table: Totals() for table in ready}, Pace(), 0.0)
    started = 0
    while shares and not done.stop:
        total = sum(totals.pages for totals in done.totals.values()) + sum(s.end - s.first for s in shares)
        for generation in _generations(shares):
            task = GenerationTask(
                ticket.run, generation, total, done.pace, done.totals, done.seconds, ticket.request.dry_run
            )
            child = f"{ticket.run}-g{started}"
            answer = yield ctx.call_sub_orchestrator(GENERATION, input=to_json(task), instance_id=child)
            started, done = started + 1, from_json(GenerationOutcome, answer)
            if done.stop:
                break
        shares, done = yield from _split(ctx, ticket, shares, done)
    return done


def _generations(shares: list[Share]) -> list[tuple[Share, ...]]:
    """Cut shares into generations of GENERATION_PAGES pages, over the borders of tables."""
    generations: list[list[Share]] = []
    room = 0
    for share in shares:
        first = share.first
        while first < share.end:
            if not room:
                generations.append([])
                room = GENERATION_PAGES
            end = min(share.end, first + room)
            generations[-1].append(replace(share, first=first, end=end))
            room, first = room - (end - first), end
    return [tuple(generation) for generation in generations]


def _split(
    ctx: OrchestrationContext, ticket: Ticket, shares: list[Share], done: GenerationOutcome
) -> Steps[tuple[list[Share], GenerationOutcome]]:
    """Split the pages that were too large, now that none is in flight, and return the new ones as work to do."""
    more: list[Share] = []
    for table, totals in done.totals.items():
        if not totals.large or done.stop:
            continue
        origin = next(share for share in shares if share.table == table)
        task = SplitTask(ticket.run, table, origin.version, totals.large)
        split = yield from _call(ctx, "split_pages", task, Split, renewing=ticket.run)
        more += [replace(origin, version=split.version, first=first, end=end) for first, end in split.shares]
        done = replace(done, totals={**done.totals, table: replace(totals, large=())})
    return more, done


def _finish_table(
    ctx: OrchestrationContext, ticket: Ticket, table: Prepared, linked: GenerationOutcome, settled: Settled
) -> Steps[None]:
    totals = linked.totals.get(table.table, Totals())
    end = TableEnd(
        ticket.run, table.table, totals, failed=table.failed, dry_run=ticket.request.dry_run, epoch=table.epoch
    )
    if linked.stop:
        end = replace(end, canceled=True)
    elif totals.departed and not table.failed and not totals.failed:
        task = UnlinkTask(
            ticket.run,
            table.table,
            totals.departed,
            totals.counts.rows_read + totals.departed,
            settled.marks,
            ticket.request.dry_run,
        )
        end = yield from _unlink(ctx, task, end)
    yield from _call(ctx, "end_table", end, RunRef, renewing=ticket.run)


def _unlink(ctx: OrchestrationContext, task: UnlinkTask, end: TableEnd) -> Steps[TableEnd]:
    counts, tries, held_back = Counts(), 0, ""
    while True:
        outcome = yield from _call(ctx, "unlink_table", task, UnlinkOutcome, renewing=task.run)
        counts, held_back = counts + outcome.counts, outcome.held_back or held_back
        if outcome.after is None:
            return replace(end, unlinking=counts, held_back=held_back)
        tries = tries + 1 if outcome.after == task.after else 0
        if tries == HELD_PATIENCE:
            return replace(
                end, unlinking=counts, failed="Departed rows could not be unlinked; Dataverse or storage kept failing."
            )
        task = replace(task, after=outcome.after)
        yield from _pause(ctx, task.run, outcome.later_s)


# ---- a generation ----


def link_generation(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """A bounded share of a run's pages with a sliding window of `width` in flight. Input: a GenerationTask."""
    generation = _Generation(ctx, from_json(GenerationTask, request))
    outcome = yield from generation.run()
    return to_json(outcome)


class _Generation:
    """State of one generation. Pages wait in order; those in flight are kept in a list, so that replay finds the same order."""

    def __init__(self, ctx: OrchestrationContext, task: GenerationTask) -> None:
        self.ctx, self.task = ctx, task
        self.pace = task.pace
        self.totals = dict(task.totals)
        self.waiting = _pages_of(task)
        self.flying: list[tuple[CompletableTask[Any], PageTask]] = []
        self.tries: dict[tuple[str, int], int] = {}
        self.began = ctx.current_utc_datetime
        self.stop = ""
        self.pages_total = task.pages_total
        self.told = self.pages_done

    @property
    def pages_done(self) -> int:
        return sum(totals.pages for totals in self.totals.values())

    @property
    def seconds(self) -> float:
        return self.task.seconds + (self.ctx.current_utc_datetime - self.began).total_seconds()

    def run(self) -> Steps[GenerationOutcome]:
        yield from self._tell()
        while self.flying or (self.waiting and not self.stop):
            self._launch()
            finished = yield when_any([task for task, _ in self.flying])
            page = next(page for task, page in self.flying if task is finished)
            self.flying = [(task, other) for task, other in self.flying if task is not finished]
            outcome = from_json(PageOutcome, finished.get_result())
            yield from self._landed(page, outcome)
        return GenerationOutcome(self.totals, self.pace, self.seconds, self.stop)

    def _launch(self) -> None:
        while self.waiting and not self.stop and len(self.flying) < self.pace.width:
            page = replace(self.waiting.pop(0), batch=self.pace.batch)
            self.flying.append((self.ctx.call_activity("link_page", input=to_json(page)), page))

    def _landed(self, page: PageTask, outcome: PageOutcome) -> Steps[None]:
        self.pace = next_pace(self.pace, outcome.load)
        if outcome.later_s:
            yield from self._again(page, outcome)
            return
        if outcome.split:
            self.totals[page.table] = self.totals[page.table].with_large(page.page)
            return
        self.totals[page.table] = self.totals[page.table].plus(outcome)
        every = max(1, self.pages_total // REPORTS)
        if self.pages_done >= self.told + every or self.pages_done == self.pages_total:
            yield from self._tell()

    def _again(self, page: PageTask, outcome: PageOutcome) -> Steps[None]:
        """Put a page back and wait: a throttle concerns all pages, so no new one starts meanwhile."""
        address = (page.table, page.page)
        self.tries[address] = self.tries.get(address, 0) + (not outcome.load.throttled)
        if self.tries[address] >= HELD_PATIENCE:
            gave_up = PageOutcome(failed=f"Page {page.page} of '{page.table}': {outcome.later_reason}")
            self.totals[page.table] = self.totals[page.table].plus(gave_up)
            return
        self.waiting.insert(0, page)
        yield from self._tell(paused_s=outcome.later_s)
        left_s = outcome.later_s
        while left_s > 0 and not self.stop:
            yield self.ctx.create_timer(timedelta(seconds=min(left_s, SLICE_S)))
            left_s -= SLICE_S
            if left_s > 0:
                yield from self._tell(paused_s=left_s)

    def _tell(self, paused_s: float = 0.0) -> Steps[None]:
        self.told = self.pages_done
        counts = sum((totals.counts for totals in self.totals.values()), Counts())
        news = Report(
            self.task.run, counts, self.pages_total, self.pages_done, self.pace, self.seconds, paused_s=paused_s
        )
        go = yield from _call(self.ctx, "report", news, Go, renewing="")
        if not go.held or go.cancel:
            self.stop = "canceled" if go.held else "superseded"


def _pages_of(task: GenerationTask) -> list[PageTask]:
    return [
        PageTask(task.run, share.table, share.version, page, share.mode, share.epoch, 0, task.dry_run)
        for share in task.shares
        for page in range(share.first, share.end)
    ]


# ---- calling and waiting ----


def _call[T](ctx: OrchestrationContext, name: str, task: object, kind: type[T], *, renewing: str) -> Steps[T]:
    """Call an activity, again when it says so. `renewing` names the run whose lock is kept meanwhile, if it is to be kept.

    Raises RunFailedError with the activity's own words.
    """
    for tries in range(MOST_TRIES):
        answer = yield ctx.call_activity(name, input=to_json(task))
        if not isinstance(answer, dict) or "trouble" not in answer:
            return from_json(kind, answer)
        trouble = from_json(Trouble, answer)
        if not trouble.wait_s or tries + 1 == MOST_TRIES:
            break
        yield from _pause(ctx, renewing, trouble.wait_s * 2**tries)
    raise RunFailedError(trouble.trouble)


def _pause(ctx: OrchestrationContext, run: str, wait_s: float) -> Steps[None]:
    """Wait in slices, each of which renews the lock of `run` (unless empty) and looks for a cancellation."""
    while wait_s > 0:
        yield ctx.create_timer(timedelta(seconds=min(wait_s, SLICE_S)))
        wait_s -= SLICE_S
        if run:
            _stop_unless((yield from _renewed(ctx, run)))


def _asked_to_cancel(ctx: OrchestrationContext, run: str) -> Steps[bool]:
    go = yield from _renewed(ctx, run)
    return go.held and go.cancel


def _renewed(ctx: OrchestrationContext, run: str) -> Steps[Go]:
    return (yield from _call(ctx, "renew", RunRef(run), Go, renewing=""))


def _stop_unless(go: Go) -> None:
    if not go.held or go.cancel:
        raise RunStopped(canceled=go.held)
