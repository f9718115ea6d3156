"""Keeps the report of a run within what storage holds: two hundred tables may each have a page of findings and automations.

Pure. What decides and what counts stays; only words are shortened, the longest first, and the run says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from linker.core.model import Finding, Run, TableRun
from linker.core.serialization import dumps

MAX_BYTES = (
    400_000  # of a stored run in UTF-16, as storage counts: an entity holds twice as much, and the summary beside it
)
LEVELS = ((5, 1_000), (2, 300), (0, 100))  # lines of a list of a table, characters of a text
LINES_OF_RUN = 10  # a list of the run has so many times the lines of a table's
SHORTENED = (
    "The report of this run was shortened, since it was larger than storage holds. The log of the app has all of it."
)


def fit_run(run: Run) -> Run:
    """Return a run that storage can hold: as it is, or with its words shortened as little as needed."""
    for lines, characters in ((None, None), *LEVELS):
        fitted = run if lines is None or characters is None else _shorten(run, lines, characters)
        if len(dumps(fitted).encode("utf-16-le", "replace")) <= MAX_BYTES:
            return fitted
    return replace(fitted, tables=tuple(map(_bare, fitted.tables)))


def _bare(table: TableRun) -> TableRun:
    """Return a table with what decides and what counts."""
    detail, source = _cut(table.detail, 60), _cut(table.data_source, 60)
    return replace(table, sources=(), mode_reason="", scan="", detail=detail, data_source=source)


def _shorten(run: Run, lines: int, characters: int) -> Run:
    notes = [note for note in run.notes if note != SHORTENED]
    return replace(
        run,
        status_detail=_cut(run.status_detail, 1_000),
        mode_reason=_cut(run.mode_reason, characters),
        tables=tuple(_shorten_table(table, lines, characters) for table in run.tables),
        warnings=_cut_list(run.warnings, (lines + 1) * LINES_OF_RUN, characters),
        notes=(*_cut_list(notes, (lines + 1) * LINES_OF_RUN, characters), SHORTENED),
        findings=tuple(_shorten_finding(finding, characters) for finding in run.findings),
    )


def _shorten_table(table: TableRun, lines: int, characters: int) -> TableRun:
    return replace(
        table,
        detail=_cut(table.detail, characters),
        mode_reason=_cut(table.mode_reason, characters),
        scan=_cut(table.scan, characters),
        automations=_cut_list(table.automations, lines, characters),
        findings=tuple(_shorten_finding(finding, characters) for finding in table.findings) if lines else (),
    )


def _shorten_finding(finding: Finding, characters: int) -> Finding:
    return replace(finding, evidence=_cut(finding.evidence, characters), advice=_cut(finding.advice, characters))


def _cut_list(texts: Iterable[str], most: int, characters: int) -> tuple[str, ...]:
    return tuple(_cut(text, characters) for text in tuple(texts)[:most])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
