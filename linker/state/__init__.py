"""State in Table Storage beside the run lock (design section 4). Each class owns the keys of its entities."""

from linker.state.blocks import Blocks, DepartedPages, StoredBlock, StrayPages
from linker.state.documents import Documents, salt_of
from linker.state.plans import Plans, TablePlan
from linker.state.runs import Issues, Runs, TaskState
from linker.state.waiting import WaitingProfiles

__all__ = [
    "Blocks",
    "DepartedPages",
    "Documents",
    "Issues",
    "Plans",
    "Runs",
    "StoredBlock",
    "StrayPages",
    "TablePlan",
    "TaskState",
    "WaitingProfiles",
    "salt_of",
]
