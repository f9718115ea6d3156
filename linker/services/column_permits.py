"""Whether column security lets the app's user read and write what links need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linker.adapters.dataverse import Dataverse
from linker.adapters.dataverse.secured_columns import column_rights, find_secured_columns
from linker.core.errors import DataverseError
from linker.core.permissions.column_security import ColumnNeed, ColumnRights, concerns, missing_on_columns
from linker.core.permissions.privileges import Missing
from linker.deps import Deps


async def missing_permissions(deps: Deps, dataverse: Dataverse, needs: Sequence[ColumnNeed]) -> tuple[Missing, ...]:
    """Return the permissions on secured columns that the account lacks. Permissions are asked for only where a needed column is
    secured. Where they cannot be read, they count as not held: a link that reads as null must not be taken for an empty one.
    """
    secured = await find_secured_columns(dataverse, (need.table for need in needs))
    if not concerns(needs, secured):
        return ()
    try:
        rights = await _rights(deps, dataverse)
    except DataverseError as error:
        unknown = f"not known, since Dataverse answered {error.status}"
        return tuple(replace(one, level=unknown) for one in missing_on_columns(needs, secured, {}))
    return missing_on_columns(needs, secured, rights)


async def _rights(deps: Deps, dataverse: Dataverse) -> ColumnRights:
    """Return what the account may do with secured columns: what both users may do where it acts for another one."""
    acting = await column_rights(dataverse, await deps.user(dataverse))
    if not deps.settings.impersonate:
        return acting
    own = Dataverse(replace(dataverse.connection, extra_headers={}), dataverse.meter)
    real = await column_rights(own, await own.user())
    return {column: acting[column] & real[column] for column in acting.keys() & real.keys()}
