"""State in Table Storage beside the run lock (design section 4). Each class owns the keys of its entities."""

from linker.state.audit import Audit, AuditEntry
from linker.state.blocks import Blocks, RemovedRows, StoredBlock
from linker.state.capabilities import CapabilityStore
from linker.state.documents import Documents, salt_of
from linker.state.first_links import FirstLink, FirstLinks
from linker.state.issues import Issues, RowRecord
from linker.state.runs import Runs, TaskState
from linker.state.samples import Samples
from linker.state.signals import Signals
from linker.state.staging import Scan, Slice, Staging, Stream
from linker.state.table_states import TableStates
from linker.state.unlinked import UnlinkedRows
from linker.state.waiting import WaitingProfiles

__all__ = [
    "Audit",
    "AuditEntry",
    "Blocks",
    "CapabilityStore",
    "Documents",
    "FirstLink",
    "FirstLinks",
    "Issues",
    "RemovedRows",
    "RowRecord",
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
