"""Turns stored rows into JSON objects, a whole column at a time (5,000 rows are one page), with what is expanded."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from sandbox.database.collation import guid_text
from sandbox.database.security import partners
from sandbox.database.select import COUNT_LIMIT, Page, Query, select_page
from sandbox.database.values import Stored, shown_column
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import ManyToMany, OneToMany
from sandbox.webapi.operations.elastic_tables import etags
from sandbox.webapi.protocol.annotations import ABSENT, JsonRow, annotated, without_absent
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.cookies import write_cookie
from sandbox.webapi.protocol.partitions import living_links, shown_partitions
from sandbox.webapi.protocol.shapes import Expand, Shape

_PLAIN: Final = "/(),;='$:@*"  # what a link may hold unescaped


def render(call: Call, shape: Shape, rows: Sequence[tuple[Stored, ...]]) -> list[JsonRow]:
    """Return JSON objects for rows of (version, key, columns of the shape...), with the annotations asked for."""
    if not rows:
        return []
    versions, keys, *stored_columns = zip(*rows, strict=True)
    own = [key for key in keys if isinstance(key, bytes)]
    series: dict[str, Iterable[object]] = {}
    if not shape.table.virtual:
        series["@odata.etag"] = etags(shape.table, versions)
    for column, stored in zip(shape.columns, stored_columns, strict=True):
        readable = call.may_use("read", shape.table, column)
        values = stored if readable else (None,) * len(keys)
        if call.request.annotations and readable:
            series |= annotated(call, shape, column, values, own)
        series[column.property_name] = shown_column(column, values)
    ids = series[shape.table.primary_id] = list(shown_column(shape.table.primary_key, keys))
    if shape.table.elastic and PARTITION in series:
        series[PARTITION] = shown_partitions(series[PARTITION], ids, call.environment.config.partition_shown)
    for expand in shape.expands:
        series |= _expanded(call, shape, expand, own)
    names = tuple(series)
    objects = [dict(zip(names, values, strict=False)) for values in zip(*series.values(), strict=True)]
    gaps = call.request.annotations or any(expand.collection for expand in shape.expands)
    return without_absent(objects) if gaps else objects


def _expanded(call: Call, shape: Shape, expand: Expand, keys: Sequence[bytes]) -> dict[str, Iterable[object]]:
    """Return the property of an expanded navigation property, of a collection with the link to it."""
    relationship = expand.relationship
    if expand.empty:
        nothing: list[object] = [[] if expand.collection else None for _ in keys]
        return {expand.name: nothing}
    if isinstance(relationship, OneToMany) and not expand.collection:
        return {expand.name: _parents(call, shape, expand, relationship, keys)}
    if isinstance(relationship, OneToMany) and expand.page is None:
        groups = _children(call, expand, relationship, keys)
        if groups is not None:
            links = [_link(call, shape, expand, key) for key in keys]
            return {expand.name: groups, f"{expand.name}@odata.nextLink": links}
    pages = [_related(call, shape, expand, key) for key in keys]
    return {
        expand.name: [render(call, expand.shape, page.rows) for page in pages],
        f"{expand.name}@odata.nextLink": [
            _following(call, shape, expand, key, page) for key, page in zip(keys, pages, strict=True)
        ],
    }


# -- single-valued


def _parents(call: Call, shape: Shape, expand: Expand, relationship: OneToMany, keys: Sequence[bytes]) -> list[object]:
    """Return the parent of each row, or null; parents are read once, however many rows share them."""
    if not call.may_use("read", shape.table, shape.table.columns[relationship.referencing_attribute]):
        return [None] * len(keys)
    lookups = living_links(call, shape.table, relationship, keys)
    wanted = list(set(lookups.values()))
    found = _references(call, expand, wanted) if expand.reference else _rows_by_key(call, expand, wanted)
    return [found.get(lookups.get(key)) for key in keys]


def _references(call: Call, expand: Expand, keys: Sequence[bytes]) -> Mapping[Stored, JsonRow]:
    """Return URLs of the rows that exist: a lookup with several targets may point at another table."""
    url = f"{call.api_url}/{expand.shape.table.entity_set}"
    found = call.environment.database.rows_of(expand.shape.table, (), keys)
    return {key: {"@odata.id": f"{url}({guid_text(key)})"} for key in found}


def _rows_by_key(call: Call, expand: Expand, keys: Sequence[bytes]) -> Mapping[Stored, JsonRow]:
    rows = rows_by_key(call, expand.shape, keys)
    return {row[1]: shown for row, shown in zip(rows, render(call, expand.shape, rows), strict=True)}


def rows_by_key(call: Call, shape: Shape, keys: Sequence[bytes]) -> list[tuple[Stored, ...]]:
    """Return those rows of some keys that exist and that the caller sees, as `render` takes them."""
    query = Query(shape.table, shape.columns, limit=len(keys), links=((shape.table.primary_id, keys),))
    return select_page(call.environment.database, call.schema, query, call.dialect).rows


# -- collections: at most 5,000 rows for each row that is expanded


def _children(call: Call, expand: Expand, relationship: OneToMany, keys: Sequence[bytes]) -> list[list[JsonRow]] | None:
    """Return the children of all rows by one query, None if there are too many to be sure of each row's share."""
    shape = expand.shape
    lookup = shape.table.columns[relationship.referencing_attribute]
    query = Query(
        table=shape.table,
        columns=(*shape.columns, lookup),
        condition=expand.condition,
        orders=expand.orders,
        limit=COUNT_LIMIT,
        links=((lookup.logical_name, keys),),
    )
    page = select_page(call.environment.database, call.schema, query, call.dialect)
    if page.next_after is not None:
        return None
    groups: dict[Stored, list[JsonRow]] = {key: [] for key in keys}
    shown = render(call, shape, [row[:-1] for row in page.rows])
    for row, value in zip(page.rows, shown, strict=True):
        groups[row[-1]].append(value)
    return [group[: expand.top] for group in groups.values()]


def _related(call: Call, shape: Shape, expand: Expand, key: bytes) -> Page:
    """Return the first page of what is related to one row."""
    other, relationship = expand.shape, expand.relationship
    if isinstance(relationship, ManyToMany):
        keys = partners(call.environment.database, relationship, shape.table.logical_name, key)
        links = ((other.table.primary_id, keys),)
    else:
        links = ((relationship.referencing_attribute, [key]),)
    limit = min(COUNT_LIMIT if expand.top is None else expand.top, expand.page or COUNT_LIMIT)
    query = Query(other.table, other.columns, expand.condition, expand.orders, limit, links=links)
    return select_page(call.environment.database, call.schema, query, call.dialect)


def _following(call: Call, shape: Shape, expand: Expand, key: bytes, page: Page) -> object:
    """Return the link of a collection: to all of it, or past the rows shown if pages were asked for."""
    if expand.page is None:
        return _link(call, shape, expand, key)
    if page.next_after is None:
        return ABSENT
    token = write_cookie([expand.shape.table.primary_id], 2, page.next_after, page.first or ())
    link = _link(call, shape, expand, key)
    return f"{link}{'&' if '?' in link else '?'}$skiptoken={token}"


def _link(call: Call, shape: Shape, expand: Expand, key: bytes) -> str:
    options = "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in expand.options)
    url = f"{call.api_url}/{shape.table.entity_set}({guid_text(key)})/{expand.name}"
    return f"{url}?{options}" if options else url
