"""Tables of the demo as rich renderables: thousands with commas, a totals row at the end."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Final

from rich.box import Box
from rich.table import Table
from rich.text import Text

from sandbox.demo.clients import Json, Source, TableCheck
from sandbox.demo.story import Proof

COUNTS: Final = {
    "rowsRead": "Rows read",
    "linked": "Linked",
    "unchanged": "Unchanged",
    "unlinked": "Unlinked",
    "rejected": "Rejected",
    "deferred": "Deferred",
}
_CHECKS: Final = ("Right", "Waiting", "Wrong", "Row missing", "Outside")
_LINED: Final = Box("    \n    \n ── \n    \n ── \n    \n    \n    \n")  # a line below the head, and above the totals
_BAD: Final = frozenset({"Wrong", "Rejected", "Row missing"})
_GOOD: Final = frozenset({"Linked", "Right"})


def sources_table(sources: Sequence[Source]) -> Table:
    """Return what takes part in unification."""
    table = _table("Source table", "Data source", "Dataverse table", "Rows in unification", texts=3)
    for source in sources:
        known = "yes" if source.is_table else Text("no, never linked", "dim")
        table.add_row(source.table, source.data_source, known, f"{source.rows:,}")
    return _with_totals(table, ["Total", "", "", f"{sum(source.rows for source in sources):,}"])


def counts_table(tables: Sequence[Json]) -> Table:
    """Return the counts of a run per source table, and their totals."""
    names = list(COUNTS.values())
    table = _table("Source table", *names, texts=1)
    for line in tables:
        table.add_row(line["table"], *_numbers(names, [line["counts"][count] for count in COUNTS]))
    totals = [sum(line["counts"][count] for line in tables) for count in COUNTS]
    return _with_totals(table, ["Total", *_numbers(names, totals)])


def checks_table(checks: Sequence[TableCheck]) -> Table:
    """Return what was read back per source table, and the totals."""
    table = _table("Source table", *_CHECKS, texts=1)
    for check in checks:
        table.add_row(check.table, *_numbers(_CHECKS, astuple(check)[1:]))
    totals = [sum(getattr(check, field.name) for check in checks) for field in fields(TableCheck)[1:]]
    return _with_totals(table, ["Total", *_numbers(_CHECKS, totals)])


def proofs_table(proofs: Sequence[Proof]) -> Table:
    """Return claims with the number expected and the number that the sandbox counted."""
    table = _table("Proof by the sandbox's own counters", "Expected", "Counted", "", texts=1)
    for proof in proofs:
        mark = Text("✓", "bold green") if proof.holds else Text("✗", "bold red")
        table.add_row(proof.claim, f"{proof.expected:,}", f"{proof.counted:,}", mark)
    return table


def _table(*names: str, texts: int) -> Table:
    table = Table(box=_LINED, header_style="bold", pad_edge=False, show_edge=False)
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number < texts else "right", no_wrap=number > 0)
    return table


def _with_totals(table: Table, totals: list[Text | str]) -> Table:
    table.add_section()
    table.add_row(*totals, style="bold")
    return table


def _numbers(names: Sequence[str], numbers: Sequence[int]) -> list[Text | str]:
    return [_number(name, number) for name, number in zip(names, numbers, strict=True)]


def _number(name: str, number: int) -> Text:
    if not number:
        return Text("0", "dim")
    return Text(f"{number:,}", "red" if name in _BAD else "green" if name in _GOOD else "")
