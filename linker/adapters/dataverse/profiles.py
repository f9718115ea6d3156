"""Writing profiles once more without changing them: the second update of the described task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from linker.adapters.dataverse import response_models
from linker.adapters.dataverse.client import Dataverse
from linker.core import odata
from linker.core.errors import DataverseError, TableBusyError
from linker.core.names import CUSTOMER_COLUMN, PROFILE_KEY, PROFILE_SET

TRIES = 6  # of the writes that a busy table refused
CONFLICT = 412  # the profile has another version than the one that was read

_Row = TypedDict("_Row", {"msdynci_customerid": str, "partitionid": NotRequired[str | None], "@odata.etag": str})


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says of itself. `customer` is exactly as stored, because it is written back."""

    customer: str
    etag: str
    partition: str = ""


async def read(dataverse: Dataverse, ids: Sequence[str], *, has_in: bool, has_partitions: bool) -> dict[str, Profile]:
    """Return the profiles that exist, by id."""
    select = f"{CUSTOMER_COLUMN},partitionid" if has_partitions else CUSTOMER_COLUMN
    queries = [
        PROFILE_SET + odata.query(select=select, filter=expression)
        for expression in odata.any_guid(PROFILE_KEY, ids, has_in=has_in)
    ]
    rows = [row for answer in await dataverse.read_all(queries) for row in answer]
    return {response_models.guid_in(row, PROFILE_KEY): _profile(row) for row in rows}


def _profile(row: response_models.Fields) -> Profile:
    found, profile = response_models.check_model(_Row, row), response_models.guid_in(row, PROFILE_KEY)
    partition = response_models.normalize_partition(profile, found.get("partitionid"))
    return Profile(found["msdynci_customerid"], found["@odata.etag"], partition)


async def touch(dataverse: Dataverse, profiles: Mapping[str, Profile]) -> dict[str, DataverseError]:
    """Write each profile's own CustomerId again; return those that were refused one by one.

    Each write holds only for the version that was read (If-Match). So a value that Customer Insights wrote meanwhile is never
    set back, and no profile is created. A bulk message cannot carry versions, which is why there is none here. A conflict
    means that another writer has just updated the profile, which is what the touch is for.
    """
    parts = {
        profile: dataverse.patch(PROFILE_SET, _key(profile, known), {CUSTOMER_COLUMN: known.customer}, known.etag)
        for profile, known in profiles.items()
    }
    refused: dict[str, DataverseError] = {}
    for left in reversed(range(TRIES)):
        try:
            async with dataverse.connection.limiter.lane(len(parts)):
                refused |= await dataverse.write_parts(parts)
            break
        except TableBusyError as error:  # those that were written are not written again
            if not left:
                raise
            await asyncio.sleep(error.wait_s)
    return {profile: error for profile, error in refused.items() if error.status != CONFLICT}


def _key(profile: str, known: Profile) -> str:
    """Return what stands in parentheses in the address of a profile."""
    address = odata.address(PROFILE_SET, PROFILE_KEY, profile, known.partition)
    return address.removeprefix(f"/{PROFILE_SET}(").removesuffix(")")
