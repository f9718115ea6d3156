"""Asks Dataverse what the profile and the mapping table can do. Reads only, with at most MAX_REQUESTS requests.

A refusal or a wrong answer means that a capability is not available. No answer at all leaves it open. Neither is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.probe_questions import Question, Questions
from linker.adapters.dataverse.sampled_tables import (
    LinkedColumn,
    NothingToAskError,
    WrongAnswerError,
    sample_mapping,
    sample_profiles,
    short,
)
from linker.core import odata
from linker.core.capabilities import (
    Capabilities,
    Capability,
    Finding,
    TableKind,
    complete_findings,
    finding,
    table_kind,
)
from linker.core.errors import LinkerError, TransientError
from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns

MAX_REQUESTS: Final = 24
AT_ONCE: Final = 6


class _Kind(TypedDict):
    LogicalName: str
    TableType: NotRequired[str | None]
    DataProviderId: NotRequired[str | None]
    ChangeTrackingEnabled: NotRequired[bool | None]


async def read_tables(dataverse: Dataverse) -> tuple[TableKind, TableKind, bool | None]:
    """Return the kind of the profile table and of the mapping table, and whether the mapping tracks changes (None: metadata
    does not say). The data providers are a second question, which may fail.

    Raises TransientError and DataverseError when the first request fails.
    """
    names = " or ".join(f"LogicalName eq {odata.literal(name)}" for name in (PROFILE_TABLE, MAPPING_TABLE))
    found, providers = await asyncio.gather(
        _definitions(dataverse, names, "LogicalName,TableType,ChangeTrackingEnabled"), _providers(dataverse, names)
    )
    kinds = [
        table_kind(found.get(name, {}).get("TableType"), providers.get(name, {}).get("DataProviderId"))
        for name in (PROFILE_TABLE, MAPPING_TABLE)
    ]
    return kinds[0], kinds[1], found.get(MAPPING_TABLE, {}).get("ChangeTrackingEnabled")


async def _providers(dataverse: Dataverse, names: str) -> dict[str, Mapping[str, Any]]:
    try:
        return await _definitions(dataverse, names, "LogicalName,DataProviderId")
    except LinkerError:
        return {}


async def _definitions(dataverse: Dataverse, names: str, select: str) -> dict[str, Mapping[str, Any]]:
    path = "EntityDefinitions" + odata.query(select=select, filter=names)
    return {row["LogicalName"]: dict(row) for row in await dataverse.first(path, _Kind)}


async def probe_capabilities(
    dataverse: Dataverse, columns: MappingColumns | None, now: str, linked: Sequence[LinkedColumn] = ()
) -> Capabilities:
    """Return what both tables can do, as of `now` (ISO 8601). `linked` are lookup columns that may hold links already.

    Raises TransientError and DataverseError only when the kinds of the tables cannot be read.
    """
    profile_kind, mapping_kind, tracks_changes = await read_tables(dataverse)
    kinds = (profile_kind, mapping_kind)
    if columns is None:
        return Capabilities(*kinds, complete_findings((), now, "Dataverse has no mapping table."), now)
    mapping, profiles = await asyncio.gather(sample_mapping(dataverse, columns), sample_profiles(dataverse))
    questions = Questions(dataverse, columns, mapping, profiles, tracks_changes, tuple(linked)).by_capability()
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(capability: Capability, question: Question) -> Finding:
        async with room:
            available, evidence = await _answer(question)
        return finding(capability, available, evidence, now)

    found = await asyncio.gather(*(ask(*each) for each in questions.items()))
    return Capabilities(*kinds, complete_findings(found, now, "It could not be asked."), now)


async def _answer(question: Question) -> tuple[bool | None, str]:
    try:
        return True, await question()
    except WrongAnswerError as error:
        return False, str(error)
    except NothingToAskError as error:
        return None, str(error)
    except TransientError as error:
        return None, f"No answer: {short(error)}"
    except LinkerError as error:
        return False, f"Refused: {short(error)}"
