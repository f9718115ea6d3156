"""A lookup column that was just created: for half a minute some servers of Dataverse know it and others do not."""

from __future__ import annotations

from linker.adapters.dataverse import Dataverse, lookup_column
from linker.core.errors import DataverseError, LinkerError
from linker.core.model import Target
from linker.core.throttling.error_classification import may_be_unknown_name
from linker.deps import Deps


async def explain_refusal(deps: Deps, dataverse: Dataverse, target: Target, error: DataverseError) -> LinkerError:
    """Return the passing fault that a refusal comes to when a server does not know the new column yet, else the refusal.

    A column counts as new until its table has been linked whole. What metadata says with strong consistency decides, so a
    column that was removed is not waited for. Raises what the look at metadata raises.
    """
    if not may_be_unknown_name(error.status, error.code):
        return error
    found = await deps.states.load(target.table)
    is_new = target.column_created or found is None or bool(found[0].epoch) or not found[0].linked
    if not is_new or await lookup_column.find(dataverse, target.table) is None:
        return error
    return lookup_column.not_known_yet(target.table)
