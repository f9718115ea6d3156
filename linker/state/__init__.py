"""State in Table Storage beside the run lock (design section 4). Each class owns the keys of its entities."""

from linker.state.audit import Audit, AuditEntry
from linker.state.blocks import Blocks, DepartedPages, StoredBlock, StrayPages
from linker.state.capabilities import CapabilityStore
from linker.state.documents import Documents, salt_of
from linker.state.first_links import FirstLink, FirstLinks
from linker.state.issues import Issues, RowRecord
from linker.state.plans import Plans, TablePlan
from linker.state.runs import Runs, TaskState
from linker.state.samples import Samples
from linker.state.signals import Signals
from linker.state.waiting import WaitingProfiles

__all__ = [
    "Audit",
    "AuditEntry",
    "Blocks",
    "CapabilityStore",
    "DepartedPages",
    "Documents",
    "FirstLink",
    "FirstLinks",
    "Issues",
    "Plans",
    "RowRecord",
    "Runs",
    "Samples",
    "Signals",
    "StoredBlock",
    "StrayPages",
    "TablePlan",
    "TaskState",
    "WaitingProfiles",
    "salt_of",
]
