"""Shards: the unit of fan-out. A row belongs to the shard that the leading bits of a hash of its key name.

Hashing spreads any set of keys evenly, so that a shard needs no knowledge of how keys are distributed or compared. When a
table doubles, each shard splits in two by one more bit: shard n of b bits becomes 2n and 2n+1 of b+1 bits.
docs/decisions describes why shards replaced key ranges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from linker.core.model import WIRE, RowKey

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
