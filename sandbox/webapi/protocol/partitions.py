"""Partitions of elastic rows: how they are named in URLs and shown, and which links find the row that they name.

Microsoft's page on using elastic tables. A row that was created without a partition has its own key as partition; a
lookup that names none means that default. A link with another partition than its row's finds nothing, and no error
says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sandbox.database.collation import PARTITIONS, guid_text
from sandbox.database.values import Stored
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import OneToMany, Table
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, row_missing
from sandbox.webapi.protocol.urls import Segment, unquoted

_LONGEST: Final = 100
_FORBIDDEN: Final = frozenset("/<>*%&:\\?")
_OPTION: Final = "partitionId"


def named_partition(call: Call, table: Table, segment: Segment) -> str | None:
    """Return the partition that a URL names: in the key, or by `?partitionId=` of a GET or DELETE; None for none."""
    if not table.elastic:
        return None
    named = segment.named_arguments.get(PARTITION)
    if named is not None:
        return unquoted(named)
    return call.request.options.get(_OPTION) if call.request.method in {"GET", "DELETE"} else None


def check_partition(call: Call, table: Table, key: bytes, wanted: Stored) -> None:
    """Raise the 404 answer unless a row is in the partition that was named; None means its default one."""
    if not table.elastic:
        return
    found = call.environment.database.rows_of(table, (PARTITION,), [key])
    if key in found and not same_partition(call, key, found[key][0], wanted):
        raise row_missing(table.logical_name, guid_text(key))


def same_partition(call: Call, key: bytes, stored: Stored, wanted: Stored) -> bool:
    """Return whether the partition of a row is the wanted one; None stands for the default on both sides."""
    shown = PARTITIONS[call.environment.config.partition_shown]
    return (shown(key) if stored is None else stored) == (shown(key) if wanted is None else wanted)


def read_partition(value: object) -> str | None:
    """Return the partition of a new row, None for the default. Raises the 400 answer for one that is not allowed."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST or _FORBIDDEN & set(value):
        raise ApiError(400, "0x80040203", f"'{value}' is not a valid partitionid.")
    return value


def shown_partitions(stored: Iterable[object], ids: Iterable[object], shown: str) -> list[object]:
    """Return the partitions of rows as clients see them; `ids` are the guid texts of the rows."""
    if shown == "null":
        return list(stored)
    defaults = (str(one).upper() for one in ids) if shown == "upper" else ids
    return [default if value is None else value for value, default in zip(stored, defaults, strict=True)]


def living_links(call: Call, table: Table, relationship: OneToMany, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """Return by row the row that its lookup finds; empty lookups, dead and orphaned links are left out."""
    database = call.environment.database
    lookup = relationship.referencing_attribute
    partition = table.partition_of(lookup)
    names = (lookup, partition.logical_name) if partition else (lookup,)
    links = {key: values for key, values in database.rows_of(table, names, keys).items() if values[0] is not None}
    parent = database.schema.tables[relationship.referenced_entity]
    wanted = [value for value, *_ in links.values() if isinstance(value, bytes)]
    found = database.rows_of(parent, (PARTITION,) if parent.elastic else (), list(set(wanted)))
    living: dict[bytes, bytes] = {}
    for key, (target, *named) in links.items():
        if not isinstance(target, bytes) or target not in found:
            continue
        if not parent.elastic or same_partition(call, target, found[target][0], named[0] if named else None):
            living[key] = target
    return living
