"""What was found out about the profile and the mapping table, with its date (one value in table `linkerstatus`)."""

from __future__ import annotations

from linker.adapters.storage.documents import Documents
from linker.core.capabilities import Capabilities
from linker.core.errors import StateError

ROW = "capabilities"


class CapabilityStore:
    """The findings that were saved last."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self) -> Capabilities | None:
        """Return what was saved last, None when nothing was, or when another version of the app saved it."""
        try:
            found = await self._documents.load(Capabilities, ROW)
        except StateError:
            return None
        return found[0] if found else None

    async def save(self, found: Capabilities) -> None:
        """Save findings over those that are there: of two probes at once either one is good."""
        await self._documents.save(ROW, found)
