"""Reads the JSON of a row into column values and references to parents, checking each name and value."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sandbox.database.collation import guid_key
from sandbox.database.values import ColumnValueError, Stored, TooLongError, stored
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import OneToMany, Table
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import (
    COLUMN_CREATE_DENIED,
    COLUMN_UPDATE_DENIED,
    STRING_TOO_LONG,
    VALUE_OUT_OF_RANGE,
    ApiError,
    not_supported,
    payload_error,
)
from sandbox.webapi.protocol.partitions import read_partition
from sandbox.webapi.protocol.references import record_not_found, row_reference
from sandbox.webapi.security.privileges import ColumnRight

_BIND: Final = "@odata.bind"
_PLAIN_REFERENCE: Final = re.compile(
    r"(?:https?://[^/]+)?/?(?:api/data/v9\.\d/)?(\w+)\(([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\)"
)
"""How nearly all references are written; a bulk request has a thousand of them."""

type Assignment = tuple[str, Stored, "Parent | None", "Partition | None"]
"""Column, value, the parent row, and the partition in which a lookup looks for it."""
type Partition = tuple[str, str | None]
"""The column beside a lookup, and what it holds: None for the default partition."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A row that a lookup is to point at."""

    table: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """The columns that one row sets, and the parents that it names."""

    values: dict[str, Stored]
    parents: tuple[Parent, ...] = ()


@dataclass(slots=True)
class PayloadReader:
    """Reads rows of one table; what a property name means is found once and kept for the rows that follow."""

    call: Call
    table: Table
    _known: dict[str, Callable[[object], Assignment | None]] = field(default_factory=dict)

    def read(self, document: Mapping[str, object]) -> Payload:
        """Return what a JSON object sets. Raises the 400, 404 or 501 answer."""
        values: dict[str, Stored] = {}
        parents: list[Parent] = []
        for name, value in document.items():
            assign = self._known.get(name)
            if assign is None:
                assign = self._known[name] = self._meaning(name)
            assignment = assign(value)
            if assignment is not None:
                values[assignment[0]] = assignment[1]
                if assignment[2] is not None:
                    parents.append(assignment[2])
                if assignment[3] is not None:
                    values.setdefault(*assignment[3])  # one that is given as a column counts
        if "ownerid" in values and "owninguser" in self.table.columns:
            values["owninguser"] = values["ownerid"]
        return Payload(values, tuple(parents))

    def _meaning(self, name: str) -> Callable[[object], Assignment | None]:
        if name.endswith(_BIND):
            return self._bind(name.removesuffix(_BIND))
        if name == "@odata.type":
            return self._typed
        if "@" in name:
            return _ignored
        column = self.table.columns.get(name)
        if column is None or self.table.column_of(name) is None:
            return self._navigation(name)
        if column.read_only or name == self.table.primary_id:
            return _ignored
        if self.table.elastic and name == PARTITION:
            return lambda value: (name, read_partition(value), None, None)
        return lambda value: (name, self._stored(column, value), None, None)

    def _stored(self, column: Column, value: object) -> Stored:
        try:
            kept = stored(column, value)
        except TooLongError:
            raise ApiError(
                400,
                STRING_TOO_LONG,
                f"A validation error occurred.  The length of the '{column.logical_name}' attribute of the "
                f"'{self.table.logical_name}' entity exceeded the maximum allowed length of '{column.max_length}'.",
            ) from None
        except ColumnValueError as error:
            raise payload_error(f"Microsoft.OData.ODataException: {error}", self.table.entity_set) from None
        # Built-in choices have only some of the options that they have in Dataverse, so that others may be right.
        if column.custom and column.type is ColumnType.PICKLIST and isinstance(kept, int):
            self._check_option(column, kept)
        return kept

    def _check_option(self, column: Column, value: int) -> None:
        accepted = [option.value for option in column.options]
        if value not in accepted:
            raise ApiError(
                400,
                VALUE_OUT_OF_RANGE,
                f"A validation error occurred. The value {value} of '{column.logical_name}' on record of type "
                f"'{self.table.logical_name}' is outside the valid range. Accepted Values: {','.join(map(str, accepted))}",
            )

    def _lookup(self, navigation: str) -> OneToMany | None:
        found = self.call.schema.lookups(self.table.logical_name)
        return next((r for r in found if r.lookup_navigation == navigation), None)

    def _bind(self, navigation: str) -> Callable[[object], Assignment | None]:
        relationship = self._lookup(navigation)
        if relationship is None and self._is_collection(navigation):
            raise not_supported("associating rows with a collection-valued navigation property while writing a row")
        if relationship is None:
            raise payload_error(
                f"Microsoft.OData.ODataException: An undeclared property '{navigation}' which only has property "
                "annotations in the payload but no property value was found in the payload. In OData, only declared "
                "navigation properties and declared named streams can be represented as properties without values.",
                self.table.entity_set,
            )
        column = relationship.referencing_attribute
        partition = self.table.partition_of(column)

        def assign(value: object) -> Assignment:
            key, parent, named = self._parent(relationship, value)
            return column, key, parent, (partition.logical_name, named) if partition else None

        return assign

    def _parent(self, relationship: OneToMany, value: object) -> tuple[bytes | None, Parent | None, str | None]:
        """Return the key that a lookup is to hold, the row that it names, and the partition that is named with it."""
        if value is None:
            return None, None, None
        if not isinstance(value, str):
            raise payload_error(f"Microsoft.OData.ODataException: '{value}' is not a URL.", self.table.entity_set)
        plain = _PLAIN_REFERENCE.fullmatch(value)
        if plain and plain[1] == self.call.schema.tables[relationship.referenced_entity].entity_set:
            key = guid_key(plain[2])
            return key, Parent(relationship.referenced_entity, key), None
        table, key, partition = row_reference(self.call, value)
        if table.logical_name != relationship.referenced_entity:
            raise payload_error(
                f"Microsoft.OData.ODataException: '{value}' is not of type "
                f"'Microsoft.Dynamics.CRM.{relationship.referenced_entity}'.",
                self.table.entity_set,
            )
        return key, Parent(table.logical_name, key), partition

    def _navigation(self, name: str) -> Callable[[object], Assignment | None]:
        """A navigation property can be set to null; rows within rows (deep insert) are not answered."""
        relationship = self._lookup(name)
        if relationship is not None:
            return lambda value: self._cleared(relationship, value)
        if self._is_collection(name):
            raise not_supported("creating related rows in one request (deep insert)")
        raise self._invalid(name)

    def _is_collection(self, name: str) -> bool:
        schema, table = self.call.schema, self.table.logical_name
        return any(r.collection_navigation == name for r in schema.children(table)) or any(
            pairs.navigation == name for pairs in schema.many_to_many(table)
        )

    def _typed(self, value: object) -> None:
        """Raise the 400 answer if a row says that it is of another table."""
        if str(value).lstrip("#") != f"Microsoft.Dynamics.CRM.{self.table.logical_name}":
            raise payload_error(
                f"Microsoft.OData.ODataException: A type '{value}' was found which is not assignable to "
                f"'Microsoft.Dynamics.CRM.{self.table.logical_name}'.",
                self.table.entity_set,
            )

    def _cleared(self, relationship: OneToMany, value: object) -> Assignment:
        if value is not None:
            raise not_supported("creating related rows in one request (deep insert)")
        partition = self.table.partition_of(relationship.referencing_attribute)
        return relationship.referencing_attribute, None, None, (partition.logical_name, None) if partition else None

    def _invalid(self, name: str) -> ApiError:
        return ApiError(
            400,
            "0x0",
            "An error occurred while validating input parameters: Microsoft.Crm.CrmException: Invalid property "
            f"'{name}' was found in entity 'Microsoft.Dynamics.CRM.{self.table.logical_name}'. ---> "
            "Microsoft.OData.ODataException: Does not support untyped value in non-open type.",
        )


def _ignored(_value: object) -> None:
    """Annotations, keys and columns that the server fills are read over, as Dataverse does."""


def check_parents(call: Call, parents: Iterable[Parent]) -> None:
    """Raise the 404 answer if a lookup would point at a row that does not exist (docs/reference/dataverse.md 2.2)."""
    by_table: dict[str, list[bytes]] = {}
    for parent in set(parents):
        by_table.setdefault(parent.table, []).append(parent.key)
    for name, keys in by_table.items():
        table = call.schema.tables[name]
        if table.virtual or (table.elastic and call.environment.config.bind_missing == "accept"):
            continue  # rows that are not in SQL are not looked up
        if len(call.environment.database.rows_of(table, (), keys)) < len(keys):
            raise record_not_found(table)


def require_write(call: Call, verb: str, table: Table, payloads: Iterable[Payload]) -> None:
    """Check Create or Write, secured columns, and Append and AppendTo if lookups are set. Raises the 403 answer."""
    call.require(verb, table)
    payloads = list(payloads)
    _require_columns(call, verb, table, {name for payload in payloads for name in payload.values})
    parents = {parent.table for payload in payloads for parent in payload.parents}
    if parents:
        call.require("Append", table)
        call.require("AppendTo", *(call.schema.tables[name] for name in sorted(parents)))


def _require_columns(call: Call, verb: str, table: Table, names: Iterable[str]) -> None:
    """Raise the 403 answer for a secured column that the caller may not set."""
    right: ColumnRight = "create" if verb == "Create" else "update"
    for name in sorted(names):
        column = table.columns.get(name)
        if column is not None and not call.may_use(right, table, column):
            code = COLUMN_CREATE_DENIED if right == "create" else COLUMN_UPDATE_DENIED
            raise ApiError(
                403,
                code,
                f"The user does not have {right} permissions to the secured field '{name}' of '{table.logical_name}'. The "
                "requested operation could not be completed.",
            )
