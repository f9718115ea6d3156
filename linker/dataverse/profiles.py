"""Writing profiles once more without changing them: the second update of the described task (design decision 20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from linker import odata
from linker.dataverse import shapes
from linker.dataverse.client import PROFILE_KEY, PROFILE_SET, Dataverse
from linker.errors import DataverseError
from linker.model import PROFILE_TABLE
from linker.verdict import Answer, judge

CUSTOMER = "msdynci_customerid"


_Row = TypedDict("_Row", {"msdynci_customerid": str, "@odata.etag": str})


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says of itself; `customer` letter by letter, since it is written back."""

    customer: str
    etag: str


async def read(dataverse: Dataverse, ids: Sequence[str]) -> dict[str, Profile]:
    """Return the profiles that exist, by id."""
    queries = [
        PROFILE_SET + odata.query(select=CUSTOMER, filter=odata.is_in(PROFILE_KEY, some)) for some in odata.chunks(ids)
    ]
    rows = [row for answer in await dataverse.read_all(queries) for row in answer]
    return {shapes.guid_in(row, PROFILE_KEY): _profile(shapes.checked(_Row, row)) for row in rows}


def _profile(row: _Row) -> Profile:
    return Profile(row["msdynci_customerid"], row["@odata.etag"])


async def touch(dataverse: Dataverse, profiles: Mapping[str, Profile], *, bulk: bool) -> dict[str, DataverseError]:
    """Write each profile's own CustomerId again; return those that were refused one by one.

    UpdateMultiple where it is supported (`bulk`). When that is refused for the sake of a row, or the table lacks it, single
    updates in batches: each only if the profile is still what was read (If-Match), so none is created or set back.
    """
    async with dataverse.connection.limiter.lane(len(profiles)):
        if bulk and await _touched_at_once(dataverse, profiles):
            return {}
        return await dataverse.write_parts(
            {
                profile: dataverse.patch(PROFILE_SET, profile, {CUSTOMER: known.customer}, known.etag)
                for profile, known in profiles.items()
            }
        )


async def _touched_at_once(dataverse: Dataverse, profiles: Mapping[str, Profile]) -> bool:
    rows = [{PROFILE_KEY: profile, CUSTOMER: known.customer} for profile, known in profiles.items()]
    try:
        await dataverse.update_multiple(PROFILE_TABLE, PROFILE_SET, rows)
    except DataverseError as error:
        answer = judge(error.status, error.code, error.text)
        if answer is Answer.STOP:
            raise
        if answer is Answer.SHRINK:
            dataverse.connection.limiter.overloaded()
        return False
    return True
