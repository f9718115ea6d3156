"""Segments: the mapping rows of one scanned slice that belong together, packed for Table Storage.

The index of a segment has 24 bytes a row: the 16 bytes of the row key, then the 8 bytes of the wish hash (linker.blocks). It is
all that an unchanged shard needs. The claims follow in the same order in a second part, and mapping rows without a usable key
in a third. Parts are cut into properties of 64 KiB, and a segment into entities that stay below 1 MiB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from linker.core.errors import StateError
from linker.core.linking.shards import PLACE_BITS, Claim, ClaimRow, Shard, place_key
from linker.core.model import RowKey
from linker.core.ports import Properties

CHUNK_BYTES = 64 * 1024  # of a property (docs/reference/azure.md)
MAX_ENTITY_BYTES = 600_000  # of all parts: 1 MiB with names, and an average batch of 100 stays below 4 MiB
INDEX = struct.Struct(">16sQ")
_LENGTH = struct.Struct(">H")
_HEX, _DASHED, _PROFILE, _PARTITION = 1, 2, 4, 8
_HEX_DIGITS = frozenset("0123456789abcdef")
_DASHES = (8, 13, 18, 23)
_GUID_BYTES = 16
INDEX_NAMES = tuple(
    f"{letter}{number:02}" for letter in "ix" for number in range(10)
)  # properties of index and invalid rows


@dataclass(slots=True)
class Packed:
    """The parts of one bucket as they grow."""

    index: bytearray = field(default_factory=bytearray)
    claims: bytearray = field(default_factory=bytearray)
    invalid: bytearray = field(default_factory=bytearray)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return len(self.index) + len(self.claims) + len(self.invalid)

    def add(self, row: ClaimRow, wish: int) -> None:
        """Append one mapping row; `wish` is its wish hash, and is ignored for a row without a key."""
        if row.key is None:
            self.invalid += row.identity + _pack_text(row.text)
            return
        self.index += INDEX.pack(row.key, wish)
        self.claims += _pack_claim(row.claim)

    def extend(self, other: Packed) -> None:
        """Append the rows of another bucket."""
        self.index += other.index
        self.claims += other.claims
        self.invalid += other.invalid


class SliceSegments:
    """The rows of one slice by bucket: the leading `bits` bits of where their keys lie.

    A bucket that outgrows one entity gets several.
    """

    def __init__(self, bits: int) -> None:
        self.bits, self.rows = bits, 0
        self._shift = PLACE_BITS - bits
        self._open: dict[int, Packed] = {}
        self._full: list[tuple[int, Packed]] = []

    def add(self, row: ClaimRow, wish: int) -> None:
        """Add one mapping row."""
        bucket = place_key(row.identity if row.key is None else row.key) >> self._shift
        packed = self._open.get(bucket)
        if packed is None:
            packed = self._open[bucket] = Packed()
        packed.add(row, wish)
        self.rows += 1
        if packed.size > MAX_ENTITY_BYTES - 2_000:  # one more row always fits
            self._full.append((bucket, self._open.pop(bucket)))

    def coarsen(self, bits: int) -> None:
        """Sort the rows into the larger buckets of fewer bits; more bits change nothing."""
        finer = self.bits - bits
        if finer <= 0:
            return
        parts = [*self._full, *sorted(self._open.items())]
        self.bits, self._shift, self._open, self._full = bits, PLACE_BITS - bits, {}, []
        for bucket, packed in parts:
            self._join(bucket >> finer, packed)

    def _join(self, bucket: int, packed: Packed) -> None:
        before = self._open.setdefault(bucket, packed)
        if before is packed:
            return
        if before.size + packed.size <= MAX_ENTITY_BYTES - 2_000:
            before.extend(packed)
        else:
            self._full.append((bucket, before))
            self._open[bucket] = packed

    def __iter__(self) -> Iterator[tuple[int, int, Properties]]:
        """Yield (bucket, part number, properties) of each entity."""
        parts: dict[int, int] = {}
        for bucket, packed in [*self._full, *sorted(self._open.items())]:
            number = parts[bucket] = parts.get(bucket, -1) + 1
            yield bucket, number, to_properties(packed)


def to_properties(packed: Packed) -> dict[str, bytes]:
    """Return the parts of a segment as Table Storage properties."""
    parts = (("i", packed.index), ("c", packed.claims), ("x", packed.invalid))
    return {
        f"{letter}{number:02}": bytes(data[start : start + CHUNK_BYTES])
        for letter, data in parts
        for number, start in enumerate(range(0, len(data), CHUNK_BYTES))
    }


@dataclass(frozen=True, slots=True)
class Segment:
    """The parts of one stored segment."""

    bits: int  # of its bucket: a segment of fewer bits than a shard holds rows of other shards too
    index: bytes
    claims: bytes
    invalid: bytes

    @classmethod
    def read(cls, bits: int, properties: Properties) -> Segment:
        """Return the segment in an entity's properties."""
        return cls(bits, *(_join_bytes(properties, letter) for letter in "icx"))

    def records(self, shard: Shard) -> Iterator[bytes]:
        """Yield the index rows of a shard, each as its bytes."""
        found = (self.index[at : at + INDEX.size] for at in range(0, len(self.index), INDEX.size))
        return (record for record in found if self._is_of(shard, record[:16]))

    def rows_of(self, shard: Shard) -> list[ClaimRow]:
        """Return the mapping rows of a shard, those without a key by their identity. Raises StateError as `rows`."""
        return [row for row, _ in self.rows() if self._is_of(shard, row.identity if row.key is None else row.key)]

    def _is_of(self, shard: Shard, key: RowKey) -> bool:
        return self.bits >= shard.bits or shard.holds(key)

    def rows(self) -> Iterator[tuple[ClaimRow, int]]:
        """Yield the mapping rows with their wish hashes, then those without a key. Raises StateError when it is damaged."""
        try:
            at = 0
            for key, wish in INDEX.iter_unpack(self.index):
                claim, at = _unpack_claim(self.claims, at)
                yield ClaimRow(key, claim, "", b""), wish
            _check_end(self.claims, at)
            at = 0
            while at < len(self.invalid):
                identity, at = _take(self.invalid, at, _GUID_BYTES)
                text, at = _unpack_text(self.invalid, at)
                yield ClaimRow(None, Claim(""), text, identity), 0
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise StateError(
                "A staged segment is damaged. Nothing was written; the next run scans the table again."
            ) from error


def _join_bytes(properties: Properties, letter: str) -> bytes:
    names = sorted(name for name in properties if len(name) == 3 and name[0] == letter and name[1:].isdigit())
    return b"".join(bytes(properties[name]) for name in names)  # type: ignore[arg-type]


def _pack_claim(claim: Claim) -> bytes:
    """Return a claim: flags, the CustomerId, then profile and partition where the flags say so.

    A CustomerId of 32 hex digits, or of a GUID with dashes, takes 16 bytes, and comes back as it was.
    """
    flags, customer = _pack_customer(claim.stored)
    packed = customer
    if claim.profile:
        flags, packed = flags | _PROFILE, packed + bytes.fromhex(claim.profile.replace("-", ""))
    if claim.partition:
        flags, packed = flags | _PARTITION, packed + _pack_text(claim.partition)
    return bytes((flags,)) + packed


def _pack_customer(text: str) -> tuple[int, bytes]:
    if len(text) == 32 and _HEX_DIGITS.issuperset(text):
        return _HEX, bytes.fromhex(text)
    if len(text) == 36 and all(text[at] == "-" for at in _DASHES):
        digits = text.replace("-", "")
        if len(digits) == 32 and _HEX_DIGITS.issuperset(digits):
            return _DASHED, bytes.fromhex(digits)
    return 0, _pack_text(text)


def _unpack_claim(data: bytes, at: int) -> tuple[Claim, int]:
    flags = data[at]
    at += 1
    if flags & (_HEX | _DASHED):
        digits, at = _take(data, at, _GUID_BYTES)
        customer = digits.hex() if flags & _HEX else _dash_guid(digits.hex())
    else:
        customer, at = _unpack_text(data, at)
    profile = partition = ""
    if flags & _PROFILE:
        digits, at = _take(data, at, _GUID_BYTES)
        profile = _dash_guid(digits.hex())
    if flags & _PARTITION:
        partition, at = _unpack_text(data, at)
    return Claim(customer, profile, partition), at


def _dash_guid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _pack_text(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def _unpack_text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = _LENGTH.unpack_from(data, at)
    text, at = _take(data, at + _LENGTH.size, length)
    return text.decode(), at


def _check_end(data: bytes, at: int) -> None:
    if at != len(data):
        raise IndexError


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length
