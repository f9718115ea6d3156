"""What is remembered about each source table between runs."""

from __future__ import annotations

from dataclasses import dataclass

from linker.errors import AlreadyThereError, ChangedError
from linker.model import WIRE
from linker.pages import Plan
from linker.state.documents import Documents


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What is remembered about a source table: its pages, and how far a full run came.

    `epoch` names the full run that is under way or was interrupted; empty when the next run may be incremental. `linked`
    says that one full run went through the whole table.
    """

    __pydantic_config__ = WIRE
    plan: Plan
    epoch: str = ""
    linked: bool = False
    schema: str = ""  # fingerprint of the profile table when the last full run began


class Plans:
    """What is remembered about each source table."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self, table: str) -> tuple[TablePlan, str] | None:
        """Return the stored plan of a table and its ETag."""
        return await self._documents.load(TablePlan, f"plan-{table}")

    async def save(self, table: str, plan: TablePlan, etag: str | None) -> str:
        """Save a plan. Raises ChangedError when another run changed it."""
        if etag is not None:
            return await self._documents.save(f"plan-{table}", plan, etag)
        try:
            return await self._documents.insert(f"plan-{table}", plan)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    async def tables(self) -> list[str]:
        """Return the tables that were linked, wholly or in part."""
        names = [row.removeprefix("plan-") for row in await self._documents.rows("plan-")]
        plans = {name: await self.load(name) for name in names}
        return [name for name, found in plans.items() if found and (found[0].linked or found[0].epoch)]
