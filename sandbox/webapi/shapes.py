"""What rows shall look like: `$select` and `$expand` bound to the schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.database.compiler import check_join
from sandbox.query.parser import parse_filter, parse_orderby
from sandbox.query.syntax import Condition, Order, UnknownPropertyError
from sandbox.schema.model import Column, ManyToMany, OneToMany, Table
from sandbox.webapi.call import Call
from sandbox.webapi.errors import ApiError, not_supported
from sandbox.webapi.urls import split_outside

_EXPAND_OPTIONS: Final = frozenset({"$select", "$expand", "$filter", "$orderby", "$top"})


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a row besides its key, and what is expanded."""

    table: Table
    columns: tuple[Column, ...]
    expands: tuple["Expand", ...] = ()
    selected: tuple[str, ...] = ()
    """The names as asked for, for `@odata.context`; empty for all columns."""


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


def read_shape(call: Call, table: Table, options: Mapping[str, str]) -> Shape:
    """Return the shape that query options ask for. Raises UnknownPropertyError, or the 403 or 501 answer."""
    call.require("Read", table)
    selected = tuple(name.strip() for name in options.get("$select", "").split(",") if name.strip())
    if selected and selected != ("*",):
        columns = tuple(_column(table, name) for name in dict.fromkeys(selected))
    else:
        columns, selected = tuple(table.columns.values()), ()
    wanted = tuple(column for column in columns if column.logical_name != table.primary_id)
    expands = tuple(_expand(call, table, part.strip()) for part in split_outside(options.get("$expand", ""), ","))
    return Shape(table, wanted, expands, selected)


def _column(table: Table, name: str) -> Column:
    column = table.column_of(name)
    if column is None:
        raise UnknownPropertyError(name, table.logical_name)
    return column


def _expand(call: Call, table: Table, text: str) -> Expand:
    name, _, rest = text.partition("(")
    relationship, collection = find_navigation(call, table, name)
    target = call.schema.tables[_target(relationship, table, collection)]
    check_join(name, table, target)
    options = dict(_options(rest.removesuffix(")")))
    unknown = options.keys() - _EXPAND_OPTIONS
    if unknown:
        raise not_supported(f"{', '.join(sorted(unknown))} within $expand")
    return Expand(
        name=name,
        relationship=relationship,
        collection=collection,
        shape=read_shape(call, target, options),
        condition=parse_filter(options["$filter"]) if "$filter" in options else None,
        orders=parse_orderby(options["$orderby"]) if "$orderby" in options else (),
        top=read_top(options["$top"]) if "$top" in options else None,
    )


def read_top(text: str) -> int:
    """Return the number of `$top`. Raises the 400 answer if it is none."""
    if not text.isdecimal():
        raise ApiError(400, "0x0", f"Invalid value '{text}' for $top query option found.")
    return int(text)


def _options(text: str) -> Iterator[tuple[str, str]]:
    for part in split_outside(text, ";"):
        name, _, value = part.strip().partition("=")
        yield name, value


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
        400, "0x0", f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table.logical_name}'."
    )
