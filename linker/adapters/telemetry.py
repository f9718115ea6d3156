"""What operators see of the app in Application Insights: spans, metrics, and logs that name their run. The one owner.

Only the OpenTelemetry interface is used: the platform's worker connects it to Azure Monitor where that is switched on
(docs/reference/azure.md 7), and elsewhere nothing happens. No personal data leaves: no row key, no query, no word of
Dataverse's answers. Whatever is repeated after a crash is counted again; the ledger of a run is in its state, not here.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import singledispatch
from time import perf_counter
from typing import Any, Literal

from opentelemetry import metrics, trace
from opentelemetry.util.types import AttributeValue

from linker.core.errors import clean_text, without_words
from linker.core.model import Counts, Run, TableRun
from linker.core.records import RowIssue
from linker.core.runs.activity_values import Report, ShardOutcome, ShardTask
from linker.core.runs.generation_values import UnlinkOutcome, UnlinkTask
from linker.core.runs.history import seconds_of
from linker.core.runs.lifecycle import TABLE_ENDED as OVER
from linker.core.serialization import parse_time

LOGGER = "linker"  # what is below it is exported (PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME)
BEGAN, RUN_ENDED, TABLE_ENDED = "Linking run began", "Linking run ended", "Table ended"
HEARTBEAT = "Watchdog looked"  # each minute, after state and task hub answered
OUTCOMES = ("linked", "unchanged", "unlinked", "rejected", "deferred")

_LOG = logging.getLogger(__name__)
_RUN: ContextVar[str] = ContextVar("run", default="")
_TRACER = trace.get_tracer(LOGGER)
_METER = metrics.get_meter(LOGGER)

_ROWS = _METER.create_counter("linker.rows", "{row}", "rows by table and outcome")
_ISSUES = _METER.create_counter("linker.row_issues", "{row}", "rejected and deferred rows by table and code")
_BLOCKS = _METER.create_counter(
    "linker.blocks", "{block}", "hash blocks read, or skipped because the digest said enough"
)
_REQUESTS = _METER.create_counter(
    "linker.dataverse.requests", "{request}", "requests to Dataverse by method and status"
)
_REQUEST_TIME = _METER.create_histogram("linker.dataverse.request.duration", "s", "time to an answer by method")
_THROTTLED = _METER.create_counter(
    "linker.dataverse.throttled", "s", "pauses that Dataverse asked for, each answer for itself"
)
_WIDTH = _METER.create_gauge("linker.width", "{request}", "writes in flight")
_BATCH = _METER.create_gauge("linker.batch", "{row}", "rows in a write request")
_RATE = _METER.create_gauge("linker.rows_per_second", "{row}/s", "rows read in a second since the first shard")
_RUN_TIME = _METER.create_histogram("linker.run.duration", "s", "runs from begin to end by mode and status")


# ---- activities ----


@contextlib.contextmanager
def activity(name: str, task: object) -> Iterator[None]:
    """A span around one activity. What it logs meanwhile, and the requests that it sends, name its run."""
    if isinstance(task, Report):
        _show_pace(task)
    run = str(getattr(task, "run", ""))
    known = {"run": run, "table": getattr(task, "table", None), "shard": getattr(task, "number", None)}
    token = _RUN.set(run)
    try:
        with _span(
            name, trace.SpanKind.INTERNAL, {f"linker.{key}": one for key, one in known.items() if one is not None}
        ):
            yield
    finally:
        _RUN.reset(token)


@singledispatch
def record_answer(answer: object, task: object) -> None:
    """Count what an activity did, by what it answers; most answers count nothing."""


@record_answer.register
def _shard(answer: ShardOutcome, task: ShardTask) -> None:
    _count_rows(task, answer.counts)


@record_answer.register
def _record_unlinked(answer: UnlinkOutcome, task: UnlinkTask) -> None:
    _count_rows(task, answer.counts)


def _show_pace(news: Report) -> None:
    _WIDTH.set(news.pace.width)
    _BATCH.set(news.pace.batch)
    if news.seconds > 0:
        _RATE.set(news.counts.rows_read / news.seconds)


def issues(found: Iterable[RowIssue]) -> None:
    """Count rejected and deferred rows by code, those of a real run."""
    for one in found:
        _ISSUES.add(1, {"table": one.table, "outcome": one.outcome, "code": one.code})


def block(use: Literal["read", "skipped"]) -> None:
    """Count a hash block that was read, or did not have to be."""
    _BLOCKS.add(1, {"use": use})


def _count_rows(task: ShardTask | UnlinkTask, counts: Counts) -> None:
    for outcome in OUTCOMES:
        if (rows := getattr(counts, outcome)) and not task.dry_run:
            _ROWS.add(rows, {"table": task.table, "outcome": outcome})


# ---- requests to Dataverse ----


class Request:
    """One request; `status` is set when an answer comes, 0 is none."""

    status = 0


@contextlib.contextmanager
def request(method: str, path: str) -> Iterator[Request]:
    """A span around one request to Dataverse, with the entity set, function or action that it addresses, and no more."""
    target, sent, began = target_of(path), Request(), perf_counter()
    facts: dict[str, AttributeValue] = {"linker.target": target, "linker.run": _RUN.get()}
    try:
        with _span(f"{method} {target}", trace.SpanKind.CLIENT, facts) as span:
            yield sent
            span.set_attribute("linker.answer", sent.status)
            if sent.status >= 400:
                span.set_status(trace.StatusCode.ERROR, str(sent.status))
    finally:
        _REQUESTS.add(1, {"method": method, "status": str(sent.status or "none")})
        _REQUEST_TIME.record(perf_counter() - began, {"method": method})


def record_throttle(wait_s: float) -> None:
    """Count the seconds that Dataverse asked to wait. Pages in flight feel the same throttle and count it each."""
    _THROTTLED.add(wait_s)


def target_of(path: str) -> str:
    """Return what a path addresses, without key and query: 'contacts(<guid>)?$select=...' -> 'contacts'."""
    found = re.match(r"(?:https?://[^/]+/api/data/v[\d.]+/)?(\$?\w+)", path)
    return found[1] if found else "other"


# ---- runs ----


def run_changed(old: Run, new: Run) -> None:
    """Log what happened to a run and its tables, where their saved state changed: once for each change."""
    if new.started_at and not old.started_at:
        _tell(BEGAN, new, _facts(new))
    before = {table.table: table.status for table in old.tables}
    for table in new.tables:
        if table.status in OVER and before.get(table.table) not in OVER:
            _tell(TABLE_ENDED, new, _facts(new) | _of_table(new, table))
            _draw("linking table", new, table=table.table, status=table.status.value)
    if new.ended_at and not old.ended_at:
        _tell(
            RUN_ENDED,
            new,
            _facts(new) | {"seconds": f"{seconds_of(new) or 0.0:.0f}", "status": new.status} | _rows(new.counts),
        )
        _RUN_TIME.record(seconds_of(new) or 0.0, {"mode": new.mode, "status": new.status})
        _draw("linking run", new, mode=new.mode.value, status=new.status.value)


def _facts(run: Run) -> dict[str, str | int]:
    dry = str(run.dry_run).lower()
    return {"mode": run.mode, "modeReason": run.mode_reason, "trigger": run.trigger, "dryRun": dry}


def _of_table(run: Run, table: TableRun) -> dict[str, str | int]:
    mode = {"mode": table.mode or run.mode, "modeReason": table.mode_reason or run.mode_reason}
    scan = "full" if table.full_scan else "changes"
    return mode | {"table": table.table, "status": table.status, "scan": scan} | _rows(table.counts)


def _rows(counts: Counts) -> dict[str, str | int]:
    return {"rowsRead": counts.rows_read} | {outcome: getattr(counts, outcome) for outcome in OUTCOMES}


def _tell(message: str, run: Run, facts: dict[str, str | int]) -> None:
    token = _RUN.set(run.id)
    try:
        _LOG.info(message, extra={name: str(one) if isinstance(one, str) else one for name, one in facts.items()})
    finally:
        _RUN.reset(token)


def _draw(name: str, run: Run, **facts: str) -> None:
    """A span from the begin of a run until now: no process lives as long as a run, so it is drawn when it is over."""
    if run.started_at:
        start = int(parse_time(run.started_at) * 1e9)
        known = {"linker.run": run.id} | {f"linker.{key}": one for key, one in facts.items()}
        _TRACER.start_span(name, start_time=start, attributes=known).end()


def beat() -> None:
    """Say that the watchdog looked. An alert misses it when the app, its timers, its state or its telemetry stand still."""
    _LOG.info(HEARTBEAT)


# ---- logs ----


def install() -> None:
    """From now on whatever the app logs names its run and, above level DEBUG, carries no secret, no personal data and no
    line end but those between the frames of an error.
    """
    make = logging.getLogRecordFactory()
    if getattr(make, "__module__", "") == __name__:
        return

    def record(*args: Any, **values: Any) -> logging.LogRecord:
        made = make(*args, **values)
        if made.name.partition(".")[0] == LOGGER:
            made.run = _RUN.get()
            if made.levelno > logging.DEBUG:
                made.msg, made.args = clean_text(made.getMessage()), ()
                made.exc_info = _without_words(made.exc_info)
        return made

    logging.setLogRecordFactory(record)
    log = logging.getLogger(LOGGER)
    if not log.isEnabledFor(
        logging.INFO
    ):  # alerts read messages of that level, and the root logger's default is above it
        log.setLevel(logging.INFO)


def _without_words(exc_info: Any) -> Any:
    """Return what a record holds of an error: type, error, frames."""
    if not exc_info or exc_info[1] is None:
        return None
    error = without_words(exc_info[1])
    return type(error), error, error.__traceback__


@contextlib.contextmanager
def _span(name: str, kind: trace.SpanKind, facts: dict[str, AttributeValue]) -> Iterator[trace.Span]:
    """A span that records the kind of an error, not its message, which may name rows."""
    with _TRACER.start_as_current_span(
        name, kind=kind, attributes=facts, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise
