"""What a refused request is about: a lookup column that some servers do not know yet, or something to change."""

from __future__ import annotations

from linker.adapters.dataverse import Dataverse, lookup_column
from linker.core.errors import ConfigurationError, DataverseError, LinkerError
from linker.core.model import Target
from linker.core.throttling.error_classification import advice_on, may_be_unknown_name
from linker.deps import Deps


async def explain_refusal(deps: Deps, dataverse: Dataverse, target: Target, error: DataverseError) -> LinkerError:
    """Return the passing fault that a refusal comes to when a server does not know the new column yet, else the refusal,
    with what to do about it where its code says so.

    A column counts as new until its table has been linked whole. What metadata says with strong consistency decides, so a
    column that was removed is not waited for. Raises what the look at metadata raises.
    """
    if advice := advice_on(error.code):
        return ConfigurationError(f"{error} {advice}")
    if not may_be_unknown_name(error.status, error.code):
        return error
    found = await deps.states.load(target.table)
    is_new = target.column_created or found is None or bool(found[0].epoch) or not found[0].linked
    if not is_new or await lookup_column.find(dataverse, target.table) is None:
        return error
    return lookup_column.not_known_yet(target.table)
