"""What the progress details of a run show, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from linker.model import Run, TableRun
from linker.portal.status_view import is_live


@dataclass(frozen=True, slots=True)
class ProgressView:
    """A run with the table that was chosen, None for all of them."""

    run: Run
    table: TableRun | None
    is_live: bool


def progress_of(run: Run, table: str) -> ProgressView:
    """Return the details of a run, or of one table in it; a table that it does not know counts as none."""
    chosen = next((one for one in run.tables if one.table == table), None)
    return ProgressView(run, chosen, is_live(run))
