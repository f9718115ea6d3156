"""How hard one process pushes Dataverse: a pure controller of the writes under way and of the rows in each.

Each process has one `Control`. Its limiter (write_limiter.py) feeds it every answer and asks it before every write; the
orchestrator only reads it, to start enough shards and to wait when Dataverse asked for a pause. The control law:

1. Start at Dataverse's hint (`x-ms-dop-hint`). It is on every response, so the reads before the first write have given
   it. The width never exceeds the hint, LINKER_WIDTH, MAX_WIDTH, or, when several processes work on the run, this
   process's share of them. A hint that changes takes effect with the response that carries it, in both directions.
2. Spend the budget of the window, then what leaves it: linker/core/throttling/allowance.py. After a throttle nothing is sent
   until Retry-After ends, since asking sooner makes the next wait longer (service protection limits). A concurrency
   throttle is about the width alone, which falls below what was under way.
3. Take the width with the most rows a second, as measured (width.py). Beyond some width each row can take so
   much longer that less is written (a crowded server, or a busy processor here). A trial compares two widths by
   Little's law: writes under way, divided by seconds a row. A narrower width that writes as much is better: it costs
   less of the budget. A trial takes about half a round of writes. It is made once at the start of a wide run, when rows
   take longer than they did, and from time to time below the ceiling; after a failure the next one waits twice as long.
   Where the budget decides, a wide burst is as good as a narrow stream: the widest width at which a row costs little is
   taken instead. After a throttle a few writes at a narrow width show what a row costs there.
4. A timeout narrows the width by a third and halves the rows in a write.
5. A write takes about TARGET_S: long enough to make its fixed cost small, short enough to feel a change within seconds.

Dataverse also reports what remains of its limits. Microsoft documents these headers as not meant for pacing (they start
again when another server answers), so nothing here depends on them. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from linker.core.model import WIRE
from linker.core.throttling.allowance import Kind, free_at, lanes, learn, left_s, spend, sustained
from linker.core.throttling.width import (
    FEWEST,
    FIRST_BATCH,
    MAX_WIDTH,
    SMALLEST,
    TARGET_S,
    UNHINTED,
    WIDE,
    Control,
    Write,
    batch_of,
    break_off,
    ceiling_of,
    end_trials,
    search_width,
    spare_at,
    step,
)

SMOOTHING = 0.1
SHORTEST_S = 0.001  # of a write: what a clock that was set back says is less, down to nothing
FORGET = 1.0003  # for each write: how fast the best is forgotten, since other tables cost more
SURGE = 1.7  # times the width that the budget sustains: where it decides, going slower costs nothing
SPARE = 2  # shards in flight beyond the width: they read while the others write
MAX_SHARDS = 14  # in flight for each process: the platform runs 16 activities (host.json), and reports need room too
PEER_S = 180.0  # a process that has reported nothing for so long shares no more


@dataclass(frozen=True, slots=True)
class Pace:
    """What a process reports of its state, and what the orchestrator gives to the next activities."""

    __pydantic_config__ = WIRE
    width: int = UNHINTED
    batch: int = FIRST_BATCH
    hint: int = 0
    most: int = MAX_WIDTH
    processes: int = 1
    held_until_s: float = 0.0
    at_s: float = 0.0
    process: str = ""
    peers: tuple[tuple[str, float], ...] = ()  # processes that reported recently, and when; kept by the orchestrator

    @property
    def ceiling(self) -> int:
        """Most writes at once in one process."""
        return ceiling_of(self.most, self.hint, self.processes)


@dataclass(frozen=True, slots=True)
class Load:
    """What an activity reports: the pace of its process, and whether Dataverse asked for a pause meanwhile."""

    __pydantic_config__ = WIRE
    pace: Pace = Pace()
    throttled: bool = False


def first_control(most: int, hint: int = 0) -> Control:
    """Return the control to begin with; `most` is LINKER_WIDTH, 0 leaves the width to Dataverse's hint."""
    first = Control(most=most or MAX_WIDTH)
    return with_hint(replace(first, width=first.ceiling), hint)


def with_hint(control: Control, hint: int) -> Control:
    """Return the control after a response that carried a hint; one that was at its ceiling stays there."""
    return _within(control, replace(control, hint=hint)) if hint and hint != control.hint else control


def share_control(control: Control, processes: int) -> Control:
    """Return the control of one of so many processes that write for the same run."""
    return _within(control, replace(control, processes=processes)) if processes != control.processes else control


def _within(before: Control, control: Control) -> Control:
    """Bring the width to a ceiling that moved. Rows a second at the old width say nothing about a higher one."""
    follows = before.width >= before.ceiling and not before.trial.back
    width = control.ceiling if follows else min(control.width, control.ceiling)
    return step(control, width, control.at_s) if width != control.width else control


def after_request(control: Control, at_s: float, seconds: float, requests: int = 1) -> Control:
    """Return the control after a request of any kind was answered: all of them count against the budget."""
    most = control.ceiling if control.allowance.is_known else MAX_WIDTH  # before the first refusal nothing is raised
    return replace(control, at_s=at_s, allowance=spend(control.allowance, at_s, seconds, requests, most))


def after_write(control: Control, write: Write) -> Control:
    """Return the control after a write that Dataverse carried out. `after_request` counts it too."""
    if not write.rows or write.seconds <= 0:
        return control
    write = replace(write, seconds=max(write.seconds, SHORTEST_S))
    row_s = write.seconds / write.rows
    row_s = control.row_s + SMOOTHING * (row_s - control.row_s) if control.row_s else row_s
    best = min(control.best_row_s * FORGET, row_s) if control.best_row_s else row_s
    control = replace(control, at_s=write.at_s, row_s=round(row_s, 6), best_row_s=round(best, 6))
    control = replace(control, batch=batch_of(control))
    return search_width(control, write)


def after_throttle(control: Control, at_s: float, wait_s: float, kind: Kind, under_way: int) -> Control:
    """Return the control after a 429. Those that answer requests from before the first one only move the end of the pause."""
    held = max(control.held_until_s, at_s + wait_s)  # not rounded: a moment too early makes the next pause longer
    if at_s < control.held_until_s:
        return replace(control, at_s=at_s, held_until_s=held)
    control = replace(control, at_s=at_s, held_until_s=held)
    if kind == "concurrency":
        return end_trials(step(control, max(FEWEST, min(control.width, under_way) * 4 // 5), at_s))
    control = break_off(replace(control, allowance=learn(control.allowance, at_s, wait_s, kind)), at_s)
    if not control.allowance.is_known:
        return control
    rate = sustained(control.allowance)
    surge = SURGE if control.width > WIDE else 1.0
    narrower = max(ceil(rate), int(surge * rate))
    return spare_at(control, narrower, held) if narrower < control.width else control


def after_timeout(control: Control, at_s: float, under_way: int) -> Control:
    """Return the control after a write that got no answer in time, or was too large. Writes in flight share one timeout."""
    control = replace(control, batch=max(SMALLEST, control.batch // 2), row_s=0.0)
    if at_s < control.trial.since_s + TARGET_S:
        return control
    return end_trials(step(replace(control, at_s=at_s), max(FEWEST, min(control.width, under_way) * 2 // 3), at_s))


def rows_of_write(control: Control, number: int) -> int:
    """Return how many rows the write of this number takes. The first writes of a wide run differ in size, so that they end one
    after the other: else all of them end at once, time after time, and a used-up budget refuses a whole round.
    """
    if control.row_s or control.width <= WIDE:
        return control.batch
    return max(SMALLEST, control.batch - control.batch * (number % control.width) // (2 * control.width))


def width_at(control: Control, now_s: float) -> int:
    """Return how many writes may be under way in this process; 0 means that `hold_s` has to pass first."""
    if now_s < control.held_until_s:
        return 0
    known = control.allowance.is_known
    allowed = lanes(control.allowance, now_s, control.batch * control.row_s) if known else None
    return control.width if allowed is None else min(control.width, allowed)


def hold_s(control: Control, now_s: float, *, writes: bool = True) -> float:
    """Return the seconds in which nothing may be sent. A used-up budget holds writes only: a few reads cost little."""
    until = max(now_s, control.held_until_s)
    if control.allowance.is_known and (writes or left_s(control.allowance, until) <= 0):
        until = free_at(control.allowance, until, control.batch * control.row_s if writes else 0.0)
    return until - now_s


class Room(NamedTuple):
    """What may be sent now: writes under way at most, or nothing for `hold_s` seconds."""

    hold_s: float
    width: int


def find_room(control: Control, now_s: float) -> Room:
    """Return what may be sent in this process: one of the two values of a room is 0."""
    if held_s := hold_s(control, now_s):
        return Room(held_s, 0)
    return Room(0.0, width_at(control, now_s))


def report(control: Control, now_s: float) -> Pace:
    """Return what the orchestrator has to know. Its width is the one of this moment, or of the moment after a pause."""
    width = width_at(control, now_s) or control.width
    return Pace(
        width,
        control.batch,
        control.hint,
        control.most,
        control.processes,
        control.held_until_s,
        control.at_s,
        control.process,
    )


def adopt_pace(control: Control, pace: Pace, now_s: float) -> Control:
    """Return the state of a process that was given the orchestrator's pace: a fresh one begins there; a pause that
    another process was asked for holds for all, and so does their number. A process that the orchestrator has not heard
    of yet counts itself besides.

    The clock of the other process may be wrong, its seconds are not: a pause lasts from now no longer than it did from the
    time of the report, and is adopted once.
    """
    if pace.held_until_s != control.heard_until_s:
        until_s = min(pace.held_until_s, now_s + max(0.0, pace.held_until_s - pace.at_s))
        control = replace(control, held_until_s=max(control.held_until_s, until_s), heard_until_s=pace.held_until_s)
    processes = {control.process, pace.process, *(name for name, _ in pace.peers)} - {""}
    control = share_control(control, max(pace.processes, len(processes)))
    if pace.process == control.process or pace.at_s < control.at_s:
        return control
    known = replace(control, batch=pace.batch, hint=pace.hint or control.hint, at_s=pace.at_s)
    return replace(known, width=min(pace.width, known.ceiling))


# ---- what the orchestrator does with the reports ----


def next_pace(pace: Pace, load: Load) -> Pace:
    """Return the newer of two paces. It knows how many processes reported recently, so that they share the hint."""
    news = load.pace
    newer = news if news.at_s >= pace.at_s else pace
    seen = dict(pace.peers) | ({news.process: news.at_s} if news.process else {})
    peers = tuple(sorted((name, at_s) for name, at_s in seen.items() if at_s > newer.at_s - PEER_S))
    return replace(newer, peers=peers, processes=max(1, len(peers)))


def shards_in_flight(pace: Pace) -> int:
    """Return how many shards should be in flight in all processes together."""
    return pace.processes * min(MAX_SHARDS, pace.width + SPARE)
