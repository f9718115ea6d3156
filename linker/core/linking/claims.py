"""Claims: what single mapping rows say about source rows, and which of several claims on one row counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from linker.core.model import CustomerId, RowKey

MAX_SHOWN = 200  # characters of what stands in the place of a key; a GUID in braces has 38
MAX_CUSTOMER = 100  # characters of a CustomerId; 32 are usual, and hundreds of them stand in one query


class Claim(NamedTuple):
    """What one mapping row says about a source row.

    `stored` is the CustomerId exactly as the mapping stores it: it is sent unchanged, because nothing proves that Dataverse
    folds case there. `profile` is the profile's id as GUID text, and `partition` its partition, if the mapping row has them.
    """

    stored: str
    profile: str = ""
    partition: str = ""

    @property
    def customer(self) -> CustomerId:
        """The CustomerId as this app compares it."""
        return fold_customer(self.stored)


class ClaimRow(NamedTuple):
    """One mapping row. `key` is None when the row holds no usable key or CustomerId; `text` then shows what it holds.

    `identity` identifies one mapping row, so that a row which paging returns twice counts once.
    """

    key: RowKey | None
    claim: Claim
    text: str
    identity: bytes


def fold_customer(text: str) -> CustomerId:
    """Return a CustomerId as it is compared: without outer blanks, in lower case."""
    return text.strip().lower()


def is_customer(found: object) -> bool:
    """Return whether a value can be a CustomerId: text that can be sent, neither empty nor endless."""
    if not isinstance(found, str) or len(found) > 2 * MAX_CUSTOMER or not 0 < len(found.strip()) <= MAX_CUSTOMER:
        return False
    try:
        found.encode()
    except UnicodeEncodeError:  # half of a character, which JSON can carry and UTF-8 cannot
        return False
    return True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the mapping asks for. `invalid` shows each mapping row without a usable key or CustomerId.

    `conflicts` are rows that mapping rows claim for different customers.
    """

    claims: Mapping[RowKey, Claim] = field(default_factory=dict)
    invalid: Sequence[str] = ()
    conflicts: frozenset[RowKey] = frozenset()

    @property
    def rows(self) -> int:
        """Rows on the left side of the ledger."""
        return len(self.claims) + len(self.invalid)


def decide_claims(rows: Iterable[ClaimRow]) -> Wanted:
    """Return one claim per source row.

    Of several CustomerIds the lowest wins: the rule gives the same answer in every run, whatever the order of the rows.
    Of claims for the same customer, one that names a profile wins.
    """
    claims: dict[RowKey, Claim] = {}
    invalid: dict[bytes, str] = {}
    conflicts: set[RowKey] = set()
    for row in rows:
        if row.key is None:
            invalid[row.identity] = row.text
            continue
        before = claims.setdefault(row.key, row.claim)
        if before == row.claim:
            continue
        if before.customer != row.claim.customer:
            conflicts.add(row.key)
        claims[row.key] = min(before, row.claim, key=_rank)
    return Wanted(claims, tuple(invalid.values()), frozenset(conflicts))


def _rank(claim: Claim) -> tuple[str, bool, str, str, str]:
    return claim.customer, not claim.profile, claim.stored, claim.profile, claim.partition
