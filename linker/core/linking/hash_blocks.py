"""Hash blocks: what was last confirmed on the rows of one shard, packed, and what has to happen to these rows now.

An entry is 32 bytes: the 16 bytes of the row key, 8 bytes of *wish hash* and 8 bytes of *link hash*, big endian. The wish hash
covers what the mapping asked for (row key, CustomerId, and the profile that the mapping row names, if it is believed), so that
an unchanged row is recognized from the mapping alone. The link hash covers what the lookup holds (row key, profile id,
partition), so that a live link is recognized without its profile, even when that profile is gone. The lowest bit of the link
hash is the mark *unconfirmed*: a link was intended, or may have changed, and only a live value settles it. A row has one entry,
or several while the outcome of a write is open (the old link beside the intended one). Entries are sorted, so equal contents
have equal digests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final, NamedTuple

from linker.core.errors import StateError
from linker.core.linking.segments import INDEX
from linker.core.linking.shards import Claim
from linker.core.model import Link, RowKey
from linker.core.ports import Properties

FORMAT = 2  # 1 held one hash of the CustomerId alone
UNCONFIRMED = 1
_ENTRY = struct.Struct(">16sQQ")
# Table Storage: 64 KiB a property, 1 MiB an entity (docs/reference/azure.md 8.1); the header and the names get the rest.
CHUNK_BYTES = 64 * 1024
MAX_BYTES = 14 * CHUNK_BYTES
MAX_ENTRIES = MAX_BYTES // _ENTRY.size
HEADER_NAMES = (
    "format", "digest", "wishes", "rows", "unconfirmed", "epoch", "run", "attempt", "until", "known", "linked", "drift",
    "secret",
)  # fmt: skip


class Entry(NamedTuple):
    """One pair of hashes of a row; see the module."""

    wish: int
    link: int

    @property
    def is_confirmed(self) -> bool:
        """Whether the link was read live."""
        return not self.link & UNCONFIRMED


UNKNOWN: Final = Entry(0, UNCONFIRMED)  # of a row that this app linked, to a profile that is not known any more

type Entries = Mapping[RowKey, tuple[Entry, ...]]


class BlockTooLargeError(StateError):
    """More entries than one entity holds."""


def name_salt(salt: bytes) -> str:
    """Return the name of a salt, which shows nothing about it: 16 hexadecimal digits."""
    return blake2b(salt, digest_size=8, person=b"fingerprint").hexdigest()


def hash_link(key: RowKey, link: Link, salt: bytes) -> int:
    """Return the confirmed link hash of a row: 63 bits of a salted digest, lowest bit clear."""
    text = f"l{link.profile}\0{link.partition}"
    return int.from_bytes(blake2b(key + text.encode(), digest_size=8, key=salt).digest()) & ~UNCONFIRMED


def confirm_links(links: Mapping[RowKey, Link], wishes: Mapping[RowKey, int], salt: bytes) -> dict[RowKey, Entry]:
    """Return the confirmed entry of each row that has its link."""
    return {key: Entry(wishes[key], hash_link(key, link, salt)) for key, link in links.items()}


@dataclass(frozen=True, slots=True)
class Header:
    """The small properties of a block, readable without its entries. `until` is in epoch seconds."""

    digest: str = ""  # of all entries: shows damage
    wishes: str = ""  # of row keys and wish hashes alone: shows that the mapping asks for nothing new
    rows: int = 0
    unconfirmed: int = 0
    epoch: str = ""  # full run that compared every row of this shard with its live link
    run: str = ""  # run that last saved the entries
    attempt: str = ""  # attempt that owns the page, empty when none
    until: float = 0.0  # when that attempt's time is over
    known: bool = False  # False: taken before any entries were saved, so nothing is known about its rows
    linked: int = 0  # rows that `run` linked; an attempt that repeats the shard in that run counts them so
    drift: int = 0  # of them, rows whose confirmed link was changed by another writer
    secret: str = ""  # name of the salt that the hashes were made with, empty before blocks had one


@dataclass(frozen=True, slots=True)
class HashBlock:
    """Header and entries of one shard. `packed` are the same entries as bytes where the digest was made of them."""

    header: Header = Header()
    entries: Entries = field(default_factory=dict)
    packed: bytes = field(default=b"", compare=False, repr=False)

    @property
    def known(self) -> bool:
        """Whether absence of an entry means that the row was never linked by us."""
        return self.header.known

    def saved_by(
        self, run: str, epoch: str, entries: Entries, *, linked: int = 0, drift: int = 0, secret: str = ""
    ) -> HashBlock:
        """Return the block with new entries, a matching header, and no attempt that owns it.

        `secret` names the salt of the entries, empty when it is the same as before.
        """
        packed = pack(entries)
        header = Header(
            digest=_digest_of(packed),
            wishes=digest_wishes(entries),
            rows=len(entries),
            unconfirmed=sum(1 for row in entries.values() if not is_confirmed(row)),
            epoch=epoch,
            run=run,
            known=True,
            linked=linked,
            drift=drift,
            secret=secret or self.header.secret,
        )
        return HashBlock(header, entries, packed)

    def holding(self, entries: Entries) -> HashBlock:
        """Return the block with other entries: what its run did, and who owns it, stays."""
        block, was = self.saved_by(self.header.run, self.header.epoch, entries), self.header
        kept = replace(block.header, attempt=was.attempt, until=was.until, linked=was.linked, drift=was.drift)
        return replace(block, header=kept)

    def is_of_other_secret(self, secret: str) -> bool:
        """Return whether its hashes were made with another salt than the one of this name, so that none can be compared."""
        return self.known and self.header.secret not in ("", secret)

    def distrust(self) -> HashBlock:
        """Return the block as one that still names its rows, and nothing about their links. The header stays as stored."""
        return HashBlock(self.header, dict.fromkeys(self.entries, (UNKNOWN,)))

    def owned_by(self, attempt: str, until: float) -> HashBlock:
        """Return the block held by an attempt until `until`."""
        return replace(self, header=replace(self.header, attempt=attempt, until=until))


def pack(entries: Entries) -> bytes:
    """Return the entries as bytes, sorted by key and hashes. Raises BlockTooLargeError above MAX_ENTRIES."""
    # As bytes, big endian, they have the order of keys and hashes; a block that was read has it already.
    packed = b"".join(sorted([_ENTRY.pack(key, *entry) for key, row in entries.items() for entry in row]))
    if len(packed) > MAX_BYTES:
        raise BlockTooLargeError(
            f"A shard holds {len(packed) // _ENTRY.size:,} entries, more than the {MAX_ENTRIES:,} of one entity. "
            "Nothing of it was saved. Run again: the next full scan makes more shards."
        )
    return packed


def unpack(packed: bytes) -> dict[RowKey, tuple[Entry, ...]]:
    """Return the entries in `packed`. Raises StateError if its length is not a whole number of entries."""
    if len(packed) % _ENTRY.size:
        raise StateError(f"A hash block has {len(packed)} bytes, which is not a whole number of entries.")
    entries: dict[RowKey, tuple[Entry, ...]] = {}
    for key, wish, link in _ENTRY.iter_unpack(packed):
        entries[key] = (*entries[key], Entry(wish, link)) if key in entries else (Entry(wish, link),)
    return entries


def digest_wishes(entries: Entries) -> str:
    """Return the digest of what the mapping asked for, equal to that of the staged rows of an unchanged shard."""
    return digest_records(INDEX.pack(key, row[0].wish) for key, row in entries.items())


def digest_records(records: Iterable[bytes]) -> str:
    """Return the digest of staged index rows, in whatever order and however often they come, as 32 hex digits."""
    # A dict keeps their order: what is in order already, as in a block that was read, takes little to sort.
    return _digest_of(b"".join(sorted(dict.fromkeys(records))))


def _digest_of(packed: bytes) -> str:
    return blake2b(packed, digest_size=16).hexdigest()


def to_properties(block: HashBlock) -> dict[str, str | int | float | bool | bytes]:
    """Return the block as Table Storage properties: the header, then the packed entries in chunks of 64 KiB."""
    packed = block.packed or pack(block.entries)
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
    "digest": str, "wishes": str, "rows": int, "unconfirmed": int, "epoch": str, "run": str, "attempt": str, "until": float,
    "known": bool, "linked": int, "drift": int, "secret": str,
}  # fmt: skip
_LATER: Final = {name: getattr(Header(), name) for name in ("linked", "drift", "secret")}  # that earlier versions lack


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


# ---- entry rules (tests/model_checking explores why each is there) ----


def is_confirmed(row: Iterable[Entry]) -> bool:
    """Return whether every entry of a row was read live."""
    return not any([entry.link & UNCONFIRMED for entry in row])  # noqa: C419 - a generator takes as long again


def unconfirm(row: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the same entries, each marked as not read live."""
    return tuple(sorted({Entry(entry.wish, entry.link | UNCONFIRMED) for entry in row}))


def intend(row: Iterable[Entry], wanted: Entry) -> tuple[Entry, ...]:
    """Return a row's entries with the intended one beside what is there: after a crash, each possible link is known."""
    return tuple(sorted({*row, Entry(wanted.wish, wanted.link | UNCONFIRMED)}))


def names_link(row: Iterable[Entry], live: int) -> bool:
    """Return whether a live link (its confirmed link hash) is one that this app wrote or meant to write."""
    return any(entry.link & ~UNCONFIRMED == live for entry in row)


# ---- what has to happen to the rows ----


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Every claimed row is in exactly one of `unchanged`, `compare` and `change`."""

    unchanged: frozenset[RowKey]
    compare: Mapping[RowKey, Claim]  # only the live link decides
    change: Mapping[RowKey, Claim]  # known to have no link
    unclaimed: tuple[RowKey, ...]  # of the block, without a claim: after a full scan they have left the mapping


def diff_shard(
    claims: Mapping[RowKey, Claim],
    wishes: Mapping[RowKey, int],
    block: HashBlock,
    *,
    all_live: bool = False,
    links_empty: bool = False,
) -> ShardPlan:
    """Decide for each row of a shard whether it is unchanged, must be compared with its live link, or changes.

    `wishes` holds the wish hash of each claimed row. `all_live` distrusts every row (full and verify runs); `links_empty` says
    that this run created the column and wrote nothing to the shard yet, so links to compare with do not exist.
    """
    unchanged: set[RowKey] = set()
    compare: dict[RowKey, Claim] = {}
    change: dict[RowKey, Claim] = {}
    for key, claim in claims.items():
        if links_empty:
            change[key] = claim
        elif all_live or not block.known or not confirms(block.entries.get(key, ()), wishes[key]):
            compare[key] = claim  # a row that changed or joined may have the right link already
        else:
            unchanged.add(key)
    unclaimed = tuple(sorted(key for key in block.entries if key not in claims))
    return ShardPlan(frozenset(unchanged), compare, change, unclaimed)


def confirms(row: Sequence[Entry], wish: int) -> bool:
    """Return whether a row has one entry, which was read live, and that is of this wish."""
    return len(row) == 1 and row[0].is_confirmed and row[0].wish == wish
