"""A generation: a bounded share of a run's shards, with a sliding window of shards in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from durabletask.task import CompletableTask, OrchestrationContext, when_any

from linker.core.model import Counts
from linker.core.runs.activity_values import Go, Report, ShardOutcome, ShardTask, Trouble
from linker.core.runs.generation_values import GenerationOutcome, GenerationTask, Share, join_shares
from linker.core.serialization import from_json, to_json
from linker.core.throttling.pace import next_pace, shards_in_flight
from linker.durable.orchestrators.activity_calls import BROKEN_OFF_S, Room, Steps, as_trouble, call

GENERATION_SHARES = 8  # in one value; each may be of another table, whose totals are in it as well

GENERATION = "link_generation"
GENERATION_SHARDS = (
    200  # about 1,000 history events; a replay of more costs noticeably (every instance stays under 2,000)
)
REPORTS = 40  # news of a run's progress, spread over its shards
NEWS_S = 1.0  # between two of them at least: no shard starts meanwhile, and some are done in less
MAX_CALLS = Room().calls  # activities and timers; what is left goes to the next generation
LONGEST_WAIT_S = 120.0  # between two tries of one shard
PATIENCE = 30  # tries of one shard: another attempt at it ends when its time is over
# Faults of a table in a row, or of one shard: a quarter of an hour. The next run is asked for soon after.
FAULT_PATIENCE = 12


def link_generation(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """A bounded share of a run's shards with a sliding window of them in flight. Input: a GenerationTask."""
    generation = _Generation(ctx, from_json(GenerationTask, request))
    return (yield from as_trouble(generation.run()))


@dataclass(frozen=True, slots=True)
class _Flight:
    """A shard in flight."""

    task: CompletableTask[Any]
    shard: ShardTask
    started: datetime


class _Generation:
    """State of one generation. Pages wait in order; those in flight are kept in a list, so that replay finds the same order."""

    def __init__(self, ctx: OrchestrationContext, task: GenerationTask) -> None:
        self.ctx, self.task = ctx, task
        self.pace = task.pace
        self.totals = dict(task.totals)
        self.waiting = _shards_of(task)
        self.delayed: list[tuple[datetime, ShardTask]] = []  # shards that are worth another try from a time on
        self.flying: list[_Flight] = []
        self.calls = 0
        self.rest_s = 0.0  # of a pause for which this history has no more room
        self.tries = {
            (share.table, shard): share.tries for share in task.shares for shard in range(share.first, share.end)
        }
        self.troubles: dict[tuple[str, int], str] = {}  # why a shard has to be tried again
        self.began = ctx.current_utc_datetime
        self.faults = {
            share.table: share.faults for share in task.shares if share.faults
        }  # passing faults of a table in a row: meanwhile its shards go one by one
        self.faulted = dict.fromkeys(self.faults, self.began)  # when the last one of them was answered
        self.retry_at: dict[str, datetime] = {}  # when the next shard of such a table may start
        self.rested = self.began  # when the last pause ended; shards from before felt the throttle that asked for it
        self.unproven = [share.table for share in task.shares if share.canary]
        self.proofs: dict[
            tuple[str, int], Counts
        ] = {}  # rows linked in shards that proved a first link and are not done
        self.stop = ""
        self.shards_total = task.shards_total
        self.told, self.told_at = self.shards_done, self.began

    @property
    def shards_done(self) -> int:
        return self.task.elsewhere.pages + sum(totals.pages for totals in self.totals.values())

    @property
    def seconds(self) -> float:
        return self.task.seconds + (self.ctx.current_utc_datetime - self.began).total_seconds()

    @property
    def may_start(self) -> bool:
        return not self.stop and self.calls < MAX_CALLS

    def run(self) -> Steps[GenerationOutcome]:
        yield from self._tell()
        yield from self._rest(self.task.rest_s, throttled=True)
        while self.flying or (self.may_start and (self.waiting or self.delayed)):
            self._launch()
            if self.flying:
                finished = yield when_any([flight.task for flight in self.flying])
                landed = next(flight for flight in self.flying if flight.task is finished)
                self.flying = [flight for flight in self.flying if flight is not landed]
                yield from self._land(landed, _outcome_of(finished))
            elif self.delayed:
                first = min(ready for ready, _ in self.delayed)
                yield from self._rest((first - self.ctx.current_utc_datetime).total_seconds(), throttled=False)
        if self.stop:
            self._count_proofs()
        left = (
            ()
            if self.stop
            else join_shares(map(self._share_of, [*self.waiting, *(shard for _, shard in self.delayed)]))
        )
        return GenerationOutcome(self.totals, self.pace, self.seconds, self.stop, left, self.rest_s)

    def _count_proofs(self) -> None:
        """Count what was linked as a proof, in shards that a stopped run never finishes."""
        for (table, _), counts in self.proofs.items():
            self.totals[table] = replace(self.totals[table], counts=self.totals[table].counts + counts)

    def _share_of(self, shard: ShardTask) -> Share:
        tries = self.tries[shard.table, shard.number]
        canary = shard.table in self.unproven
        return Share(
            shard.table,
            shard.scan,
            shard.number,
            shard.number + 1,
            shard.mode,
            shard.epoch,
            tries,
            canary,
            self.faults.get(shard.table, 0),
        )

    def _launch(self) -> None:
        now = self.ctx.current_utc_datetime
        # What stopped a table holds for its other shards.
        alive = [(ready, shard) for ready, shard in self.delayed if not self.totals[shard.table].failed]
        self.waiting += [shard for ready, shard in alive if ready <= now]
        self.delayed = [(ready, shard) for ready, shard in alive if ready > now]
        most = shards_in_flight(self.pace)
        held_up: list[ShardTask] = []
        while self.waiting and self.may_start and len(self.flying) < most:
            shard = self.waiting.pop(0)
            if self.totals[shard.table].failed:
                continue
            if self._has_to_wait(shard.table):
                held_up.append(shard)
                continue
            canary = shard.table in self.unproven
            shard = replace(shard, pace=self.pace, lanes=self.pace.ceiling, canary=canary)
            self.flying.append(_Flight(self.ctx.call_activity("link_shard", input=to_json(shard)), shard, now))
            self.calls += 1
        self.waiting = held_up + self.waiting

    def _has_to_wait(self, table: str) -> bool:
        """Return whether no further shard of a table may start now: its first link is not proved to be alive yet, or the last
        shard met a passing fault, and one shard at a time tries whether it has passed.
        """
        if self.retry_at.get(table, self.began) > self.ctx.current_utc_datetime:
            return True
        is_alone = table in self.unproven or table in self.faults
        return is_alone and any(flight.shard.table == table for flight in self.flying)

    def _land(self, flight: _Flight, outcome: ShardOutcome) -> Steps[None]:
        shard, again = flight.shard, flight.started < self.rested
        self.troubles.pop((shard.table, shard.number), None)
        self.pace = next_pace(self.pace, outcome.load)
        if outcome.proven:
            self.unproven = [table for table in self.unproven if table != shard.table]
        if outcome.later_s and outcome.proven:  # the rest of this shard is linked with the others
            self.proofs[shard.table, shard.number] = outcome.counts
            self.waiting.insert(0, shard)
        elif outcome.later_s and outcome.load.throttled:
            self.waiting.insert(0, shard)
            if not again:
                yield from self._rest(outcome.later_s, throttled=True)
                self.rested = self.ctx.current_utc_datetime
        elif outcome.later_s:
            self._postpone(flight, outcome)
            if not outcome.held:
                yield from self._tell()
        else:
            self.proofs.pop((shard.table, shard.number), None)
            self.totals[shard.table] = self.totals[shard.table].plus(outcome)
            self.faults.pop(shard.table, None)
            self.retry_at.pop(shard.table, None)
            if self._has_news():
                yield from self._tell()

    def _has_news(self) -> bool:
        """Return whether progress is worth a report. Few shards show each; of many, those of a moment share one."""
        every, done = self.shards_total // REPORTS, self.shards_done
        least_s = self.task.news_s if every else 0.0
        since_s = (self.ctx.current_utc_datetime - self.told_at).total_seconds()
        return done == self.shards_total or (done >= self.told + max(1, every) and since_s >= least_s)

    def _postpone(self, flight: _Flight, outcome: ShardOutcome) -> None:
        """Put a shard back until its time: another run owns it, or a fault passes. Other tables continue."""
        shard = flight.shard
        address = (shard.table, shard.number)
        tries = self.tries[address] = self.tries[address] + 1
        faults = 0 if outcome.held else self._count_fault(flight)
        if tries >= (PATIENCE if outcome.held else FAULT_PATIENCE) or faults >= FAULT_PATIENCE:
            why = f"Shard {shard.number} of '{shard.table}': {outcome.later_reason}"
            gave_up = ShardOutcome(failed=why, passing=True)
            self.totals[shard.table] = self.totals[shard.table].plus(gave_up)
            return
        more = max(tries, faults) - 1
        wait_s = outcome.later_s if outcome.held else min(outcome.later_s * 2**more, LONGEST_WAIT_S)
        ready = self.ctx.current_utc_datetime + timedelta(seconds=wait_s)
        if not outcome.held:
            self.troubles[address] = outcome.later_reason
            self.retry_at[shard.table] = max(ready, self.retry_at.get(shard.table, ready))
        self.delayed.append((ready, shard))

    def _count_fault(self, flight: _Flight) -> int:
        """Return how many faults in a row a table has behind it. Shards that were under way together met the same one."""
        table = flight.shard.table
        if table not in self.faults or flight.started >= self.faulted[table]:
            self.faults[table] = self.faults.get(table, 0) + 1
            self.faulted[table] = self.ctx.current_utc_datetime
        return self.faults[table]

    def _rest(self, wait_s: float, *, throttled: bool) -> Steps[None]:
        """Start nothing for a while: a throttle concerns all shards, or every shard left has to wait."""
        until = self.ctx.current_utc_datetime + timedelta(seconds=wait_s)
        while (left_s := (until - self.ctx.current_utc_datetime).total_seconds()) > 0 and self.may_start:
            go = yield from self._tell(paused_s=left_s if throttled else 0.0)
            yield self.ctx.create_timer(timedelta(seconds=min(left_s, go.slice_s)))
            self.calls += 1
        self.rest_s = max(left_s, self.rest_s) if throttled else self.rest_s

    def _tell(self, paused_s: float = 0.0) -> Steps[Go]:
        self.told = self.shards_done
        self.calls += 1
        counts = sum((totals.counts for totals in self.totals.values()), self.task.elsewhere.counts)
        news = Report(
            self.task.run,
            counts,
            self.shards_total,
            self.shards_done,
            self.pace,
            self.seconds,
            paused_s,
            next(iter(self.troubles.values()), ""),
            {table: totals.counts for table, totals in self.totals.items()},
        )
        go = yield from call(self.ctx, "report", news, Go, renewing="")
        self.told_at = self.ctx.current_utc_datetime
        if not go.held or go.cancel:
            self.stop = "canceled" if go.held else "superseded"
        return go


def _outcome_of(finished: CompletableTask[Any]) -> ShardOutcome:
    """Return what became of a shard, also when its activity could not begin its work, or broke off with its host."""
    if finished.is_failed:
        return ShardOutcome(later_s=BROKEN_OFF_S, later_reason=f"It broke off: {finished.get_exception()}"[:300])
    answer = finished.get_result()
    if "trouble" not in answer:
        return from_json(ShardOutcome, answer)
    trouble = from_json(Trouble, answer)
    if trouble.wait_s:
        return ShardOutcome(later_s=trouble.wait_s, later_reason=trouble.trouble)
    return ShardOutcome(failed=trouble.trouble)


def _shards_of(task: GenerationTask) -> list[ShardTask]:
    return [
        ShardTask(task.run, share.table, share.scan, number, share.mode, share.epoch, dry_run=task.dry_run)
        for share in task.shares
        for number in range(share.first, share.end)
    ]


def cut_generations(shares: list[Share]) -> list[tuple[Share, ...]]:
    """Cut shares into generations of GENERATION_SHARDS shards and GENERATION_SHARES shares, over the borders of tables."""
    generations: list[list[Share]] = []
    room = 0
    for share in shares:
        first = share.first
        while first < share.end:
            if not room or len(generations[-1]) == GENERATION_SHARES:
                generations.append([])
                room = GENERATION_SHARDS
            end = min(share.end, first + room)
            generations[-1].append(replace(share, first=first, end=end))
            room, first = room - (end - first), end
    return [tuple(generation) for generation in generations]
