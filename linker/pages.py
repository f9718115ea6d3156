"""Pages: key ranges of a table, cut at leading digits of guid texts (design decisions 6 and 7)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from linker.core.keys import is_canonical, key_text
from linker.model import WIRE, KeyRange, RowKey

# One request serves 5,000 rows (dataverse.md 5.1); below that leaves room for growth before a page needs a second request.
PAGE_ROWS = 4_700
SPLIT_ROWS = 10_000  # two requests; a page that outgrew them is split
COUNT_CAP = 5_000  # most that a count answers (dataverse.md 5.3)
DIGITS = "0123456789abcdef"
KEY_DIGITS = 32  # of a guid
_GROUPS = (8, 12, 16, 20)  # hex digits before each hyphen of a guid text


def cut_text(digits: str) -> str:
    """Return leading hex digits of a guid as they stand in its text, hyphens included. '0123456789' -> '01234567-89'."""
    parts = [digits[start:end] for start, end in zip((0, *_GROUPS), (*_GROUPS, 32), strict=True)]
    return "-".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Plan:
    """The versioned cuts of one table's key space. Page i holds the keys from cut i-1 up to cut i; the outer ends are open,
    so keys that are spelled in another way land somewhere too.
    """

    __pydantic_config__ = WIRE
    version: str
    cuts: tuple[str, ...] = ()  # ascending key texts
    born: tuple[str, ...] = ()  # version in which each page was cut; empty: all in this one

    @property
    def pages(self) -> int:
        """Number of pages."""
        return len(self.cuts) + 1

    def range(self, page: int) -> KeyRange:
        """Return the key range of a page, counted from 0."""
        ends = (None, *self.cuts, None)
        return KeyRange(ends[page], ends[page + 1])

    def name(self, page: int) -> str:
        """Return the name of a page in block keys: the version that cut it, and its lower end.

        A split renames the pages that it makes and no other, so the other blocks stay where they are.
        """
        return f"{self.born[page] if self.born else self.version}_{self.range(page).lower or '0'}"

    def split(self, version: str, cuts: Mapping[int, Sequence[str]]) -> Plan:
        """Return the plan of a new version in which some pages are cut further. `cuts` lie inside of their page."""
        born: list[str] = []
        for page in range(self.pages):
            parts = len(cuts.get(page, ())) + 1
            born += [version] * parts if parts > 1 else [self.born[page] if self.born else self.version]
        return Plan(version, tuple(sorted({*self.cuts, *(cut for more in cuts.values() for cut in more)})), tuple(born))

    def within(self, keys: KeyRange) -> tuple[int, int]:
        """Return the first page that starts in a range, and the one after the last. The range ends at cuts of this plan."""
        first = 0 if keys.lower is None else self.cuts.index(keys.lower) + 1
        return first, self.pages if keys.upper is None else self.cuts.index(keys.upper) + 1

    def page_of(self, key: RowKey) -> int:
        """Return the page in which the canonical text of a key stands."""
        return bisect_right(self.cuts, key_text(key))


def is_spelled_oddly(text: str) -> bool:
    """Whether a guid text is more or less than its digits and hyphens, so that it may stand in another page."""
    return not is_canonical(text.lower())


def decides(key: RowKey, mine: Collection[str], found: Collection[str]) -> bool:
    """Whether the page that reads the spellings `mine` of a key decides on its row, of all those that were `found`.

    The canonical text decides, else the one that sorts first: two pages must not both do. A page that reads nothing but what
    could not be found leaves the row to others, if there are any.
    """
    if not found:
        return True
    return (key_text(key) if key_text(key) in found else min(found)) in mine


def strays(plan: Plan, page: int, keys: Iterable[RowKey]) -> bool:
    """Whether a page holds keys whose canonical text stands in another page."""
    return any(plan.page_of(key) != page for key in keys)


def cuts_from_counts(leaves: Sequence[tuple[str, int]], page_rows: int = PAGE_ROWS) -> tuple[str, ...]:
    """Return the cuts that fill pages with up to `page_rows` rows.

    `leaves` are (leading digits, rows) in ascending order that cover the key space. Where one alone does not fill a page, its
    rows are taken to be spread evenly over its next digit, so that pages are filled well; a page that turns out larger
    takes a second request, and is split if that does not do either.
    """
    cuts: list[str] = []
    filled = 0.0
    for digits, rows in _spread(leaves):
        if filled and filled + rows > page_rows:
            cuts.append(cut_text(digits))
            filled = 0
        filled += rows
    return tuple(cuts)


def overlap(keys: KeyRange, digits: str) -> Overlap:
    """Return how the guid texts that start with `digits` lie to a range that ends at cuts."""
    mine = prefix_range(digits)
    starts_before = mine.lower is None if keys.lower is not None else False
    starts_before = starts_before or (keys.lower is not None and mine.lower is not None and mine.lower < keys.lower)
    ends_after = keys.upper is not None and (mine.upper is None or mine.upper > keys.upper)
    if keys.lower is not None and mine.upper is not None and mine.upper <= keys.lower:
        return Overlap.OUTSIDE
    if keys.upper is not None and mine.lower is not None and mine.lower >= keys.upper:
        return Overlap.OUTSIDE
    return Overlap.PARTLY if starts_before or ends_after else Overlap.INSIDE


class Overlap(StrEnum):
    """Place of one range with regard to another."""

    OUTSIDE = "outside"
    PARTLY = "partly"
    INSIDE = "inside"


def _spread(leaves: Sequence[tuple[str, int]]) -> list[tuple[str, float]]:
    return [
        (digits + digit, rows / len(DIGITS)) if len(digits) < KEY_DIGITS else (digits, rows)
        for digits, rows in leaves
        for digit in (DIGITS if len(digits) < KEY_DIGITS else "0")
    ]


def prefix_range(digits: str) -> KeyRange:
    """Return the range of guid texts that start with these hex digits; no digits is everything."""
    upper = _successor(digits)
    return KeyRange(cut_text(digits) or None, cut_text(upper) if upper else None)


def _successor(digits: str) -> str:
    """Return the smallest digits above all that start with `digits`; empty when there are none."""
    stem = digits.rstrip("f")
    return stem[:-1] + DIGITS[DIGITS.index(stem[-1]) + 1] if stem else ""
