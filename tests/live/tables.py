"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def as_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; 'None.' when it has no row."""
    lines = [_line(row) for row in rows]
    return [_line(names), _line(["---"] * len(names)), *lines] if lines else ["None."]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in cells)} |"
