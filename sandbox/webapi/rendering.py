"""Turns stored rows into JSON objects, a whole column at a time (5,000 rows are one page)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sandbox.database.security import partners
from sandbox.database.select import Query, select_page
from sandbox.database.values import Stored, shown_column
from sandbox.schema.model import FRACTION_TYPES, WHOLE_TYPES, Column, ColumnType, ManyToMany, OneToMany
from sandbox.webapi.call import Call
from sandbox.webapi.shapes import Expand, Shape

type JsonRow = dict[str, object]

_FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
_NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_LOGICAL_NAME: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
_EXPANDED_ROWS: Final = 5000


def render(call: Call, shape: Shape, rows: Sequence[tuple[Stored, ...]], annotations: str = "") -> list[JsonRow]:
    """Return JSON objects for rows of (version, key, columns of the shape...)."""
    if not rows:
        return []
    versions, keys, *stored_columns = zip(*rows, strict=True)
    series: dict[str, Iterable[object]] = {"@odata.etag": [f'W/"{version}"' for version in versions]}
    for column, values in zip(shape.columns, stored_columns, strict=True):
        if annotations:
            series |= _annotated(call, shape, column, values, annotations)
        series[column.property_name] = shown_column(column, values)
    series[shape.table.primary_id] = shown_column(shape.table.primary_key, keys)
    for expand in shape.expands:
        series[expand.name] = _expanded(call, shape, expand, keys)
    names = tuple(series)
    objects = [dict(zip(names, values, strict=False)) for values in zip(*series.values(), strict=True)]
    return _without_absent(objects) if annotations else objects


class _Absent:
    """Marks an annotation that a row does not have; null values have none (dataverse.md 7)."""


_ABSENT: Final = _Absent()


def _without_absent(objects: Iterable[JsonRow]) -> list[JsonRow]:
    return [{name: value for name, value in row.items() if value is not _ABSENT} for row in objects]


def _annotated(
    call: Call, shape: Shape, column: Column, values: Sequence[Stored], wanted: str
) -> Iterator[tuple[str, list[object]]]:
    """Yield the annotations of a column, which stand before its value."""
    formatted = _formatted(call, shape, column, values)
    found: list[tuple[str, list[object]]] = [(_FORMATTED, formatted)] if formatted else []
    if column.type is ColumnType.LOOKUP:
        found += _lookup_annotations(call, shape, column, values)
    for name, annotation in found:
        if _is_wanted(name, wanted):
            yield f"{column.property_name}@{name}", annotation


def _is_wanted(name: str, wanted: str) -> bool:
    patterns = (pattern.strip() for pattern in wanted.split(","))
    return any(name == p or (p.endswith("*") and name.startswith(p[:-1])) for p in patterns)


def _lookup_annotations(
    call: Call, shape: Shape, column: Column, values: Sequence[Stored]
) -> list[tuple[str, list[object]]]:
    owners = _owners(call, shape, column, values)
    relationships = [owners.get(value) if isinstance(value, bytes) else None for value in values]
    return [
        (_NAVIGATION, [r.lookup_navigation if r else _ABSENT for r in relationships]),
        (_LOGICAL_NAME, [r.referenced_entity if r else _ABSENT for r in relationships]),
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


def _formatted(call: Call, shape: Shape, column: Column, values: Sequence[Stored]) -> list[object]:
    """Return display texts; empty if the type has none."""
    if column.type is ColumnType.LOOKUP:
        labels = _labels(call, shape, column, values)
        return [labels.get(value, _ABSENT) if isinstance(value, bytes) else _ABSENT for value in values]
    if column.options:
        names = {option.value: option.label for option in column.options}
        return [names.get(value, str(value)) if isinstance(value, int) else _ABSENT for value in values]
    if column.type is ColumnType.BOOLEAN:
        return [_ABSENT if value is None else ("Yes" if value else "No") for value in values]
    if column.type in WHOLE_TYPES | FRACTION_TYPES:
        return [f"{value:,}" if isinstance(value, int | float) else _ABSENT for value in values]
    if column.type in {ColumnType.DATETIME, ColumnType.DATE}:
        return [_ABSENT if value is None else str(value) for value in values]
    return []


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


# -- $expand


def _expanded(call: Call, shape: Shape, expand: Expand, keys: Sequence[Stored]) -> list[object]:
    own = [key for key in keys if isinstance(key, bytes)]
    if isinstance(expand.relationship, ManyToMany):
        return [_paired(call, shape, expand, expand.relationship, key) for key in own]
    if expand.collection:
        return _children(call, expand, expand.relationship, own)
    return _parents(call, shape, expand, expand.relationship, own)


def _parents(call: Call, shape: Shape, expand: Expand, relationship: OneToMany, keys: Sequence[bytes]) -> list[object]:
    """Return the parent of each row, or null; parents are read once, however many rows share them."""
    lookups = call.environment.database.rows_of(shape.table, (relationship.referencing_attribute,), keys)
    wanted = list({value for (value,) in lookups.values() if isinstance(value, bytes)})
    found = _rows_by_key(call, expand, wanted)
    return [found.get(lookups[key][0]) for key in keys]


def _rows_by_key(call: Call, expand: Expand, keys: Sequence[bytes]) -> Mapping[Stored, JsonRow]:
    shape = expand.shape
    names = ("versionnumber", *(column.logical_name for column in shape.columns))
    found = call.environment.database.rows_of(shape.table, names, keys)
    rows = [(version, key, *values) for key, (version, *values) in found.items()]
    return dict(zip(found, render(call, shape, rows, call.request.annotations), strict=True))


def _children(call: Call, expand: Expand, relationship: OneToMany, keys: Sequence[bytes]) -> list[object]:
    shape = expand.shape
    lookup = shape.table.columns[relationship.referencing_attribute]
    query = Query(
        table=shape.table,
        columns=(*shape.columns, lookup),
        condition=expand.condition,
        orders=expand.orders,
        limit=_EXPANDED_ROWS * len(keys),
        links=((lookup.logical_name, keys),),
    )
    page = select_page(call.environment.database, call.schema, query, call.dialect)
    groups: dict[Stored, list[JsonRow]] = {key: [] for key in keys}
    shown = render(call, shape, [row[:-1] for row in page.rows], call.request.annotations)
    for row, value in zip(page.rows, shown, strict=True):
        groups[row[-1]].append(value)
    return [group[: expand.top] for group in groups.values()]


def _paired(call: Call, shape: Shape, expand: Expand, relationship: ManyToMany, key: bytes) -> list[JsonRow]:
    keys = partners(call.environment.database, relationship, shape.table.logical_name, key)
    links = ((expand.shape.table.primary_id, keys),)
    query = Query(expand.shape.table, expand.shape.columns, expand.condition, expand.orders, links=links)
    page = select_page(call.environment.database, call.schema, query, call.dialect)
    return render(call, expand.shape, page.rows[: expand.top], call.request.annotations)
