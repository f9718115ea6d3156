"""Whether a table that a caller names exists."""

from __future__ import annotations

from collections.abc import Iterable

from linker.adapters.dataverse.metadata import find_tables
from linker.core.errors import LinkerError
from linker.deps import ROW_COST, Deps
from linker.entrypoints.http.messages import ProblemError


async def check_tables(deps: Deps, names: Iterable[str]) -> None:
    """Raise ProblemError 404 for a table that neither this app nor Dataverse knows.

    When Dataverse can't be asked, the names pass: the run itself looks again.
    """
    for name in dict.fromkeys(names):
        if await deps.states.load(name) is None and not await _may_exist(deps, name):
            detail = f"Dataverse has no table '{name}'. Nothing was started. Check its logical name."
            raise ProblemError(404, "Unknown table", detail)


async def _may_exist(deps: Deps, name: str) -> bool:
    try:
        found = await deps.looks.once(
            f"table {name}", ROW_COST, deps.clock(), lambda: find_tables(deps.dataverse(), name)
        )
    except LinkerError:
        return True
    return any(table.logical_name == name for table in found)
