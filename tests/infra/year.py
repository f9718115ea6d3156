"""A year of what the app logs, and each fault in it: the rows that alert queries read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from linker.adapters import telemetry
from linker.services.run_requests import MAX_BETWEEN_RUNS_S
from tests.infra.kusto import DAY, HOUR, Row

MINUTE = 60.0
TICK_S = 5 * MINUTE  # of the timer that asks for runs; of the watchdog's ticks a fifth is enough to show
YEAR_S = 365 * DAY
ROWS = 20_000


@dataclass(slots=True)
class Log:
    """What arrived in the workspace. Telemetry takes two to five minutes, now and then ten."""

    chance: random.Random = field(default_factory=lambda: random.Random(1))
    rows: list[Row] = field(default_factory=list)

    def write(self, at: float, message: str, **properties: Any) -> None:
        """Add a message of the app at a time in seconds."""
        delay = self.chance.uniform(120, 300) if self.chance.random() > 0.02 else 600.0
        self.rows.append({"TimeGenerated": at, "arrives": at + delay, "Message": message, "Properties": properties})

    def beats(self, start: float, end: float) -> None:
        """Add the ticks of the watchdog between two times."""
        at = start
        while at < end:
            self.write(at, telemetry.HEARTBEAT, run="")
            at += TICK_S

    def run(self, at: float, takes_s: float, *, ends: bool = True, **facts: Any) -> None:
        """Add a run, with its one table."""
        name = f"r{at:.0f}"
        known = {"run": name, "mode": "incremental", "modeReason": "", "dryRun": "false"} | facts
        status = known.pop("status", "Successful")
        rows = {"rowsRead": known.pop("rows_read", ROWS), "rejected": known.pop("rejected", 0)}
        scan = known.pop("scan", "full")
        self.write(at, telemetry.BEGAN, **known)
        if ends:
            table = {"table": "contact", "status": status, "scan": scan}
            if status != "Skipped":
                self.write(at + takes_s, telemetry.TABLE_ENDED, **known, **table, **rows)
            self.write(at + takes_s, telemetry.RUN_ENDED, **known, status=status, seconds=f"{takes_s:.0f}", **rows)


def unifications(every_s: float, jitter_s: float, takes_s: float, until: float) -> Iterator[tuple[float, float]]:
    """Yield begin and length of each run: after a unification, and a day after the last run where none came."""
    chance, last_end, due = random.Random(2), 0.0, every_s
    while last_end < until:
        overdue = last_end + MAX_BETWEEN_RUNS_S
        came = due + chance.uniform(-jitter_s, jitter_s) if every_s else float("inf")
        begin = (min(came, overdue) // TICK_S + 1) * TICK_S  # at the next tick of the timer
        begin = max(begin, last_end + TICK_S)
        if came <= overdue:
            due += every_s
        yield begin, takes_s
        last_end = begin + takes_s


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, which begins at FAULT_S in a healthy fortnight. `expected`: rules that report it, with the time that takes."""

    name: str
    expected: dict[str, float]
    play: Callable[[Log], None]


FAULT_S, FORTNIGHT_S = 7 * DAY, 14 * DAY


def _healthy(log: Log, start: float, end: float, *, beats: bool = True, runs: bool = True) -> None:
    if beats:
        log.beats(start, end)
    if runs:
        for begin, takes in unifications(DAY, 20 * MINUTE, 5 * MINUTE, end):
            if start <= begin < end:
                log.run(begin, takes)


def _stops(log: Log) -> None:
    _healthy(log, 0, FAULT_S)


def _not_asked_for(log: Log) -> None:
    _healthy(log, 0, FAULT_S)
    log.beats(FAULT_S, FORTNIGHT_S)


def _daily(*, ends: bool = True, **facts: Any) -> Callable[[Log], None]:
    """A fault that shows in every run from FAULT_S on."""

    def play(log: Log) -> None:
        _healthy(log, 0, FAULT_S)
        log.beats(FAULT_S, FORTNIGHT_S)
        at = FAULT_S
        while at < FORTNIGHT_S:
            log.run(at, 5 * MINUTE, ends=ends, **facts)
            at += DAY

    return play


def _hourly_failures(log: Log) -> None:
    _healthy(log, 0, FAULT_S)
    log.beats(FAULT_S, FORTNIGHT_S)
    at = FAULT_S
    while at < FORTNIGHT_S:
        log.run(at, 2 * MINUTE, status="Failed (permanent)")
        at += HOUR


def _hangs(log: Log) -> None:
    _healthy(log, 0, FAULT_S)
    log.beats(FAULT_S, FORTNIGHT_S)
    log.run(FAULT_S, 0, ends=False)


def _only_dry(log: Log) -> None:
    _healthy(log, 0, FAULT_S)
    log.beats(FAULT_S, FORTNIGHT_S)
    for number in range(7):
        log.run(FAULT_S + number * DAY, 5 * MINUTE, dryRun="true")


def _half_the_rows(log: Log) -> None:
    _healthy(log, 0, FAULT_S)
    log.beats(FAULT_S, FORTNIGHT_S)
    for number in range(14):
        rows = {"rows_read": 120, "scan": "changes"} if number % 2 == 0 else {"rows_read": ROWS // 2}
        log.run(FAULT_S + number * 12 * HOUR, 5 * MINUTE, **rows)


SOON = 60 * MINUTE  # the message takes up to 10 minutes, the rule looks every 15 and may need 30 minutes of silence
NO_RUN = 31 * HOUR + 15 * MINUTE
FAULTS = (
    Fault("the app stops, or never starts", {"heartbeat": SOON, "no-run": NO_RUN}, _stops),
    Fault("timers stop after a deployment", {"heartbeat": SOON, "no-run": NO_RUN}, _stops),
    Fault("state or task hub refuse the app", {"heartbeat": SOON, "no-run": NO_RUN}, _stops),
    Fault("telemetry is refused, or over its daily cap", {"heartbeat": SOON, "no-run": NO_RUN}, _stops),
    Fault("no run is asked for (LINKER_POLL is false, no event comes)", {"no-run": NO_RUN}, _not_asked_for),
    Fault("orchestrations stay pending: runs never begin", {"no-run": NO_RUN}, _not_asked_for),
    Fault("every run is skipped: a requirement is violated", {"no-run": NO_RUN}, _daily(status="Skipped")),
    Fault("every run fails and is tried again", {"no-run": NO_RUN}, _daily(status="Failed (retrying)")),
    Fault("only dry runs end", {"no-run": NO_RUN}, _only_dry),
    Fault("runs fail for good, each hour another", {"permanent-failure": SOON, "no-run": NO_RUN}, _hourly_failures),
    Fault("a run hangs", {"run-too-long": 6 * HOUR + SOON, "no-run": NO_RUN}, _hangs),
    Fault(
        "rows are rejected in each run", {"rejected-rows": SOON}, _daily(rejected=3, status="Completed with warnings")
    ),
    Fault("a source is lost: half of the rows", {"rows-deviate": 12 * HOUR + SOON}, _half_the_rows),
    Fault("each run is a full one", {"full-run": SOON}, _daily(mode="full", modeReason="changed profile schema")),
)


# Name, hours between unifications (0: none comes, only the daily run), how far their ends vary, minutes of a run.
HEALTHY = (
    ("no unification, runs of 2 minutes", 0, 0, 2),
    ("no unification, runs of 5 minutes", 0, 0, 5),
    ("no unification, runs of 10 minutes", 0, 0, 10),
    ("no unification, runs of 30 minutes", 0, 0, 30),
    ("no unification, runs of 5 hours", 0, 0, 300),
    ("one a day, ends within 10 minutes", 24, 10, 5),
    ("one a day, ends within 30 minutes", 24, 30, 10),
    ("one a day, ends within 4 hours", 24, 240, 30),
    ("four a day", 6, 20, 10),
    ("one a week", 168, 30, 30),
)


def healthy_year(hours: float, jitter_minutes: float, minutes: float) -> Log:
    """Return a year without a fault: with a deployment of ten minutes each week, and a dry run each month."""
    log = Log()
    for week in range(53):
        log.beats(week * 7 * DAY, min((week + 1) * 7 * DAY - 10 * MINUTE, YEAR_S))
    for number, (begin, takes) in enumerate(
        unifications(hours * HOUR, jitter_minutes * MINUTE, minutes * MINUTE, YEAR_S)
    ):
        grown = ROWS + number * 10
        scan = {"scan": "changes", "rows_read": 100} if hours == 6 and number % 4 else {"rows_read": grown}
        log.run(begin, takes, **scan)
        if number % 30 == 29:
            log.run(begin + takes + 1, takes, dryRun="true", rows_read=grown)
    return log
