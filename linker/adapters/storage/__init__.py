"""The state of the app in Table Storage, with the clock and ids that go into it. Each class owns the keys of its entities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linker.adapters.storage.block_store import Blocks, RemovedRows, StoredBlock
from linker.adapters.storage.documents import CapabilityStore, Documents, Signals, salt_of
from linker.adapters.storage.lock_store import RunLock
from linker.adapters.storage.record_store import Audit, Issues, Samples
from linker.adapters.storage.run_store import Runs, TaskState
from linker.adapters.storage.staging import Scan, Slice, Staging, Stream
from linker.adapters.storage.table_states import FirstLink, FirstLinks, TableStates, UnlinkedRows, WaitingProfiles
from linker.core.errors import ChangedError
from linker.core.keys import digest_rows
from linker.core.linking.mapping_scan import TableState
from linker.core.serialization import iso

__all__ = [
    "Audit",
    "Blocks",
    "CapabilityStore",
    "Documents",
    "FirstLink",
    "FirstLinks",
    "Issues",
    "RemovedRows",
    "Runs",
    "Samples",
    "Scan",
    "Signals",
    "Slice",
    "Staging",
    "StoredBlock",
    "Stores",
    "Stream",
    "TableStates",
    "TaskState",
    "UnlinkedRows",
    "WaitingProfiles",
    "salt_of",
]


@dataclass(frozen=True, slots=True)
class Stores:
    """`clock` gives epoch seconds, `new_id` a fresh unique text."""

    lock: RunLock
    runs: Runs
    signals: Signals
    audit: Audit
    # ---- tables ----
    states: TableStates
    capability_store: CapabilityStore
    first_links: FirstLinks
    # ---- rows ----
    staging: Staging
    blocks: Blocks
    removed: RemovedRows
    waiting: WaitingProfiles
    issues: Issues
    samples: Samples
    documents: Documents  # anything else, by its name
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def now(self) -> str:
        """Return the time as ISO 8601 in UTC, to the second."""
        return iso(self.clock())

    @property
    def unlinked(self) -> UnlinkedRows:
        """What was unlinked recently."""
        return UnlinkedRows(self.documents)

    async def removed_digest(self, table: str, run: str) -> str:
        """Return what stands for the rows that a run found removed from the mapping, empty when it noted none."""
        keys = [key async for _, found in self.removed.after(table, run, "") for key in found]
        return digest_rows(keys) if keys else ""

    async def change_state(self, table: str, change: Callable[[TableState], TableState]) -> TableState:
        """Change what is remembered of a table and return it; changes of others meanwhile are kept."""
        while True:
            found = await self.states.load(table)
            old = found[0] if found else TableState()
            new = change(old)
            if found and new == old:
                return old
            try:
                await self.states.save(table, new, found[1] if found else None)
            except ChangedError:
                continue
            return new
