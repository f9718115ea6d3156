"""The newest change of a table: its time, and the version of its row, because times are whole seconds."""

from __future__ import annotations

from typing import Final, NamedTuple

from linker import odata
from linker.dataverse import shapes
from linker.dataverse.client import Dataverse
from linker.errors import DataverseError

# Row versions rise with each write, so of the rows of one second the last one is known. Where a table cannot be sorted by
# them (not documented for every table), the second alone has to do.
_ORDERS: Final = (("modifiedon", "versionnumber"), ("modifiedon",))
_REFUSALS: Final = (400, 404)


class Newest(NamedTuple):
    """When a table was last changed, in epoch seconds, and the version of that row, 0 where it is not told."""

    seconds: float
    version: int = 0


async def newest_change(dataverse: Dataverse, entity_set: str, *, besides: str = "") -> Newest | None:
    """Return the newest change of a table, None when there is no such table, row or column.

    Rows that the user `besides` wrote last are left out; second 0 when there are no others.
    """
    others = f"_modifiedby_value ne {besides} or _modifiedby_value eq null" if besides else ""
    for columns in _ORDERS:
        order = ",".join(f"{column} desc" for column in columns)
        options = odata.query(select=",".join(columns), filter=others, orderby=order, top=1)
        try:
            rows = await dataverse.first(entity_set + options, shapes.Stamped)
        except DataverseError as error:
            if error.status not in _REFUSALS:
                raise
            continue
        return _newest(rows[0]) if rows else Newest(0.0) if besides else None
    return None


def _newest(row: shapes.Stamped) -> Newest | None:
    stamp = row.get("modifiedon")
    return Newest(shapes.time_in(stamp), row.get("versionnumber") or 0) if stamp else None
