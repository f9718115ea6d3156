"""The annotations of rows, before their values: display texts, and what lookups point at (docs/reference/dataverse.md 7)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sandbox.database.values import Stored
from sandbox.schema.column_types import FRACTION_TYPES, WHOLE_TYPES, Column, ColumnType
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import OneToMany
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.partitions import living_links
from sandbox.webapi.protocol.shapes import Shape

type JsonRow = dict[str, object]

_FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
_NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_LOGICAL_NAME: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"


class _Absent:
    """Marks an annotation that a row does not have; null values have none (docs/reference/dataverse.md 7)."""


ABSENT: Final = _Absent()


def without_absent(objects: Iterable[JsonRow]) -> list[JsonRow]:
    """Return rows without the annotations that they do not have."""
    return [{name: value for name, value in row.items() if value is not ABSENT} for row in objects]


def annotated(
    call: Call, shape: Shape, column: Column, values: Sequence[Stored], keys: Sequence[bytes]
) -> Iterator[tuple[str, list[object]]]:
    """Yield those annotations of a column that are asked for, each with its value for every row; `keys` are the rows."""
    formatted = _formatted(call, shape, column, values, keys)
    found: list[tuple[str, list[object]]] = [(_FORMATTED, formatted)] if formatted else []
    if column.type is ColumnType.LOOKUP:
        found += _lookup_annotations(call, shape, column, values)
    for name, annotation in found:
        if call.request.wants(name):
            yield f"{column.property_name}@{name}", annotation


def _lookup_annotations(
    call: Call, shape: Shape, column: Column, values: Sequence[Stored]
) -> list[tuple[str, list[object]]]:
    owners = _owners(call, shape, column, values)
    relationships = [owners.get(value) if isinstance(value, bytes) else None for value in values]
    return [
        (_NAVIGATION, [r.lookup_navigation if r else ABSENT for r in relationships]),
        (_LOGICAL_NAME, [r.referenced_entity if r else ABSENT for r in relationships]),
    ]


def _owners(call: Call, shape: Shape, column: Column, values: Sequence[Stored]) -> dict[bytes, OneToMany]:
    """Return which relationship each key belongs to; only lookups with several targets have to be looked up."""
    keys = list({value for value in values if isinstance(value, bytes)})
    found = [r for r in call.schema.lookups(shape.table.logical_name) if r.referencing_attribute == column.logical_name]
    if len(found) == 1:
        return dict.fromkeys(keys, found[0])
    owners: dict[bytes, OneToMany] = {}
    for relationship in found:
        parent = call.schema.tables[relationship.referenced_entity]
        owners |= dict.fromkeys(call.environment.database.rows_of(parent, (), keys), relationship)
    return owners


def _formatted(
    call: Call, shape: Shape, column: Column, values: Sequence[Stored], keys: Sequence[bytes]
) -> list[object]:
    """Return display texts; empty if the type has none."""
    if column.type is ColumnType.LOOKUP:
        elastic = _elastic_parent(call, shape, column)
        if elastic is not None:
            return _living_labels(call, shape, elastic, keys)
        labels = _labels(call, shape, column, values)
        return [labels.get(value, ABSENT) if isinstance(value, bytes) else ABSENT for value in values]
    if column.options:
        names = {option.value: option.label for option in column.options}
        return [names.get(value, str(value)) if isinstance(value, int) else ABSENT for value in values]
    if column.type is ColumnType.BOOLEAN:
        return [ABSENT if value is None else ("Yes" if value else "No") for value in values]
    if column.type in FRACTION_TYPES:
        sign = "$" if column.type is ColumnType.MONEY else ""
        return [f"{sign}{value:,.2f}" if isinstance(value, int | float) else ABSENT for value in values]
    if column.type in WHOLE_TYPES:
        return [f"{value:,}" if isinstance(value, int | float) else ABSENT for value in values]
    if column.type in {ColumnType.DATETIME, ColumnType.DATE}:
        return [ABSENT if value is None else str(value) for value in values]
    return []


def _elastic_parent(call: Call, shape: Shape, column: Column) -> OneToMany | None:
    """Return the relationship of a lookup to an elastic table, None for other lookups."""
    if not any(call.schema.tables[target].elastic for target in column.targets):
        return None
    found = call.schema.lookups(shape.table.logical_name)
    return next((one for one in found if one.referencing_attribute == column.logical_name), None)


def _living_labels(call: Call, shape: Shape, relationship: OneToMany, keys: Sequence[bytes]) -> list[object]:
    """Return the labels of a lookup to an elastic table: only a link that finds a row in its default partition has one.

    Whether lists have them at all is not proved.
    """
    if call.environment.config.elastic_list_labels == "absent" and not shape.one:
        return [ABSENT for _ in keys]
    links = living_links(call, shape.table, relationship, keys)
    parent = call.schema.tables[relationship.referenced_entity]
    found = call.environment.database.rows_of(parent, (parent.primary_name, PARTITION), list(set(links.values())))
    labels = {key: label for key, (label, partition) in found.items() if label is not None and partition is None}
    return [labels.get(links[key], ABSENT) if key in links else ABSENT for key in keys]


def _labels(call: Call, shape: Shape, column: Column, values: Sequence[Stored]) -> dict[bytes, object]:
    labels: dict[bytes, object] = {}
    by_parent: dict[str, list[bytes]] = {}
    for key, relationship in _owners(call, shape, column, values).items():
        by_parent.setdefault(relationship.referenced_entity, []).append(key)
    for name, keys in by_parent.items():
        parent = call.schema.tables[name]
        found = call.environment.database.rows_of(parent, (parent.primary_name,), keys)
        labels |= {key: label for key, (label,) in found.items() if label is not None}
    return labels
