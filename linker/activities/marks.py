"""The marks: the newest change of mapping and of profiles, by which a run knows whether it has seen what is there."""

from __future__ import annotations

import asyncio

from linker.dataverse.client import MAPPING_SET, PROFILE_SET
from linker.deps import Deps
from linker.settling import Marks


async def marks_of(deps: Deps, since: Marks | None) -> Marks | None:
    """Return the newest change of mapping and profiles in epoch seconds, None where the columns do not tell.

    A profile that this app touched last is no change. It may have been the newest one before, so the mark of profiles
    never falls below the one in `since`, the marks that these are compared with.
    """
    dataverse, we = deps.dataverse(), await deps.user()
    mapping, profiles = await asyncio.gather(
        dataverse.newest_change(MAPPING_SET), dataverse.newest_change(PROFILE_SET, besides=we)
    )
    if mapping is None or profiles is None:
        return None
    return mapping, max(profiles, since[1]) if since else profiles
