"""Writing profiles once more without changing them: the second update of the described task (design decision 20)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linker import odata
from linker.dataverse.client import PROFILE_SET, Dataverse
from linker.errors import DataverseError
from linker.model import PROFILE_TABLE
from linker.verdict import Answer, judge

_KEY = f"{PROFILE_TABLE}id"
CUSTOMER = "msdynci_customerid"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says of itself; `customer` letter by letter, since it is written back."""

    customer: str
    etag: str


async def read(dataverse: Dataverse, ids: Sequence[str]) -> dict[str, Profile]:
    """Return the profiles that exist, by id."""
    queries = [PROFILE_SET + odata.query(select=CUSTOMER, filter=odata.is_in(_KEY, some)) for some in odata.chunks(ids)]
    rows = [row for answer in await dataverse.read_all(queries) for row in answer]
    return {str(row[_KEY]).lower(): Profile(row[CUSTOMER], row["@odata.etag"]) for row in rows}


async def touch(dataverse: Dataverse, profiles: Mapping[str, Profile], *, bulk: bool) -> dict[str, DataverseError]:
    """Write each profile's own CustomerId again; return those that were refused one by one.

    UpdateMultiple where it is supported (`bulk`). When that is refused for the sake of a row, or the table lacks it, single
    updates in batches: each only if the profile is still what was read (If-Match), so none is created or set back.
    """
    started = time.monotonic()
    try:
        if bulk and await _touched_at_once(dataverse, profiles):
            return {}
        return await dataverse.write_parts(
            {
                profile: dataverse.patch(PROFILE_SET, profile, {CUSTOMER: known.customer}, known.etag)
                for profile, known in profiles.items()
            }
        )
    finally:
        dataverse.meter.wrote(len(profiles), time.monotonic() - started)


async def _touched_at_once(dataverse: Dataverse, profiles: Mapping[str, Profile]) -> bool:
    rows = [{_KEY: profile, CUSTOMER: known.customer} for profile, known in profiles.items()]
    try:
        await dataverse.update_multiple(PROFILE_TABLE, PROFILE_SET, rows)
    except DataverseError as error:
        answer = judge(error.status, error.code, error.text)
        if answer is Answer.STOP:
            raise
        dataverse.meter.timed_out |= answer is Answer.SHRINK
        return False
    return True
