"""The marks: the newest change of mapping and of profiles, by which a run knows whether it has seen what is there."""

from __future__ import annotations

import asyncio

from linker.adapters.dataverse.change_times import newest_change
from linker.adapters.dataverse.patient_reads import Unread, answer_or_reason
from linker.core.names import MAPPING_SET, PROFILE_SET
from linker.core.permissions.privileges import find_refused
from linker.core.runs.signals import UNKNOWN, Look, Marks, SignalKind, look_again
from linker.core.serialization import iso
from linker.deps import Deps

MARKS_S = 60.0  # both tables, with the pauses that Dataverse asks for


async def look_at_marks(deps: Deps, since: Marks | None) -> Look:
    """Return the marks and since when every look has seen the same; the looks of the timer count too."""
    marks, before = await marks_of(deps, since), await deps.signals.look()
    look = look_again(before, marks, deps.clock())
    if look != before:
        await deps.signals.save_look(look)
        if marks is None:
            await deps.signals.miss(SignalKind.WATERMARKS, UNKNOWN)
        else:
            await deps.signals.receive(
                SignalKind.WATERMARKS, f"Mapping {iso(marks.mapping)}, profiles {iso(marks.profiles)}."
            )
    return look


async def marks_of(deps: Deps, since: Marks | None) -> Marks | None:
    """Return the newest change of mapping and of profiles, None where Dataverse does not say, refuses or does not answer.

    A profile that this app touched last does not count. It may have been the newest one before, so the mark of profiles
    never falls below the one in `since`, the marks that these are compared with. The mapping is looked at last, so that
    this is the moment up to which its changes are seen: one request asks for both, in this order.
    """
    dataverse, we = deps.patient_dataverse(), await deps.user()
    found = await answer_or_reason(
        dataverse,
        lambda: asyncio.gather(
            newest_change(dataverse, PROFILE_SET, besides=we), newest_change(dataverse, MAPPING_SET)
        ),
        MARKS_S,
    )
    if isinstance(found, Unread):
        if found.refusal and find_refused(found.refusal):  # of a privilege that every run needs
            raise found.refusal
        if found.refusal:
            await dataverse.user()  # raises when Dataverse refuses everything: a run then shows why
        return None
    profiles, mapping = found
    if mapping is None or profiles is None:
        return None
    seconds, version = max(profiles, (since.profiles, since.profiles_version)) if since else profiles
    return Marks(mapping.seconds, seconds, mapping.version, version)
