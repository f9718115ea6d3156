"""How hard one process pushes Dataverse: a pure controller of the writes under way and of the rows in each.

Each process has one `Control`. Its limiter (linker/limiter.py) feeds it every answer and asks it before every write; the
orchestrator only reads it, to start enough shards and to wait when Dataverse asked for a pause. The control law:

1. Start at Dataverse's hint (`x-ms-dop-hint`). It is on every response, so the reads before the first write have given
   it. The width never exceeds the hint, LINKER_WIDTH, MAX_WIDTH, or, when several processes work on the run, this
   process's share of them. A hint that changes takes effect with the response that carries it, in both directions.
2. Spend the budget of the window, then what leaves it: linker/core/allowance.py. After a throttle nothing is sent
   until Retry-After ends, since asking sooner makes the next wait longer (service protection limits). A concurrency
   throttle is about the width alone, which falls below what was under way.
3. Take the width with the most rows a second, as measured. Beyond some width each row can take so much longer that
   less is written (a crowded server, or a busy processor here). A trial compares two widths by Little's law: writes
   under way, divided by seconds a row. A narrower width that writes as much is better: it costs less of the budget. A
   trial takes about one round of writes. It is made once at the start of a wide run, when rows take longer than they
   did, and from time to time below the ceiling; after a failure the next one waits twice as long.
4. A timeout narrows the width by a third and halves the rows in a write.
5. A write takes about TARGET_S: long enough to make its fixed cost small, short enough to feel a change within seconds.

Dataverse also reports what remains of its limits. Microsoft documents these headers as not meant for pacing (they start
again when another server answers), so nothing here depends on them. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from linker.core.allowance import Allowance, Kind, free_at, is_binding, lanes, learn, spend, sustained
from linker.model import WIRE

FEWEST = 1
MAX_WIDTH = 64  # what a process can do: more writes at once only wait for its one processor
UNHINTED = 4  # writes at once until the first hint: what 1,200 s in 300 s allow for ever (dataverse.md 1.5)
SMALLEST, LARGEST = 50, 1_000  # rows in one UpdateMultiple: documented advice is 100 to 1,000 (dataverse.md 2.4)
FIRST_BATCH = 100
TARGET_S = 2.0
SMOOTHING = 0.1
SLOWER = 1.3  # times the seconds a row took at best lately: worth a trial
FORGET = 1.0003  # for each write: how fast the best is forgotten, since other tables cost more
WIDE, NARROW = 8, 4  # above, a trial costs little beside what it can bring; below, it costs more than it can bring
ENOUGH = 12  # writes to judge a width by, or half a round of it, whichever is more
AS_GOOD, BETTER = 0.97, 1.05  # of the rows a second: below and above this, two widths differ
SURGE = 1.7  # times the width that the budget sustains: where it decides, going slower costs nothing
COSTLY, CHEAP = 1.15, 1.05  # times the best seconds of a row, where the budget decides
COARSE, FINE, WIDER = 0.5, 0.75, 1.5  # factors of a trial
PATIENCE_S, MAX_PATIENCE_S = 30.0, 480.0  # until the next trial
SPARE = 2  # shards in flight beyond the width: they read while the others write
MAX_SHARDS = 14  # in flight for each process: the platform runs 16 activities (host.json), and reports need room too
RESERVE_LANES = 1.25  # lanes for each write: some shards read while the others write
PEER_S = 180.0  # a process that has reported nothing for so long shares no more


@dataclass(frozen=True, slots=True)
class Sample:
    """Writes at one width: how many, their rows, their seconds, and the seconds times the writes under way."""

    writes: int = 0
    rows: int = 0
    seconds: float = 0.0
    crowd_s: float = 0.0

    @property
    def rows_s(self) -> float:
        """Rows a second of all lanes together (Little's law)."""
        return self.under_way * self.rows / self.seconds

    @property
    def row_s(self) -> float:
        """Seconds of a row."""
        return self.seconds / self.rows

    @property
    def under_way(self) -> float:
        """Writes at once, on average."""
        return self.crowd_s / self.seconds


@dataclass(frozen=True, slots=True)
class Trial:
    """The search for the best width. `back` is the width to return to, 0 while none is tried."""

    sample: Sample = Sample()
    since_s: float = 0.0  # writes that began earlier felt another width
    back: int = 0
    base: float = 0.0  # rows a second at `back`
    factor: float = COARSE
    next_s: float = 0.0
    patience_s: float = PATIENCE_S
    is_due: bool = True  # a narrower width should be tried
    began_s: float = 0.0  # first write


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
    peers: tuple[tuple[str, float], ...] = ()  # processes that reported lately, and when; kept by the orchestrator

    @property
    def ceiling(self) -> int:
        """Most writes at once in one process."""
        return _ceiling(self)


@dataclass(frozen=True, slots=True)
class Load:
    """What an activity reports: the pace of its process, and whether Dataverse asked for a pause meanwhile."""

    __pydantic_config__ = WIRE
    pace: Pace = Pace()
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """The state of one process: `width` writes under way, `batch` rows in each."""

    width: int = UNHINTED  # as far as rows a second decide; `width_at` has the budget in it too
    batch: int = FIRST_BATCH
    hint: int = 0  # last x-ms-dop-hint, 0 before the first
    most: int = MAX_WIDTH  # LINKER_WIDTH
    processes: int = 1  # that share the hint
    row_s: float = 0.0  # seconds of one row in a write, smoothed
    best_row_s: float = 0.0
    held_until_s: float = 0.0  # nothing may be sent before
    at_s: float = 0.0  # of the last change
    process: str = ""
    allowance: Allowance = Allowance()
    trial: Trial = Trial()

    @property
    def ceiling(self) -> int:
        """Most writes at once in this process."""
        return _ceiling(self)


@dataclass(frozen=True, slots=True)
class Write:
    """One answered write. `under_way` counts the writes of this process while it ran, itself included, on average."""

    at_s: float  # when it ended
    seconds: float
    rows: int
    under_way: float


def _ceiling(known: Control | Pace) -> int:
    """The hint and LINKER_WIDTH are for all processes together."""
    return max(FEWEST, min(known.most, known.hint or UNHINTED) // known.processes)


def first_control(most: int, hint: int = 0) -> Control:
    """Return the control to begin with; `most` is LINKER_WIDTH, 0 leaves the width to Dataverse's hint."""
    return with_hint(Control(most=most or MAX_WIDTH), hint)


def with_hint(control: Control, hint: int) -> Control:
    """Return the control after a response that carried a hint; one that was at its ceiling stays there."""
    return _within(control, replace(control, hint=hint)) if hint and hint != control.hint else control


def shared(control: Control, processes: int) -> Control:
    """Return the control of one of so many processes that write for the same run."""
    return _within(control, replace(control, processes=processes)) if processes != control.processes else control


def _within(before: Control, control: Control) -> Control:
    """Bring the width to a ceiling that moved. Rows a second at the old width say nothing about a higher one."""
    follows = before.width >= before.ceiling and not before.trial.back
    width = control.ceiling if follows else min(control.width, control.ceiling)
    return _step(control, width, control.at_s) if width != control.width else control


def after_request(control: Control, at_s: float, seconds: float, requests: int = 1) -> Control:
    """Return the control after a request of any kind was answered: all of them count against the budget."""
    return replace(control, at_s=at_s, allowance=spend(control.allowance, at_s, seconds, requests))


def after_write(control: Control, write: Write) -> Control:
    """Return the control after a write that Dataverse carried out. `after_request` counts it too."""
    if not write.rows or write.seconds <= 0:
        return control
    row_s = write.seconds / write.rows
    row_s = control.row_s + SMOOTHING * (row_s - control.row_s) if control.row_s else row_s
    best = min(control.best_row_s * FORGET, row_s) if control.best_row_s else row_s
    control = replace(control, at_s=write.at_s, row_s=round(row_s, 6), best_row_s=round(best, 6))
    control = replace(control, batch=_batch(control))
    return _searched(control, write)


def after_throttle(control: Control, at_s: float, wait_s: float, kind: Kind, under_way: int) -> Control:
    """Return the control after a 429. Those that answer requests from before the first one only move the end of the pause."""
    held = max(control.held_until_s, round(at_s + wait_s, 2))
    if at_s < control.held_until_s:
        return replace(control, at_s=at_s, held_until_s=held)
    control = replace(control, at_s=at_s, held_until_s=held)
    if kind == "concurrency":
        return _rested(_step(control, max(FEWEST, min(control.width, under_way) * 4 // 5), at_s))
    control = _stopped(replace(control, allowance=learn(control.allowance, at_s, wait_s, kind)), at_s)
    if not control.allowance.is_known:
        return control
    rate = sustained(control.allowance)
    surge = SURGE if control.width > WIDE else 1.0
    return _step(control, min(control.width, max(ceil(rate), int(surge * rate))), at_s)


def after_timeout(control: Control, at_s: float, under_way: int) -> Control:
    """Return the control after a write that got no answer in time, or was too large. Writes in flight share one timeout."""
    control = replace(control, batch=max(SMALLEST, control.batch // 2), row_s=0.0)
    if at_s < control.trial.since_s + TARGET_S:
        return control
    return _rested(_step(replace(control, at_s=at_s), max(FEWEST, min(control.width, under_way) * 2 // 3), at_s))


def width_at(control: Control, now_s: float) -> int:
    """Return how many writes may be under way in this process; 0 means that `hold_s` has to pass first."""
    if now_s < control.held_until_s:
        return 0
    allowed = lanes(control.allowance, now_s)
    return control.width if allowed is None else min(control.width, allowed)


def hold_s(control: Control, now_s: float, *, writes: bool = True) -> float:
    """Return the seconds in which nothing may be sent. A used-up budget holds writes only: a few reads cost little."""
    until = max(now_s, control.held_until_s)
    return (free_at(control.allowance, until) if writes else until) - now_s


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


def adopted(control: Control, pace: Pace) -> Control:
    """Return the state of a process that was given the orchestrator's pace: a fresh one begins there; a pause that
    another process was asked for holds for all, and so does their number.
    """
    control = shared(replace(control, held_until_s=max(control.held_until_s, pace.held_until_s)), pace.processes)
    if pace.process == control.process or pace.at_s < control.at_s:
        return control
    known = replace(control, batch=pace.batch, hint=pace.hint or control.hint, at_s=pace.at_s)
    return replace(known, width=min(pace.width, known.ceiling))


# ---- what the orchestrator does with the reports ----


def next_pace(pace: Pace, load: Load) -> Pace:
    """Return the newer of two paces. It knows how many processes reported lately, so that they share the hint."""
    news = load.pace
    newer = news if news.at_s >= pace.at_s else pace
    seen = dict(pace.peers) | ({news.process: news.at_s} if news.process else {})
    peers = tuple(sorted((name, at_s) for name, at_s in seen.items() if at_s > newer.at_s - PEER_S))
    return replace(newer, peers=peers, processes=max(1, len(peers)))


def shards_in_flight(pace: Pace) -> int:
    """Return how many shards should be in flight in all processes together."""
    return pace.processes * min(MAX_SHARDS, pace.width + SPARE)


def lanes_of_shard(pace: Pace, shards: int) -> int:
    """Return how many writes one of so many shards may have under way. The limiter keeps their sum within the width, so
    there are enough for all shards that write while others read.
    """
    return max(1, min(pace.ceiling, ceil(pace.ceiling * pace.processes * RESERVE_LANES / max(1, shards))))


# ---- the search for the best width ----


def _searched(control: Control, write: Write) -> Control:
    """Take the write into the sample, and decide with a full one."""
    trial = control.trial
    if write.at_s - write.seconds < trial.since_s:
        return control
    binds = is_binding(control.allowance, write.at_s)
    if write.under_way < 0.7 * control.width and not binds:  # a lack of work: nothing to learn about the width
        return _stopped(control, write.at_s)
    old = trial.sample
    trial = trial if trial.began_s else replace(trial, began_s=write.at_s)
    sample = Sample(
        old.writes + 1,
        old.rows + write.rows,
        round(old.seconds + write.seconds, 3),
        round(old.crowd_s + write.seconds * write.under_way, 3),
    )
    control = replace(control, trial=replace(trial, sample=sample))
    if sample.writes < max(ENOUGH, control.width // 2):
        return control
    if binds:
        return _spared(control, write.at_s)
    return _judged(control, write.at_s) if trial.back else _begun(control, write.at_s)


def _spared(control: Control, at_s: float) -> Control:
    """Where the budget decides, take the width at which a row costs little of it, and at least the one it sustains."""
    trial = control.trial
    control = replace(control, trial=replace(trial, back=0))
    cost = trial.sample.row_s / control.best_row_s
    if cost > COSTLY:
        return _step(control, max(ceil(sustained(control.allowance)), min(control.width * 3 // 4, control.width)), at_s)
    if cost < CHEAP and trial.sample.under_way > 0.7 * control.width and at_s >= trial.next_s:
        return _step(control, max(control.width + 1, control.width * 5 // 4), at_s)
    return _measuring(control, at_s)


def _begun(control: Control, at_s: float) -> Control:
    """Begin a trial when there is a reason for one; else measure again."""
    trial, is_slow = control.trial, control.row_s > SLOWER * control.best_row_s
    # A narrow width is tried in small steps, and not at once: a short run would not win back what that costs.
    is_wide = control.width > WIDE
    is_due = (
        trial.is_due
        and at_s >= trial.next_s
        and (is_wide or (control.width >= NARROW and at_s > trial.began_s + PATIENCE_S))
    )
    width = control.width
    if is_slow or is_due:
        factor = trial.factor if is_wide or is_slow else FINE
        width = min(control.width - 1, int(control.width * factor))
    elif at_s >= trial.next_s and control.width < control.ceiling:
        width = min(control.ceiling, max(control.width + 1, int(control.width * WIDER)))
    if width == control.width or width < FEWEST:
        return _measuring(control, at_s)
    trying = replace(trial, back=control.width, base=round(trial.sample.rows_s, 3))
    return _step(replace(control, trial=trying), width, at_s)


def _judged(control: Control, at_s: float) -> Control:
    """Keep the width of a trial, or return from it; a narrower one is tried in two sizes of step."""
    trial = control.trial
    narrower = control.width < trial.back
    if trial.sample.rows_s >= (AS_GOOD if narrower else BETTER) * trial.base:
        kept = replace(trial, back=0, is_due=narrower, next_s=at_s, patience_s=PATIENCE_S)
        return _measuring(replace(control, trial=kept, best_row_s=control.row_s), at_s)
    best = max(control.best_row_s, trial.back / trial.base) if narrower else control.best_row_s
    control = _step(replace(control, best_row_s=round(best, 6)), trial.back, at_s)
    if narrower and trial.factor == COARSE:
        return replace(control, trial=replace(control.trial, back=0, factor=FINE))
    return _rested(control)


def _rested(control: Control) -> Control:
    """End the trials for a while, which grows as long as they bring nothing."""
    trial = control.trial
    longer = min(MAX_PATIENCE_S, trial.patience_s * 2)
    next_s = round(control.at_s + trial.patience_s, 2)
    return replace(control, trial=replace(trial, back=0, factor=COARSE, is_due=False, next_s=next_s, patience_s=longer))


def _stopped(control: Control, at_s: float) -> Control:
    """Break a trial off, back at the width before it."""
    return _step(replace(control, trial=replace(control.trial, back=0)), control.trial.back or control.width, at_s)


def _step(control: Control, width: int, at_s: float) -> Control:
    return _measuring(replace(control, width=min(width, control.ceiling)), at_s)


def _measuring(control: Control, at_s: float) -> Control:
    return replace(control, trial=replace(control.trial, sample=Sample(), since_s=round(at_s, 3)))


def _batch(control: Control) -> int:
    """Return how many rows take about TARGET_S; at most twice as many as before."""
    return max(SMALLEST, min(LARGEST, int(TARGET_S / control.row_s), control.batch * 2))
