"""A CSV file of a data folder: its columns by logical name, and its rows, read again each time."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

_LONGEST_VALUE: Final = 2_000_000  # characters; a keyring may have 1,048,576


class FolderError(ValueError):
    """The folder does not hold a unification; nothing was loaded. The message says which file and what to fix."""


class CsvFile:
    """UTF-8 with or without a byte order mark, any line ends. Logical names are lower case, however they are written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The columns; none in an empty file. Raises FolderError for a column that is named twice."""
        with self._reader() as lines:
            names = tuple(name.strip().lower() for name in next(lines, []))
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FolderError(f"{self.path} names the column '{twice}' twice.")
        return names

    def rows(self) -> Iterator[dict[str, str | None]]:
        """Yield the rows; values that are missing at the end of a row are None, empty lines are skipped.

        Raises FolderError for a row with more values than there are columns, and for text that is not UTF-8.
        """
        names, width = self.header, len(self.header)
        with self._reader() as lines:
            next(lines, None)
            for number, values in enumerate(lines, 1):
                if len(values) == width:
                    yield dict(zip(names, values, strict=True))
                elif len(values) > width:
                    raise FolderError(f"{self.path}, row {number}: {len(values)} values for {width} columns.")
                elif values:
                    yield {**dict.fromkeys(names), **dict(zip(names, values, strict=False))}

    @contextmanager
    def _reader(self) -> Iterator[Iterator[list[str]]]:
        csv.field_size_limit(_LONGEST_VALUE)
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield csv.reader(file)
        except (UnicodeDecodeError, csv.Error) as error:
            raise FolderError(f"{self.path} cannot be read as CSV in UTF-8: {error}") from error
