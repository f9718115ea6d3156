"""The Dataverse Web API as the linker needs it (facts: dataverse.md). HTTP here, decisions in the core."""

from linker.dataverse.client import Dataverse
from linker.dataverse.http import Connection, Meter, TokenSource
from linker.dataverse.shapes import LiveLink

__all__ = ["Connection", "Dataverse", "LiveLink", "Meter", "TokenSource"]
