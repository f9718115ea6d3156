"""What the linker writes, as the sandbox commits it, and what of that it must not write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from sandbox.data.lookup_column import LOOKUP
from sandbox.database import scan
from sandbox.database.unification import mapping_rows
from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment, WriteOperation
from sandbox.schema.insights_tables import PROFILES
from sandbox.server.app import Sandbox
from sandbox.server.pipeline import Pipeline

PROFILE_COLUMNS = frozenset({"msdynci_customerid"})
LINK_COLUMNS = frozenset({LOOKUP, f"{LOOKUP}pid"})  # Dataverse sets the latter along with a link to an elastic profile


@dataclass(slots=True)
class Watch:
    """Looks at every write of the linker. `harm` names those that break a promise."""

    environment: Environment
    harm: list[str] = field(default_factory=list)
    mapped: set[str] = field(default_factory=set)

    @classmethod
    def over(cls, sandbox: Sandbox) -> Self:
        """Watch a sandbox from now on."""
        made = cls(sandbox.environment)
        before = sandbox.environment.hooks
        assert isinstance(before, Pipeline)
        sandbox.environment.hooks = _Watched(before.protection, before.faults, before.in_flight, made)
        return made

    def unlinking_begins(self) -> None:
        """Remember which rows are mapped: absence is read from now on."""
        self.mapped = self._mapped()

    def look(self, operation: WriteOperation) -> None:
        """Judge a write that was committed."""
        if operation.user != LINKER.systemuser_id:
            return
        if operation.kind not in ("Update", "UpdateMultiple"):
            self.harm.append(f"{operation.kind} of {operation.table} {operation.row_ids[:3]}")
        allowed = PROFILE_COLUMNS if operation.table == PROFILES else LINK_COLUMNS
        if operation.columns - allowed:
            self.harm.append(f"columns {sorted(operation.columns)} of {operation.table} were written")
        elif operation.kind == "Update" and operation.table != PROFILES:
            self._look_at_clear(operation)

    def _look_at_clear(self, operation: WriteOperation) -> None:
        table = self.environment.database.schema.tables[operation.table]
        (key,) = operation.row_ids
        ((link,),) = scan(self.environment.database, operation.table, [LOOKUP], {table.primary_id: key})
        if link is None and key in self.mapped & self._mapped():
            self.harm.append(f"{operation.table} {key} was unlinked although it is mapped")

    def _mapped(self) -> set[str]:
        database = self.environment.database
        return {row.key for row in mapping_rows(database) if row.table in {"contact", "new_member"}}


@dataclass(frozen=True, slots=True)
class _Watched(Pipeline):
    watch: Watch

    async def after_commit(self, operation: WriteOperation) -> None:
        await super(_Watched, self).after_commit(operation)
        self.watch.look(operation)
