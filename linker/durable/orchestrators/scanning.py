"""Scanning: the streams of all tables, slice after slice, a few at a time; in children when one history has no more room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from durabletask.task import CompletableTask, OrchestrationContext, TaskFailedError, when_any

from linker.core.model import WIRE
from linker.core.runs.activity_values import SliceOutcome, SliceTask, Trouble
from linker.core.serialization import from_json, to_json
from linker.durable.orchestrators.activity_calls import (
    BROKEN_OFF_S,
    MAX_CALLS,
    RunFailedError,
    RunStopped,
    Steps,
    as_trouble,
    call_child,
    renew_lock,
)

SCANNING = "scan_mapping"
STREAMS_AT_ONCE = 4  # readers at once: reads count against the same limits as writes
TABLES_HELD = 6  # in one value, each with a reason of up to MAX_REASON characters: a value stays below 4 KB
MAX_REASON = 400
PATIENCE = 12  # tries of one slice that failed for a passing reason
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class ScanShare:
    """Streams `first` to `end` (exclusive) of one table's scan, of which one has at most `tries` failed slices behind it."""

    __pydantic_config__ = WIRE
    table: str
    scan: str
    first: int
    end: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Scanning:
    """What is left to scan. `failed` says by table why its scan ended early."""

    __pydantic_config__ = WIRE
    run: str
    shares: tuple[ScanShare, ...]
    failed: dict[str, str] = field(default_factory=dict)
    passing: tuple[str, ...] = ()  # tables of `failed` whose reason may pass
    stop: str = ""

    @property
    def is_open(self) -> bool:
        """Whether streams are left, and nothing stops the run."""
        return bool(self.shares) and not self.stop


def scan(ctx: OrchestrationContext, state: Scanning, child: str) -> Steps[Scanning]:
    """Scan everything, in children of the run named from `child`. Streams of a table whose scan failed are left out."""
    number = 0
    while state.is_open:
        try:
            state = yield from call_child(ctx, SCANNING, state, Scanning, instance=f"{child}-{number}")
        except (RunFailedError, TaskFailedError) as error:
            broken = {share.table: f"{error}"[:MAX_REASON] for share in state.shares}
            passing = () if isinstance(error, RunFailedError) and not error.passing else tuple(broken)
            return replace(state, shares=(), failed={**state.failed, **broken}, passing=(*state.passing, *passing))
        number += 1
    return state


def scan_mapping(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """A bounded share of a scan. Input and output: a Scanning."""
    work = _Scan(ctx, from_json(Scanning, request))
    return (yield from as_trouble(work.run()))


@dataclass(frozen=True, slots=True)
class _Flight:
    task: CompletableTask[Any]
    of: SliceTask


class _Scan:
    """State of one share. Streams wait in order; those in flight are kept in a list, so that replay finds the same order."""

    def __init__(self, ctx: OrchestrationContext, state: Scanning) -> None:
        self.ctx, self.state = ctx, state
        streams = [(share, number) for share in state.shares for number in range(share.first, share.end)]
        self.waiting = [SliceTask(state.run, share.table, share.scan, number) for share, number in streams]
        self.delayed: list[tuple[datetime, SliceTask]] = []
        self.flying: list[_Flight] = []
        self.tries = {(share.table, number): share.tries for share, number in streams if share.tries}
        self.failed, self.passing = dict(state.failed), list(state.passing)
        self.calls = 0
        self.stop = ""

    @property
    def may_start(self) -> bool:
        return not self.stop and self.calls < MAX_CALLS

    def run(self) -> Steps[Scanning]:
        while self.flying or (self.may_start and (self.waiting or self.delayed)):
            yield from self._launch()
            if self.flying:
                finished = yield when_any([flight.task for flight in self.flying])
                landed = next(flight for flight in self.flying if flight.task is finished)
                self.flying.remove(landed)
                self._land(landed.of, _outcome_of(finished))
            elif self.delayed and self.may_start:
                yield from self._rest()
        left = [*self.waiting, *(of for _, of in self.delayed)]
        shares = _join_shares([of for of in left if of.table not in self.failed], self.tries)
        return replace(self.state, shares=shares, failed=self.failed, passing=tuple(self.passing), stop=self.stop)

    def _launch(self) -> Steps[None]:
        now = self.ctx.current_utc_datetime
        alive = [(ready, of) for ready, of in self.delayed if of.table not in self.failed]
        self.waiting += [of for ready, of in alive if ready <= now]
        self.delayed = [(ready, of) for ready, of in alive if ready > now]
        while self.waiting and self.may_start and len(self.flying) < STREAMS_AT_ONCE:
            of = self.waiting.pop(0)
            if of.table in self.failed:
                continue
            go = yield from renew_lock(self.ctx, self.state.run)
            self.calls += 2
            if not go.held or go.cancel:
                self.stop = "canceled" if go.held else "superseded"
                self.waiting.insert(0, of)
                return
            self.flying.append(_Flight(self.ctx.call_activity("scan_slice", input=to_json(of)), of))

    def _rest(self) -> Steps[None]:
        first = min(ready for ready, _ in self.delayed)
        go = yield from renew_lock(self.ctx, self.state.run)
        if not go.held or go.cancel:
            self.stop = "canceled" if go.held else "superseded"
            return
        left_s = (first - self.ctx.current_utc_datetime).total_seconds()
        if left_s > 0:
            yield self.ctx.create_timer(timedelta(seconds=min(left_s, go.slice_s)))
        self.calls += 2

    def _land(self, of: SliceTask, outcome: SliceOutcome) -> None:
        address = (of.table, of.stream)
        if outcome.failed:
            self.failed[of.table] = outcome.failed[:MAX_REASON]
        elif outcome.later_s:
            tries = self.tries[address] = self.tries.get(address, 0) + 1
            if tries >= PATIENCE:
                self.failed[of.table] = f"The mapping could not be read: {outcome.later_reason}"
                self.passing.append(of.table)
                return
            wait_s = outcome.later_s if outcome.throttled else min(outcome.later_s * 2 ** (tries - 1), LONGEST_WAIT_S)
            self.delayed.append((self.ctx.current_utc_datetime + timedelta(seconds=wait_s), of))
        else:
            self.tries.pop(address, None)
            if not outcome.done:
                self.waiting.insert(0, of)  # its next rows come from where Dataverse just read


def scan_all(ctx: OrchestrationContext, run: str, shares: list[ScanShare]) -> Steps[Scanning]:
    """Scan the streams of all tables, so many at a time as fit into one value. Return by table why a scan ended early.

    Raises RunStopped.
    """
    all_done = Scanning(run, ())
    for number, start in enumerate(range(0, len(shares), TABLES_HELD)):
        some = Scanning(run, tuple(shares[start : start + TABLES_HELD]))
        done = yield from scan(ctx, some, f"{run}-s{number}")
        if done.stop:
            raise RunStopped(canceled=done.stop == "canceled")
        failed, passing = {**all_done.failed, **done.failed}, (*all_done.passing, *done.passing)
        all_done = replace(all_done, failed=failed, passing=passing)
    return all_done


def _join_shares(left: list[SliceTask], tries: Mapping[tuple[str, int], int]) -> tuple[ScanShare, ...]:
    shares: list[ScanShare] = []
    for of in sorted(left, key=lambda of: (of.table, of.stream)):
        last = shares[-1] if shares else None
        mine = tries.get((of.table, of.stream), 0)
        if last is not None and (last.table, last.end) == (of.table, of.stream):
            shares[-1] = replace(last, end=of.stream + 1, tries=max(last.tries, mine))
        else:
            shares.append(ScanShare(of.table, of.scan, of.stream, of.stream + 1, mine))
    return tuple(shares)


def _outcome_of(finished: CompletableTask[Any]) -> SliceOutcome:
    """Return what became of a slice, also when its activity could not begin its work, or broke off with its host."""
    if finished.is_failed:
        return SliceOutcome(later_s=BROKEN_OFF_S, later_reason=f"It broke off: {finished.get_exception()}"[:300])
    answer = finished.get_result()
    if "trouble" not in answer:
        return from_json(SliceOutcome, answer)
    trouble = from_json(Trouble, answer)
    if trouble.wait_s:
        return SliceOutcome(later_s=trouble.wait_s, later_reason=trouble.trouble)
    return SliceOutcome(failed=trouble.trouble)
