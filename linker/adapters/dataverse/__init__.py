"""The Dataverse Web API as the linker needs it (facts: docs/reference/dataverse.md). HTTP here, decisions in the core."""

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.http import Connection, Meter
from linker.adapters.dataverse.patient_reads import SharedReads
from linker.adapters.dataverse.response_models import LiveLink
from linker.adapters.outgoing import TokenSource

__all__ = ["Connection", "Dataverse", "LiveLink", "Meter", "SharedReads", "TokenSource"]
