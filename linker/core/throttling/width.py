"""The state of one process and its search for the width that writes the most rows a second: part of the pace, rule 3."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from linker.core.throttling.allowance import Allowance, sustained

FEWEST = 1
MAX_WIDTH = 64  # what a process can do: more writes at once only wait for its one processor
# Writes at once until the first hint: what 1,200 s in 300 s allow for ever (docs/reference/dataverse.md 1.5).
UNHINTED = 4
# Rows in one UpdateMultiple: documented advice is 100 to 1,000 (docs/reference/dataverse.md 2.4).
SMALLEST, LARGEST = 50, 1_000
FIRST_BATCH = 100
TARGET_S, SLOW_S = 2.0, 4.0
SLOWER = 1.3  # times the seconds a row took at best recently: worth a trial
WIDE, NARROW = 8, 4  # above, a trial costs little beside what it can bring; below, a few writes have to be enough
ENOUGH = 12  # writes to judge a width by, or half a round of it, whichever is more
FEW = 6  # writes to judge by where each takes long, and a large difference is all that matters
AS_GOOD, BETTER = 0.97, 1.05  # of the rows a second: below and above this, two widths differ
COSTLY, CHEAP = 1.15, 1.05  # times the best seconds of a row, where the budget decides
NARROWER, WIDER = 0.75, 1.5  # factors of a trial
PATIENCE_S, MAX_PATIENCE_S = 30.0, 480.0  # until the next trial


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
    next_s: float = 0.0
    patience_s: float = PATIENCE_S
    is_due: bool = True  # a narrower width should be tried
    has_helped: bool = False  # the last narrower width wrote as much: the next one is tried at once
    began_s: float = 0.0  # first write


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
    heard_until_s: float = 0.0  # end of the pause that another process was asked for last, by its own clock
    at_s: float = 0.0  # of the last change
    process: str = ""
    allowance: Allowance = Allowance()
    trial: Trial = Trial()

    @property
    def ceiling(self) -> int:
        """Most writes at once in this process."""
        return ceiling_of(self.most, self.hint, self.processes)


@dataclass(frozen=True, slots=True)
class Write:
    """One answered write. `under_way` counts the writes of this process while it ran, itself included, on average."""

    at_s: float  # when it ended
    seconds: float
    rows: int
    under_way: float


def ceiling_of(most: int, hint: int, processes: int) -> int:
    """Return the most writes at once in one process; hint and LINKER_WIDTH are for all processes together."""
    return max(FEWEST, min(most, hint or UNHINTED) // processes)


def search_width(control: Control, write: Write) -> Control:
    """Take the write into the sample, and decide with a full one."""
    trial = control.trial
    if write.at_s - write.seconds < trial.since_s:
        return control
    binds = control.allowance.is_known and sustained(control.allowance) < control.width
    if write.under_way < 0.7 * control.width and not binds:  # a lack of work: nothing to learn about the width
        return break_off(control, write.at_s)
    old = trial.sample
    trial = trial if trial.began_s else replace(trial, began_s=write.at_s)
    sample = Sample(
        old.writes + 1,
        old.rows + write.rows,
        round(old.seconds + write.seconds, 3),
        round(old.crowd_s + write.seconds * write.under_way, 3),
    )
    control = replace(control, trial=replace(trial, sample=sample))
    if binds:
        return _spare_budget(control, write.at_s)
    if sample.writes < (FEW if control.width < NARROW else max(ENOUGH, control.width // 2)):
        return control
    return _judge_trial(control, write.at_s) if trial.back else _begin_trial(control, write.at_s)


def _spare_budget(control: Control, at_s: float) -> Control:
    """Where the budget decides, take the width at which a row costs little of it, and at least the one it sustains."""
    trial = control.trial
    if trial.sample.writes < (FEW if trial.back else max(ENOUGH, control.width // 2)):
        return control
    control = replace(control, trial=replace(trial, back=0))
    if trial.back and trial.base < COSTLY * trial.sample.row_s:
        return step(control, trial.back, at_s)
    cost = trial.sample.row_s / control.best_row_s
    if cost > COSTLY:
        control = end_trials(control) if at_s >= trial.next_s else control
        return step(control, max(ceil(sustained(control.allowance)), control.width * 3 // 4), at_s)
    if cost < CHEAP and trial.sample.under_way > 0.7 * control.width and at_s >= trial.next_s:
        return step(control, max(control.width + 1, control.width * 5 // 4), at_s)
    return _measure_again(control, at_s)


def _begin_trial(control: Control, at_s: float) -> Control:
    """Begin a trial when there is a reason for one; else measure again."""
    trial, is_slow = control.trial, control.row_s > SLOWER * control.best_row_s
    # A narrow width is tried in small steps, and not at once: a short run would not win back what that costs.
    is_wide = control.width > WIDE
    is_due = (
        trial.is_due and at_s >= trial.next_s and (is_wide or trial.has_helped or at_s > trial.began_s + PATIENCE_S)
    )
    width = control.width
    if is_slow or is_due:
        width = min(control.width - 1, int(control.width * NARROWER))
    elif at_s >= trial.next_s and control.width < control.ceiling:
        width = min(control.ceiling, max(control.width + 1, int(control.width * WIDER)))
    if width == control.width or width < FEWEST:
        return _measure_again(control, at_s)
    trying = replace(trial, back=control.width, base=round(trial.sample.rows_s, 3))
    return step(replace(control, trial=trying), width, at_s)


def _judge_trial(control: Control, at_s: float) -> Control:
    """Keep the width of a trial, or return from it."""
    trial = control.trial
    narrower = control.width < trial.back
    if trial.sample.rows_s >= (AS_GOOD if narrower else BETTER) * trial.base:
        kept = replace(trial, back=0, is_due=narrower, has_helped=narrower, next_s=at_s, patience_s=PATIENCE_S)
        control = replace(control, trial=kept, best_row_s=control.row_s)
        return _begin_trial(control, at_s) if narrower else _measure_again(control, at_s)
    best = max(control.best_row_s, trial.back / trial.base) if narrower else control.best_row_s
    return end_trials(step(replace(control, best_row_s=round(best, 6)), trial.back, at_s))


def spare_at(control: Control, width: int, from_s: float) -> Control:
    """Compare what a row costs at a narrower width, where the budget decides. Writes that began before felt another one."""
    trying = replace(control.trial, back=control.width, base=control.row_s)
    return step(replace(control, trial=trying), width, from_s)


def end_trials(control: Control) -> Control:
    """End the trials for a while, which grows as long as they bring nothing."""
    trial = control.trial
    next_s, longer = round(control.at_s + trial.patience_s, 2), min(MAX_PATIENCE_S, trial.patience_s * 2)
    trial = replace(trial, back=0, is_due=False, has_helped=False, next_s=next_s, patience_s=longer)
    return replace(control, trial=trial)


def break_off(control: Control, at_s: float) -> Control:
    """Break a trial off, back at the width before it."""
    return step(replace(control, trial=replace(control.trial, back=0)), control.trial.back or control.width, at_s)


def step(control: Control, width: int, at_s: float) -> Control:
    return _measure_again(replace(control, width=min(width, control.ceiling)), at_s)


def _measure_again(control: Control, at_s: float) -> Control:
    return replace(control, trial=replace(control.trial, sample=Sample(), since_s=round(at_s, 3)))


def batch_of(control: Control) -> int:
    """Return how many rows take about TARGET_S; at most twice as many as before. Few rows make many requests, and where
    requests are what takes the time, still fewer rows would make it worse: so 100 of them may take up to SLOW_S.
    """
    fitting = int(TARGET_S / control.row_s)
    fewest = min(FIRST_BATCH, int(SLOW_S / control.row_s))
    return max(SMALLEST, min(LARGEST, max(fitting, fewest), control.batch * 2))
