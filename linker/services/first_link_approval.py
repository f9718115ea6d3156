"""What an approval of a table's first link would allow: looked at and remembered by a run, or when an operator asks."""

from __future__ import annotations

from linker.adapters.dataverse import Dataverse
from linker.core.errors import ConfigurationError
from linker.core.permissions.write_permission import Permission
from linker.deps import Deps
from linker.services import fact_gathering, write_permits
from linker.services.fact_gathering import Evidence
from linker.services.write_permits import Standing


async def hold(deps: Deps, table: str) -> None:
    """Remember what an approval of a table's first link would allow, as a run does that finds it held."""
    dataverse = deps.patient_dataverse()
    who = await write_permits.standing(deps, dataverse)
    if who.obstacle:
        raise ConfigurationError(who.obstacle)
    seen = await fact_gathering.gather(deps, dataverse, who.held, (table,))
    await write_permits.remember_held(deps, await permitted_tables(deps, dataverse, who, seen))


async def permitted_tables(deps: Deps, dataverse: Dataverse, who: Standing, seen: Evidence) -> dict[str, Permission]:
    """Look at the tables that the run would link, unless it ends here."""
    if seen.columns is None or seen.judgement.status is not None:
        return {}
    can = await deps.check_capabilities(await fact_gathering.linked_columns(deps, seen))
    return await write_permits.permissions(
        deps, dataverse, who, seen.judgement.linked, seen.columns, can, remembers=True
    )
