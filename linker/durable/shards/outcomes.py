"""What became of the rows of one page, collected where each is decided."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from linker.core.keys import key_text
from linker.core.linking.hash_blocks import Header
from linker.core.linking.row_issues import invalid_key, issue
from linker.core.model import Counts, RowIssue, RowKey


@dataclass(slots=True)
class Outcomes:
    """Rows of one table by outcome."""

    table: str
    linked: set[RowKey] = field(default_factory=set)
    unchanged: set[RowKey] = field(default_factory=set)
    issues: dict[str, RowIssue] = field(default_factory=dict)  # rejected and deferred, by row
    settled: int = 0  # unchanged rows of a shard that was not opened
    earlier: int = 0  # of the unchanged rows, those that an earlier attempt of the same run linked
    drifted: set[RowKey] = field(default_factory=set)  # rows whose confirmed link another writer had changed
    drifted_before: int = 0  # of them, those that an earlier attempt of the same run linked

    @property
    def counts(self) -> Counts:
        """The right side of the ledger."""
        rejected = sum(1 for found in self.issues.values() if found.outcome == "rejected")
        return Counts(
            linked=len(self.linked) + self.earlier,
            unchanged=len(self.unchanged) + self.settled - self.earlier,
            rejected=rejected,
            deferred=len(self.issues) - rejected,
        )

    @property
    def drift(self) -> int:
        """Of the linked rows, those whose confirmed link another writer had changed: what was not set right is none."""
        return len(self.drifted & self.linked) + self.drifted_before

    @property
    def lost(self) -> int:
        """Rows that Dataverse accepted and did not store."""
        return sum(1 for found in self.issues.values() if found.code == "NotStored")

    def confirmed(self, keys: Set[RowKey], header: Header, run: str) -> None:
        """Note rows that the block confirms. What an earlier attempt of the run linked, the run linked."""
        self.unchanged |= keys
        if header.run == run:
            self.earlier, self.drifted_before = min(header.linked, len(keys)), header.drift

    def confirmed_rows(self, rows: int, header: Header, run: str) -> None:
        """Note so many rows that the block confirms, without their keys; see `confirmed`."""
        self.settled = rows
        if header.run == run:
            self.earlier, self.drifted_before = min(header.linked, rows), header.drift

    def has_issue(self, key: RowKey) -> bool:
        """Return whether a row was rejected or deferred."""
        return key_text(key) in self.issues

    def issue(self, key: RowKey, code: str, text: str = "") -> None:
        """Note why a row was not linked."""
        row = key_text(key)
        self.issues[row] = issue(self.table, row, code, text)

    def invalid(self, texts: Iterable[str]) -> None:
        """Note mapping rows without a key: each is counted, equal ones are shown once."""
        for number, text in enumerate(texts):
            self.issues[f"{number}:{text}"] = invalid_key(self.table, text)
