"""Claims and shards: what mapping rows say about source rows, which of several claims counts, and which shard a row is in.

Shards are the unit of fan-out. A row belongs to the shard that the leading bits of a hash of its key name. Hashing spreads any
set of keys evenly, so that a shard needs no knowledge of how keys are distributed or compared. When a table doubles, each
shard splits in two by one more bit: shard n of b bits becomes 2n and 2n+1 of b+1 bits.
docs/decisions describes why shards replaced key ranges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple, TypeGuard

from linker.core.model import WIRE, CustomerId, RowKey

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


def fold_customers(found: Iterable[object]) -> list[CustomerId | None]:
    """Return each CustomerId as it is compared, None for what cannot be one."""
    return [fold_customer(one) if is_customer(one) else None for one in found]


def hash_wish(key: RowKey, claim: Claim, salt: bytes, *, names_profile: bool) -> int:
    """Return the wish hash of a row: 64 bits of a salted digest. Two wishes collide with a chance of 2**-64.

    The salt and the row key keep a stolen table from revealing who is linked to whom, and which rows are of one person.
    """
    text = f"w{claim.customer}\0{claim.profile}\0{claim.partition}" if names_profile else f"w{claim.customer}"
    return int.from_bytes(blake2b(key + text.encode(), digest_size=8, key=salt).digest())


def hash_wishes(claims: Mapping[RowKey, Claim], salt: bytes, *, names_profile: bool) -> dict[RowKey, int]:
    """Return the wish hash of each claimed row."""
    return {key: hash_wish(key, claim, salt, names_profile=names_profile) for key, claim in claims.items()}


def is_customer(found: object) -> TypeGuard[str]:
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


# ---- shards ----

SHARD_ROWS = 4_700  # rows of an average full shard: a block stays far below the limits of one entity
MAX_BITS = 20  # a million shards of 4,700 rows
PLACE_BITS = 32


def place_key(key: RowKey) -> int:
    """Return where a row key lies among all shards: PLACE_BITS bits of its hash. The same for every salt and version."""
    return int.from_bytes(blake2b(key, digest_size=PLACE_BITS // 8).digest())


def bits_for(rows: int) -> int:
    """Return the fewest bits with which shards hold SHARD_ROWS rows or fewer on average."""
    bits = 0
    while bits < MAX_BITS and rows > SHARD_ROWS << bits:
        bits += 1
    return bits


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of 2**bits."""

    __pydantic_config__ = WIRE
    bits: int
    number: int

    @property
    def name(self) -> str:
        """The name of its hash block."""
        return f"s{self.bits:02}-{self.number:05x}"

    def holds(self, key: RowKey) -> bool:
        """Return whether a row belongs to this shard."""
        return place_key(key) >> (PLACE_BITS - self.bits) == self.number

    def at(self, bits: int) -> Shard:
        """Return the shard of fewer bits that holds all of this one."""
        return Shard(bits, self.number >> (self.bits - bits))

    def buckets(self, bits: int) -> range:
        """Return the numbers at `bits` bits that together hold this shard: several below it, or the one above it."""
        if bits < self.bits:
            above = self.number >> (self.bits - bits)
            return range(above, above + 1)
        finer = bits - self.bits
        return range(self.number << finer, (self.number + 1) << finer)


def all_shards(bits: int) -> Iterator[Shard]:
    """Yield the shards of a table in order."""
    return (Shard(bits, number) for number in range(1 << bits))


def shard_of(key: RowKey, bits: int) -> Shard:
    """Return the shard to which a row belongs."""
    return Shard(bits, place_key(key) >> (PLACE_BITS - bits))


def group_by_shard(keys: Iterable[RowKey], bits: int) -> dict[Shard, set[RowKey]]:
    """Return row keys by the shard to which they belong, shards in ascending order."""
    groups: dict[int, set[RowKey]] = defaultdict(set)
    for key in keys:
        groups[place_key(key) >> (PLACE_BITS - bits)].add(key)
    return {Shard(bits, number): groups[number] for number in sorted(groups)}
