"""What is remembered about each source table between runs: `linkerstatus`, row `table-<name>`."""

from __future__ import annotations

from linker.adapters.storage.documents import Documents
from linker.core.errors import AlreadyThereError, ChangedError
from linker.core.linking.mapping_scan import TableState

VERSION_1 = "plan-"  # rows of version 1, which remembered key ranges


class TableStates:
    """What is remembered about each source table."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self, table: str) -> tuple[TableState, str] | None:
        """Return the state of a table and its ETag, None when there is none."""
        return await self._documents.load(TableState, f"table-{table}")

    async def save(self, table: str, state: TableState, etag: str | None) -> str:
        """Save a state and return its ETag. Raises ChangedError when another run changed it."""
        if etag is not None:
            return await self._documents.save(f"table-{table}", state, etag)
        try:
            return await self._documents.insert(f"table-{table}", state)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    async def is_of_version_1(self, table: str) -> bool:
        """Return whether version 1 linked the table and nothing newer did."""
        return table in await self._of_version_1()

    async def forget_version_1(self, table: str) -> None:
        """Remove what version 1 remembered of a table; its hash blocks are removed by Blocks."""
        await self._documents.delete(VERSION_1 + table)

    async def tables(self) -> list[str]:
        """Return the tables that were linked, wholly or in part, by any version."""
        names = [row.removeprefix("table-") for row in await self._documents.rows("table-")]
        states = {name: await self.load(name) for name in names}
        ours = [name for name, found in states.items() if found and (found[0].linked or found[0].epoch)]
        return sorted({*ours, *await self._of_version_1()})

    async def _of_version_1(self) -> list[str]:
        return [row.removeprefix(VERSION_1) for row in await self._documents.rows(VERSION_1)]
