"""Stored runs that the views show."""

from __future__ import annotations

from dataclasses import replace

from linker.core.model import Mode, Run, Status, TableRun

NOW = "2026-11-24T03:00:00Z"


CONTACT = TableRun("contact", "crm", Status.SUCCESSFUL, mode=Mode.INCREMENTAL)


LEAD = TableRun("lead", "crm", Status.SKIPPED)


def run_of(name: str, status: Status = Status.SUCCESSFUL, *tables: TableRun, minute: int = 0, **values: object) -> Run:
    """Return a run of November 24 that was over after two minutes, or is under way."""
    over = "2026-11-24T02:{:02}:00Z".format
    goes_on = status in (Status.QUEUED, Status.REFRESHING)
    made = Run(
        name,
        Mode.INCREMENTAL,
        status,
        requested_at=over(minute),
        started_at=None if status is Status.QUEUED else over(minute),
        ended_at=None if goes_on else over(minute + 2),
        last_updated=over(minute + 1),
        tables=tables,
    )
    return replace(made, **values)  # type: ignore[arg-type]


STEPS = {"settle": "2026-11-24T02:00:00Z", "check": "2026-11-24T02:10:00Z", "link": "2026-11-24T02:10:30Z"}
