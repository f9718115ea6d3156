"""State in Table Storage. Each class owns the keys of its entities."""

from linker.adapters.storage.audit_log import Audit
from linker.adapters.storage.block_store import Blocks, RemovedRows, StoredBlock
from linker.adapters.storage.documents import Documents, salt_of
from linker.adapters.storage.issue_store import Issues, Samples
from linker.adapters.storage.run_store import Runs, TaskState
from linker.adapters.storage.signal_store import CapabilityStore, Signals
from linker.adapters.storage.staging import Scan, Slice, Staging, Stream
from linker.adapters.storage.table_states import FirstLink, FirstLinks, TableStates, UnlinkedRows, WaitingProfiles

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
    "Stream",
    "TableStates",
    "TaskState",
    "UnlinkedRows",
    "WaitingProfiles",
    "salt_of",
]
