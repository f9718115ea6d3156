"""Hash blocks: what was last confirmed on the rows of one page, packed (design decisions 8 and 9).

An entry is 24 bytes: the 16 bytes of the row key, then 8 bytes of row hash, big endian. The lowest bit of the hash is the mark
*unconfirmed*: a link was intended, or may have changed, and only a live value settles it. A row has one entry, or several while
the outcome of a write is open (the old link beside the intended one). Entries are sorted, so equal contents have equal digests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

from linker.errors import StateError
from linker.model import CustomerId, RowKey
from linker.ports import Properties

FORMAT = 1
UNCONFIRMED = 1
_ENTRY = struct.Struct(">16sQ")
# Table Storage: 64 KiB a property, 1 MiB an entity (azure.md 8.1); the header and the names get the rest.
CHUNK_BYTES = 64 * 1024
MOST_BYTES = 14 * CHUNK_BYTES
MOST_ENTRIES = MOST_BYTES // _ENTRY.size
HEADER_NAMES = (
    "format", "digest", "rows", "unconfirmed", "epoch", "run", "attempt", "until", "known", "linked", "drift",
)  # fmt: skip

type Entries = Mapping[RowKey, tuple[int, ...]]


class BlockTooLargeError(StateError):
    """More entries than one entity holds; the page must be split."""


def row_hash(customer: CustomerId, salt: bytes) -> int:
    """Return the confirmed hash of a CustomerId: 63 bits of a salted digest, lowest bit clear.

    The salt keeps a stolen table from telling who is linked to whom. Two CustomerIds collide with a chance of 2**-63.
    """
    return int.from_bytes(blake2b(customer.encode(), digest_size=8, key=salt).digest()) & ~UNCONFIRMED


@dataclass(frozen=True, slots=True)
class Header:
    """The small properties of a block, readable without its entries. `until` is in epoch seconds."""

    digest: str = ""
    rows: int = 0
    unconfirmed: int = 0
    epoch: str = ""  # full run that compared every row of this page with its live link
    run: str = ""  # run that last saved the entries
    attempt: str = ""  # attempt that owns the page, empty when none
    until: float = 0.0  # when that attempt's time is over
    known: bool = False  # False: taken before any entries were saved, so nothing is known about its rows
    linked: int = 0  # rows that `run` linked; whoever repeats the page in that run counts them so
    drift: int = 0  # of them, rows whose confirmed link somebody else had changed


@dataclass(frozen=True, slots=True)
class HashBlock:
    """Header and entries of one page."""

    header: Header = Header()
    entries: Entries = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether absence of an entry means that the row was never linked by us."""
        return self.header.known

    def saved_by(self, run: str, epoch: str, entries: Entries, *, linked: int = 0, drift: int = 0) -> HashBlock:
        """Return the block with new entries, a matching header, and no attempt that owns it."""
        header = Header(
            digest=digest(entries),
            rows=len(entries),
            unconfirmed=sum(1 for hashes in entries.values() if any(h & UNCONFIRMED for h in hashes)),
            epoch=epoch,
            run=run,
            known=True,
            linked=linked,
            drift=drift,
        )
        return HashBlock(header, entries)

    def holding(self, entries: Entries) -> HashBlock:
        """Return the block with other entries: what its run did, and who owns it, stays."""
        header, was = self.saved_by(self.header.run, self.header.epoch, entries).header, self.header
        kept = replace(header, attempt=was.attempt, until=was.until, linked=was.linked, drift=was.drift)
        return HashBlock(kept, entries)

    def owned_by(self, attempt: str, until: float) -> HashBlock:
        """Return the block held by an attempt until `until`."""
        return replace(self, header=replace(self.header, attempt=attempt, until=until))


def pack(entries: Entries) -> bytes:
    """Return the entries as bytes, sorted by key and hash. Raises BlockTooLargeError above MOST_ENTRIES."""
    packed = b"".join(_ENTRY.pack(key, h) for key in sorted(entries) for h in sorted(entries[key]))
    if len(packed) > MOST_BYTES:
        raise BlockTooLargeError(
            f"A page holds {len(packed) // _ENTRY.size:,} entries, more than the {MOST_ENTRIES:,} of one entity. "
            "Nothing of it was saved; the page has to be split."
        )
    return packed


def unpack(packed: bytes) -> dict[RowKey, tuple[int, ...]]:
    """Return the entries in `packed`. Raises StateError if its length is not a whole number of entries."""
    if len(packed) % _ENTRY.size:
        raise StateError(f"A hash block has {len(packed)} bytes, which is no whole number of entries.")
    entries: dict[RowKey, tuple[int, ...]] = {}
    for key, value in _ENTRY.iter_unpack(packed):
        entries[key] = (*entries[key], value) if key in entries else (value,)
    return entries


def digest(entries: Entries) -> str:
    """Return the digest by which a page knows that nothing changed, as 32 hex digits."""
    return _digest_of(pack(entries))


def _digest_of(packed: bytes) -> str:
    return blake2b(packed, digest_size=16).hexdigest()


def wanted_entries(wanted: Mapping[RowKey, CustomerId], salt: bytes) -> dict[RowKey, tuple[int, ...]]:
    """Return the entries of a page on which every wanted link is confirmed."""
    hashes = {customer: (row_hash(customer, salt),) for customer in set(wanted.values())}
    return {key: hashes[customer] for key, customer in wanted.items()}


def to_properties(block: HashBlock) -> dict[str, str | int | float | bool | bytes]:
    """Return the block as Table Storage properties: the header, then the packed entries in chunks of 64 KiB."""
    packed = pack(block.entries)
    properties = header_properties(block.header)
    for number, start in enumerate(range(0, len(packed), CHUNK_BYTES)):
        properties[f"b{number:02}"] = packed[start : start + CHUNK_BYTES]
    return properties


def header_properties(header: Header) -> dict[str, str | int | float | bool | bytes]:
    """Return the header alone, for reads and writes that leave the entries untouched."""
    return {"format": FORMAT} | {name: getattr(header, name) for name in HEADER_NAMES[1:]}


def to_header(properties: Properties) -> Header | None:
    """Return the header in `properties`, None if it is of another format or damaged."""
    if properties.get("format") != FORMAT:
        return None
    try:
        found = {**_LATER, **properties}
        return Header(**{name: kind(found[name]) for name, kind in _HEADER_KINDS.items()})
    except (KeyError, TypeError, ValueError):
        return None


_HEADER_KINDS = {
    "digest": str, "rows": int, "unconfirmed": int, "epoch": str, "run": str, "attempt": str, "until": float, "known": bool,
    "linked": int, "drift": int,
}  # fmt: skip
_LATER: Final = {"linked": 0, "drift": 0}  # what earlier versions did not save


def to_block(properties: Properties) -> HashBlock:
    """Return the block in `properties`. One whose contents do not match its digest is damaged: nothing in it is known,
    which costs a comparison with live values, not a rewrite.
    """
    header = to_header(properties)
    if header is None:
        return HashBlock()
    packed = b"".join(bytes(properties[name]) for name in sorted(properties) if _is_chunk(name))  # type: ignore[arg-type]
    if not header.known or len(packed) % _ENTRY.size or _digest_of(packed) != header.digest:
        return HashBlock(Header(attempt=header.attempt, until=header.until))
    return HashBlock(header, unpack(packed))


def _is_chunk(name: str) -> bool:
    return len(name) == 3 and name[0] == "b" and name[1:].isdigit()


# ---- entry rules (tests/model explores why each is there) ----


def confirmed(hashes: Iterable[int]) -> bool:
    """Whether every entry of a row was read live."""
    return not any(h & UNCONFIRMED for h in hashes)


def unconfirm(hashes: Iterable[int]) -> tuple[int, ...]:
    """Return the same entries, none of them believed any more."""
    return tuple(sorted({h | UNCONFIRMED for h in hashes}))


def intend(hashes: Iterable[int], wanted: int) -> tuple[int, ...]:
    """Return a row's entries with the intended link beside what is there: a crash must not leave a link nobody knows of."""
    return tuple(sorted({*hashes, wanted | UNCONFIRMED}))


def names(hashes: Iterable[int], live: int) -> bool:
    """Whether a live link (its confirmed hash) is one that we wrote or meant to write."""
    return any(h & ~UNCONFIRMED == live for h in hashes)
