"""Changing the files of a data folder."""

import csv
from collections.abc import Callable
from pathlib import Path

type Row = dict[str, str]


def rewrite(path: Path, change: dict[str, str]) -> None:
    """Rename words in a file."""
    text = path.read_text(encoding="utf-8")
    for before, after in change.items():
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def edit(path: Path, change: Callable[[Row], Row]) -> None:
    """Change each row of a file; a column that none of them has is gone."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
