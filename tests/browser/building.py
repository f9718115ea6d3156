"""What scenes are built of. Times are minutes before now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from linker.core.model import Counts, Finding, Mode, Requirement, Run, Source, Status, TableRun, Verdict
from linker.core.requirements.checks import QUESTIONS

NOW: Final = datetime.now(UTC).replace(microsecond=0)
SALES: Final = "DynamicsSales"


def at(minutes_ago: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return (NOW - timedelta(minutes=minutes_ago)).isoformat().replace("+00:00", "Z")


def soon(minutes: float) -> str:
    """Return a time that is to come, counted from this call: tests may begin long after they were imported."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="seconds").replace("+00:00", "Z")


def row_id(number: int) -> str:
    """Return the key of a row."""
    return f"{number:08x}-4d2a-ee11-a81c-000d3a2b{number % 0x10000:04x}"


def table(name: str, status: Status, counts: Counts | None = None, **values: object) -> TableRun:
    """Return one source table in a run."""
    source = Source("loyCustomer" if name == "new_member" else SALES, name)
    known: dict[str, object] = {"mode": Mode.INCREMENTAL, "column": "exists"} | values
    return TableRun(name, source.data_source, status, counts=counts or Counts(), sources=(source,), **known)  # type: ignore[arg-type]


def run(begun: float, status: Status, *tables: TableRun, took: float | None = None, **values: object) -> Run:
    """Return a run that was asked for so many minutes ago, began a minute later, and took so many minutes if it has ended."""
    ended = at(begun - 1 - took) if took is not None else None
    known: dict[str, object] = {
        "mode": Mode.INCREMENTAL,
        "trigger": "event",
        "jobs": ("c2f4a6d0",),
        "service_account": "# customer-profile-linker",
        "requested_at": at(begun),
        "started_at": at(begun - 1),
        "ended_at": ended,
        "last_updated": ended or at(0),
        "counts": sum((each.counts for each in tables), Counts()),
    }
    stamp = (NOW - timedelta(minutes=begun)).strftime("%Y%m%dT%H%M%SZ")
    return Run(f"{stamp}-5ce0{int(begun) % 0x10000:04x}", status=status, tables=tables, **known | values)  # type: ignore[arg-type]


def met(requirement: Requirement, evidence: str) -> Finding:
    """Return a requirement that is met."""
    return Finding(requirement, Verdict.MET, evidence, question=QUESTIONS[requirement])


def violated(requirement: Requirement, evidence: str, advice: str) -> Finding:
    """Return a requirement that is violated."""
    docs = f"docs/requirements.md#{requirement.lower()}"
    return Finding(requirement, Verdict.VIOLATED, evidence, advice, QUESTIONS[requirement], docs)
