"""Links that nothing accounts for: on rows that neither mapping nor blocks name, and to profiles that do not exist any more.

Nothing empties a lookup when an elastic profile is deleted. So from time to time, and in verify runs, all links of a table are
held against all profiles. Both are read whole; profile ids are held a share at a time, so memory stays flat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage.record_store import MAX_ISSUES
from linker.core.keys import digest_rows, key_text
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import group_by_shard, place_key
from linker.core.model import RowKey, Target, UnlinkAllowance
from linker.core.odata import MappingColumns
from linker.core.permissions.automations import count_noun
from linker.core.records import ORPHANED, PlannedChange, issue
from linker.core.runs.generation_values import Strays, StraysTask
from linker.deps import Deps
from linker.durable.boundary import check_may_continue
from linker.durable.writes import PATCHES
from linker.services.full_reasons import mark_unconfirmed
from linker.services.write_permits import sample_customers

PROFILES_HELD = 1_000_000  # ids held at once, about 90 bytes each
LINKS_HELD = 200_000
KEYS_ASKED = 1_000  # rows of one look into the mapping
MAX_SHARES = 1_024


async def find_strays(deps: Deps, task: StraysTask) -> Strays:
    """Find rows of a table with a link that nothing accounts for, and mark our own links whose profile is gone.

    A marked row is compared and resolved again. A link that is not ours is reported, row by row, and cleared only as far as an
    operator allowed it (`task.allowed`). Nothing is cleared while the mapping names the row: its profile may still arrive.
    """
    dataverse, target = deps.patient_dataverse(renews=True), await deps.target(task.run, task.table)
    found = await deps.states.load(task.table)
    if found is None or not target.navigation:
        return Strays()
    search = _Search(deps, task, dataverse, target, found[0])
    await search.run()
    if not task.dry_run:
        now = deps.clock()
        await deps.change_state(task.table, lambda state: replace(state, orphans_at=now))
    return search.found


@dataclass(slots=True)
class _Search:
    deps: Deps
    task: StraysTask
    dataverse: Dataverse
    target: Target
    state: TableState
    strays: int = 0
    orphans: set[RowKey] = field(default_factory=set)  # not ours, not in the mapping, and their profile is gone
    found: Strays = Strays()

    async def run(self) -> None:
        shares = 1
        while True:
            try:
                for share in range(shares):
                    await self._share(share, shares)
            except _TooManyError:
                shares, self.strays, self.orphans = shares * 4, 0, set()
                if shares > MAX_SHARES:
                    raise
                continue
            break
        await self._settle()

    async def _share(self, share: int, shares: int) -> None:
        """Hold the links whose profiles fall into one share of all against the profiles of that share."""
        profiles = await self._profiles(share, shares)
        held: dict[RowKey, bool] = {}
        async for links in self.dataverse.rows_with_link(self.target):
            await check_may_continue(self.deps, self.task.run)
            held |= {key: profile in profiles for key, profile in links if _is_of_share(profile, share, shares)}
            if len(held) >= LINKS_HELD:
                await self._judge(held)
                held = {}
        await self._judge(held)

    async def _profiles(self, share: int, shares: int) -> set[bytes]:
        profiles: set[bytes] = set()
        async for ids in self.dataverse.profile_ids():
            await check_may_continue(self.deps, self.task.run)
            profiles.update(one for one in ids if _is_of_share(one, share, shares))
            if len(profiles) > PROFILES_HELD:
                raise _TooManyError
        return profiles

    async def _judge(self, links: Mapping[RowKey, bool]) -> None:
        """Sort rows with a link (True: to a profile that exists) into ours, the mapping's, and others."""
        named: set[RowKey] = set()
        for bits in (self.state.bits, *self.state.earlier_bits):
            for shard, rows in group_by_shard(links, bits).items():
                named |= rows & (await self.deps.blocks.load(self.task.table, shard.name)).block.entries.keys()
        gone = [key for key in named if not links[key]]
        if gone and not self.task.dry_run:
            await mark_unconfirmed(self.deps, self.task.table, self.state, gone)
        others = [key for key in links if key not in named]
        unnamed = {key async for key in self._find_unmapped(others)}
        self.strays += len(unnamed)
        self.orphans |= {key for key in unnamed if not links[key]}

    async def _find_unmapped(self, keys: Sequence[RowKey]) -> AsyncIterator[RowKey]:
        columns = MappingColumns.of(self.target)
        for some in batched(keys, KEYS_ASKED):
            asked = dict.fromkeys(some, ())
            rows = await self.dataverse.claims_of(columns, self.target, self.target.sources, asked)
            claimed = {row.key for row in rows}
            for key in some:
                if key not in claimed:
                    yield key

    async def _settle(self) -> None:
        """Clear orphaned links as far as an operator allowed it, and report those that stay row by row.

        A dry run counts and lists what would be cleared.
        """
        kept, cleared = await self._why_kept(), set[RowKey]()
        if self.orphans and self.task.allowed and not kept:
            cleared = await self._would_clear() if self.task.dry_run else await self._clear()
        left = sorted(self.orphans if self.task.dry_run else self.orphans - cleared)
        for rows in batched(left, MAX_ISSUES):
            issues = [issue(self.task.table, key_text(key), ORPHANED, _sentence(kept)) for key in rows]
            await self.deps.issues.save(self.task.run, issues, dry_run=self.task.dry_run)
        stay = self.orphans - cleared
        digest = digest_rows(stay) if stay else ""
        self.found = Strays(self.strays, len(stay), len(cleared), digest, kept)

    async def _why_kept(self) -> str:
        if not self.orphans or not self.task.allowed:
            return ""
        hidden = await sample_customers(self.dataverse, MappingColumns.of(self.target), self.target)
        return guard_orphans(len(self.orphans), digest_rows(self.orphans), self.task.allowed, *hidden)

    async def _would_clear(self) -> set[RowKey]:
        changes = [PlannedChange(self.task.table, key_text(key), "unlink") for key in sorted(self.orphans)]
        await self.deps.samples.save(self.task.run, (self.task.table, "orphans"), changes)
        return self.orphans

    async def _clear(self) -> set[RowKey]:
        """Clear links whose profile and mapping row are still missing, on the version that was read; return the rows."""
        cleared = set[RowKey]()
        for some in batched(sorted(self.orphans), PATCHES):
            await check_may_continue(self.deps, self.task.run)
            live = await self._links([key async for key in self._find_unmapped(some)])
            living = await self.dataverse.customers_of({profile for profile, _ in live.values()}, self.target)
            etags = {key: etag for key, (profile, etag) in live.items() if profile not in living}
            await self.dataverse.clear_links(self.target, etags)
            cleared |= etags.keys() - (await self._links(list(etags))).keys()
        return cleared

    async def _links(self, rows: list[RowKey]) -> dict[RowKey, tuple[str, str]]:
        """Return the rows that have a link, each with its profile and the row's ETag."""
        live = await self.dataverse.links(self.target, rows)
        return {key: (row.link.profile, row.etag) for key, row in live.items() if row.link is not None}


def guard_orphans(orphans: int, digest: str, allowed: Sequence[UnlinkAllowance], customers: int, hidden: int) -> str:
    """Return why orphaned links stay although an operator allowed to clear some, empty when they may go.

    `digest` stands for the orphaned rows. `hidden` of `customers` that were sampled from the mapping have no profile that the
    app can see. Then business units may hide profiles, or unification still writes them, so no profile counts as deleted.
    """
    if hidden:
        return f"of {count_noun(customers, 'sampled customer')} of the mapping, {hidden:,} have no profile that the app can see"
    if any(orphans <= one.most_rows and one.seen in ("", digest) for one in allowed):
        return ""
    if any(orphans <= one.most_rows for one in allowed):
        return "they are other rows than those that were allowed"
    return f"there are {orphans:,}, more than this run was allowed to clear"


def _sentence(reason: str) -> str:
    return f"{issue('', '', 'OrphanedLink').reason} It stays, since {reason}." if reason else ""


class _TooManyError(Exception):
    """A share of the profiles is larger than what is held at once."""


def _is_of_share(profile: bytes, share: int, shares: int) -> bool:
    return shares == 1 or place_key(profile) % shares == share
