"""What a scan found for one shard, what a delta scan looks up beside it, and the profile that each mapping row leads to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage.staging import Scan
from linker.core.linking.claims import Claim, ClaimRow, Wanted, decide_claims
from linker.core.linking.hash_blocks import HashBlock, hash_wish, is_confirmed
from linker.core.linking.segments import Segment, digest_records
from linker.core.linking.shards import Shard
from linker.core.model import Link, RowKey, Target
from linker.core.odata import MappingColumns
from linker.deps import Deps


@dataclass(frozen=True, slots=True)
class StagedShard:
    """The mapping rows of one shard in one scan."""

    deps: Deps
    dataverse: Dataverse
    target: Target
    scan: Scan
    shard: Shard
    salt: bytes

    async def rows_if_equal(self, digest: str) -> int | None:
        """Return how many rows the shard has when their wishes have this digest, read from the index alone; else None."""
        records: set[bytes] = set()
        async for segment in self._segments(index_only=True):
            if segment.invalid:
                return None
            records.update(record for record in segment.records if self._is_ours(record[:16], segment.bits))
        return len(records) if digest_records(records) == digest else None

    async def wanted(self, block: HashBlock) -> Wanted:
        """Return what the mapping asks for. After a delta scan these are the changed rows and those that are still open.

        A delta scan shows one mapping row of several that may claim a source row. So each row that differs from the block is
        looked up again with all of its claims, as are rows that earlier runs left open.
        """
        rows = [row async for segment in self._segments() for row in self._rows_of(segment)]
        if self.scan.full:
            return decide_claims(rows)
        staged = decide_claims(rows)
        keys = {*self._differing(staged.claims, block), *self._open(block)}
        found = await self._look_up(keys) if keys else []
        known = {row.key for row in found}
        return decide_claims([*(row for row in rows if row.key is None or row.key not in known), *found])

    def wishes(self, claims: Mapping[RowKey, Claim]) -> dict[RowKey, int]:
        """Return the wish hash of each row."""
        names_profile = self.scan.names_profile
        return {key: hash_wish(key, claim, self.salt, names_profile=names_profile) for key, claim in claims.items()}

    def _differing(self, claims: Mapping[RowKey, Claim], block: HashBlock) -> Iterable[RowKey]:
        for key, wish in self.wishes(claims).items():
            stored = block.entries.get(key, ())
            if len(stored) != 1 or not stored[0].is_confirmed or stored[0].wish != wish:
                yield key

    def _open(self, block: HashBlock) -> Iterable[RowKey]:
        yield from (key for key, row in block.entries.items() if not is_confirmed(row))
        yield from (key for key in map(bytes.fromhex, self.scan.revisit) if self.shard.holds(key))

    async def _look_up(self, keys: Iterable[RowKey]) -> list[ClaimRow]:
        columns = MappingColumns.of(self.target)
        return await self.dataverse.claims_of(columns, self.target, self.scan.sources, dict.fromkeys(keys, ()))

    def _rows_of(self, segment: Segment) -> Iterable[ClaimRow]:
        for row, _ in segment.rows():
            if self._is_ours(row.identity if row.key is None else row.key, segment.bits):
                yield row

    def _is_ours(self, key: RowKey, bits: int) -> bool:
        return bits >= self.shard.bits or self.shard.holds(key)

    async def _segments(self, *, index_only: bool = False) -> AsyncIterator[Segment]:
        streams = await self.deps.streams(self.target.table, self.scan)
        segments = self.deps.staging.segments(self.target.table, self.scan, streams, self.shard, index_only=index_only)
        async for segment in segments:
            yield segment


@dataclass(slots=True)
class Resolved:
    """The link of each row, or why it has none: code and text of an issue."""

    links: dict[RowKey, Link] = field(default_factory=dict)
    issues: dict[RowKey, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds profiles: by the mapping row's own lookup where a sample showed that it is right, else by CustomerId.

    Not `trusting` ignores the mapping row's lookup.
    """

    dataverse: Dataverse
    target: Target
    trusting: bool = True

    async def resolve(self, claims: Mapping[RowKey, Claim]) -> Resolved:
        """Return the link of each row. A profile that is not in Dataverse yet defers its rows; several reject them."""
        believes = self.trusting and self.target.names_profile
        links = {
            key: Link(claim.profile, claim.partition) for key, claim in claims.items() if believes and claim.profile
        }
        resolved, rest = Resolved(links), {key: claim for key, claim in claims.items() if key not in links}
        found = await self.dataverse.profiles({claim.stored for claim in rest.values()}, self.target) if rest else {}
        for key, claim in rest.items():
            candidates = found.get(claim.customer, ())
            if len(candidates) == 1:
                resolved.links[key] = candidates[0]
            elif candidates:
                text = f"{len(candidates)} profiles have the CustomerId {claim.stored}."
                resolved.issues[key] = ("AmbiguousProfile", text)
            else:
                text = f"The profile of customer {claim.stored} is not in Dataverse."
                resolved.issues[key] = ("ProfileMissing", text)
        return resolved
