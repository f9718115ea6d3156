"""How rows are to look: `$select` and `$expand` bound to the schema."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sandbox.database.joins import join_works
from sandbox.query.parser import parse_filter, parse_orderby
from sandbox.query.syntax import MAX_LINKS, Condition, Order, TooManyLinksError, UnknownPropertyError
from sandbox.schema.column_types import Column
from sandbox.schema.kinds import SHOWN_ALWAYS
from sandbox.schema.model import ManyToMany, OneToMany, Table
from sandbox.switches.tables import Joins
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import QUERY_ERROR, ApiError, not_supported
from sandbox.webapi.protocol.urls import split_outside

_EXPANDED: Final = re.compile(r"([^()/]+)(/\$ref)?(?:\((.*)\))?\s*", re.DOTALL)
_ONLY_SELECT_AND_FILTER: Final = (
    "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or nested "
    "one-to-many relationship."
)
_EXPAND_OPTIONS: Final = frozenset({"$select", "$expand", "$filter", "$orderby", "$top"})


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a row besides its key, and what is expanded."""

    table: Table
    columns: tuple[Column, ...]
    expands: tuple["Expand", ...] = ()
    selected: tuple[str, ...] = ()
    """The names as asked for, for `@odata.context`; empty for all columns."""
    one: bool = False
    """Whether it is asked for of one row, not of a list."""

    @property
    def context(self) -> str:
        """What `@odata.context` says about it after the entity set: `(name,primarycontactid(fullname))`."""
        names = [*self.selected, *(expand.context for expand in self.expands)]
        return f"({','.join(names)})" if names else ""


@dataclass(frozen=True, slots=True)
class Expand:
    """A navigation property whose rows are put into the answer."""

    name: str
    relationship: OneToMany | ManyToMany
    collection: bool
    shape: Shape
    condition: Condition | None = None
    orders: tuple[Order, ...] = ()
    top: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    """Names and texts as they were given, for the link to a collection."""
    reference: bool = False
    """Whether only the URL of the parent is asked for (`/$ref`)."""
    page: int | None = None
    """Rows of a collection in the answer, where `odata.maxpagesize` counts for it."""
    empty: bool = False
    """Whether nothing is found, because tables that are not standard are not joined."""

    @property
    def context(self) -> str:
        """What `@odata.context` says about it."""
        return f"{self.name},{self.name}/$ref()" if self.reference else f"{self.name}{self.shape.context or '()'}"


def read_shape(
    call: Call, table: Table, options: Mapping[str, str], page: int | None = None, *, one: bool = False
) -> Shape:
    """Return the shape that query options ask for; `page` is how many rows `odata.maxpagesize` asks for.

    `one` row may bring related rows where a list may not. Raises UnknownPropertyError or RefusedJoinError, or the 400,
    403 or 501 answer.
    """
    config = call.environment.config
    shape = _shape(call, table, options, config.elastic_expand_one if one else config.elastic_expand)
    shape = replace(shape, one=one)
    every = list(_every_expand(shape))
    if len(every) > MAX_LINKS:
        raise TooManyLinksError
    nested = len(every) > len(shape.expands)
    for expand in every:
        if (expand.orders or expand.top is not None) and (nested or not expand.collection):
            raise ApiError(400, QUERY_ERROR, _ONLY_SELECT_AND_FILTER)
    return _paged(shape, page) if nested and page else shape


def _every_expand(shape: Shape) -> Iterator["Expand"]:
    for expand in shape.expands:
        yield expand
        yield from _every_expand(expand.shape)


def _paged(shape: Shape, page: int) -> Shape:
    """With an `$expand` inside another one, pages are asked for of each collection too (Microsoft's page on joins)."""
    paged = tuple(
        replace(one, page=page if one.collection else None, shape=_paged(one.shape, page)) for one in shape.expands
    )
    return replace(shape, expands=paged)


def _shape(call: Call, table: Table, options: Mapping[str, str], joins: Joins) -> Shape:
    call.require("Read", table)
    selected = tuple(name.strip() for name in options.get("$select", "").split(",") if name.strip())
    if selected and selected != ("*",):
        columns = tuple(_column(table, name) for name in dict.fromkeys(selected))
        if table.elastic:
            columns = tuple(dict.fromkeys((*columns, *(table.columns[name] for name in SHOWN_ALWAYS))))
    else:
        columns, selected = table.served, ()
    wanted = tuple(column for column in columns if column.logical_name != table.primary_id)
    expands = tuple(
        _expand(call, table, part.strip(), joins) for part in split_outside(options.get("$expand", ""), ",")
    )
    return Shape(table, wanted, expands, selected)


def _column(table: Table, name: str) -> Column:
    column = table.column_of(name)
    if column is None:
        raise UnknownPropertyError(name, table.logical_name)
    return column


def _expand(call: Call, table: Table, text: str, joins: Joins) -> Expand:
    match = _EXPANDED.fullmatch(text)
    if match is None:
        raise ApiError(400, QUERY_ERROR, f"Syntax error in $expand at '{text}'.")
    name, reference = match[1].strip(), bool(match[2])
    relationship, collection = find_navigation(call, table, name)
    target = call.schema.tables[_target(relationship, table, collection)]
    if reference and collection:
        raise ApiError(400, QUERY_ERROR, "Expand with $ref is only supported on lookup type navigation property.")
    options = dict(_options(match[3] or ""))
    _check_expand_options(options, collection=collection)
    return Expand(
        name=name,
        relationship=relationship,
        collection=collection,
        shape=_shape(call, target, options, joins),
        condition=parse_filter(options["$filter"]) if "$filter" in options else None,
        orders=parse_orderby(options["$orderby"]) if "$orderby" in options else (),
        top=read_top(options["$top"]) if "$top" in options else None,
        options=tuple(options.items()),
        reference=reference,
        empty=not join_works(joins, table, target),
    )


def _check_expand_options(options: Mapping[str, str], *, collection: bool) -> None:
    """Raise the 400 answer for what `$expand` does not take in Dataverse, the 501 answer for what only here is missing."""
    unknown = sorted(options.keys() - _EXPAND_OPTIONS)
    if unknown:
        raise ApiError(400, QUERY_ERROR, f"The query parameter {unknown[0]} is not supported within $expand.")
    if "$filter" in options and not collection:
        raise not_supported("$filter within $expand of a single-valued navigation property")


def read_top(text: str) -> int:
    """Return the number of `$top`. Raises the 400 answer for another text."""
    if not text.isdecimal():
        raise ApiError(400, "0x0", f"Invalid value '{text}' for $top query option found.")
    return int(text)


def _options(text: str) -> Iterator[tuple[str, str]]:
    for part in split_outside(text, ";"):
        name, _, value = part.strip().partition("=")
        yield name.strip(), value.strip()


def _target(relationship: OneToMany | ManyToMany, table: Table, collection: bool) -> str:
    if isinstance(relationship, ManyToMany):
        return relationship.entity2 if table.logical_name == relationship.entity1 else relationship.entity1
    return relationship.referencing_entity if collection else relationship.referenced_entity


def find_navigation(call: Call, table: Table, name: str) -> tuple[OneToMany | ManyToMany, bool]:
    """Return the relationship of a navigation property and whether it is a collection; names are case-sensitive.

    Raises the 400 answer if the table has none of that name.
    """
    for lookup in call.schema.lookups(table.logical_name):
        if lookup.lookup_navigation == name:
            return lookup, False
    for child in call.schema.children(table.logical_name):
        if child.collection_navigation == name:
            return child, True
    for pairs in call.schema.many_to_many(table.logical_name):
        if pairs.navigation == name:
            return pairs, True
    raise ApiError(
        400,
        QUERY_ERROR,
        f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table.logical_name}'.",
    )
