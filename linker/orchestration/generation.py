"""A generation: a bounded share of a run's pages, with a sliding window of pages in flight (design decisions 2 and 4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from durabletask.task import CompletableTask, OrchestrationContext, when_any

from linker.activities.values import Go, PageOutcome, PageTask, Report, Trouble
from linker.model import Counts
from linker.orchestration.steps import Steps, call
from linker.orchestration.values import GenerationOutcome, GenerationTask
from linker.pace import next_pace
from linker.wire import from_json, to_json

GENERATION = "link_generation"
GENERATION_PAGES = 200  # about 1,000 history events; a replay of more costs noticeably (demand D17: under 2,000)
REPORTS = 40  # news of a run's progress, spread over its pages
PATIENCE = 30  # tries of one page: another attempt at it ends when its time is over


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
            yield from self._landed(page, _outcome_of(finished.get_result()))
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
        if self.tries[address] >= PATIENCE:
            gave_up = PageOutcome(failed=f"Page {page.page} of '{page.table}': {outcome.later_reason}")
            self.totals[page.table] = self.totals[page.table].plus(gave_up)
            return
        self.waiting.insert(0, page)
        left_s = outcome.later_s
        while left_s > 0 and not self.stop:
            go = yield from self._tell(paused_s=left_s)
            yield self.ctx.create_timer(timedelta(seconds=min(left_s, go.slice_s)))
            left_s -= go.slice_s

    def _tell(self, paused_s: float = 0.0) -> Steps[Go]:
        self.told = self.pages_done
        counts = sum((totals.counts for totals in self.totals.values()), Counts())
        news = Report(
            self.task.run, counts, self.pages_total, self.pages_done, self.pace, self.seconds, paused_s=paused_s
        )
        go = yield from call(self.ctx, "report", news, Go, renewing="")
        if not go.held or go.cancel:
            self.stop = "canceled" if go.held else "superseded"
        return go


def _outcome_of(answer: dict[str, Any]) -> PageOutcome:
    """Return what became of a page, also when its activity could not begin its work."""
    if "trouble" not in answer:
        return from_json(PageOutcome, answer)
    trouble = from_json(Trouble, answer)
    if trouble.wait_s:
        return PageOutcome(later_s=trouble.wait_s, later_reason=trouble.trouble)
    return PageOutcome(failed=trouble.trouble)


def _pages_of(task: GenerationTask) -> list[PageTask]:
    return [
        PageTask(task.run, share.table, share.version, page, share.mode, share.epoch, 0, task.dry_run)
        for share in task.shares
        for page in range(share.first, share.end)
    ]
