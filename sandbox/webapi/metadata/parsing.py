"""Reads the JSON of new definitions into tables, columns and relationships."""

import re
from dataclasses import replace
from typing import Final

import orjson

from sandbox.schema.column_types import Column, ColumnType, Option
from sandbox.schema.definition import define_table, plural
from sandbox.schema.kinds import OWNED, make_elastic
from sandbox.schema.model import Cascade, ManyToMany, OneToMany, Table, metadata_id
from sandbox.webapi.protocol.errors import ApiError, not_supported, payload_error
from sandbox.webapi.protocol.members import Json, object_in, objects_in, whole_in

_PREFIXED: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{1,7}_[A-Za-z][A-Za-z0-9_]*")
_RESERVED: Final = "sqlite_"  # SQLite takes no table of such a name
_INTERSECT: Final = re.compile(r"(?!sqlite_)[a-z][a-z0-9_]*")
_TYPE: Final = re.compile(r"#?Microsoft\.Dynamics\.CRM\.(?:Complex)?(\w+)AttributeMetadata")
_CREATABLE: Final = {
    "String": ColumnType.STRING,
    "Memo": ColumnType.MEMO,
    "Integer": ColumnType.INTEGER,
    "BigInt": ColumnType.BIGINT,
    "Decimal": ColumnType.DECIMAL,
    "Double": ColumnType.DOUBLE,
    "Money": ColumnType.MONEY,
    "Boolean": ColumnType.BOOLEAN,
    "DateTime": ColumnType.DATETIME,
    "Picklist": ColumnType.PICKLIST,
}
_MAX_NAME: Final = 100


def required(document: Json, name: str) -> str:
    """Return a text that must be there. Raises the 400 answer."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise payload_error(f"Microsoft.OData.ODataException: '{name}' is required.")
    return value


def custom_name(document: Json) -> str:
    """Return a SchemaName, which begins with a publisher's prefix (docs/reference/dataverse.md 8.1). Raises the 400 answer."""
    name = required(document, "SchemaName")
    if _PREFIXED.fullmatch(name) is None or name.lower().startswith(_RESERVED):
        raise ApiError(
            400,
            "0x80044344",
            f"The schema name '{name}' is not valid. It must begin with the publisher's customization prefix, followed "
            "by letters, digits and underscores.",
        )
    return name


def label_text(document: Json, name: str) -> str:
    """Return the text of a label, "" without one. Raises the 400 answer for another shape."""
    labels = objects_in(object_in(document, name), "LocalizedLabels")
    return str(labels[0].get("Label", "")) if labels else ""


def read_column(document: Json) -> Column:
    """Return a new column. Raises the 400 answer, or the 501 answer for a type that is not simulated."""
    match = _TYPE.fullmatch(str(document.get("@odata.type", "")))
    if match is None:
        raise payload_error("Microsoft.OData.ODataException: '@odata.type' must name the type of the column.")
    if match[1] == "Lookup":
        raise ApiError(400, "0x80040203", "A lookup column is created with its relationship.")
    if match[1] not in _CREATABLE:
        raise not_supported(f"columns of type {match[1]}")
    kind = _CREATABLE[match[1]]
    name = custom_name(document)
    return Column(
        logical_name=name.lower(),
        type=ColumnType.DATE if kind is ColumnType.DATETIME and document.get("Format") == "DateOnly" else kind,
        schema_name=name,
        display_name=label_text(document, "DisplayName") or name,
        max_length=whole_in(document, "MaxLength", 100) or 100,
        options=_options(object_in(document, "OptionSet")),
        custom=True,
        required=required_level(document),
        description=label_text(document, "Description"),
    )


def column_exists(table: str, column: Column) -> ApiError:
    """Return the answer to a column whose name is in use (docs/reference/dataverse.md 8.4)."""
    return ApiError(400, "0x80060304", f"Attribute {column.logical_name} already exists for entity {table}.")


def required_level(document: Json, default: str = "None") -> str:
    """Return whether a column must have a value. Raises the 400 answer."""
    return str(object_in(document, "RequiredLevel").get("Value", default))


def _options(document: Json) -> tuple[Option, ...]:
    return tuple(
        Option(whole_in(option, "Value"), label_text(option, "Label")) for option in objects_in(document, "Options")
    )


def read_table(document: Json, object_type_code: int, collation: str) -> Table:
    """Return a new table with its columns; its name column is marked IsPrimaryName. Raises the 400 answer.

    `collation` is how texts of elastic tables compare.
    """
    name, kind = custom_name(document), _table_type(document)
    attributes = objects_in(document, "Attributes")
    columns = [read_column(attribute) for attribute in attributes]
    names = [f"{name.lower()}id", *(column.logical_name for column in columns)]
    for column in columns:
        if names.count(column.logical_name) > 1:
            raise column_exists(name.lower(), column)
    primary = [c.logical_name for c, a in zip(columns, attributes, strict=True) if a.get("IsPrimaryName")]
    if len(primary) != 1:
        raise ApiError(400, "0x80044363", "Exactly one column must be the primary name.")
    owned = OWNED if document.get("OwnershipType", "UserOwned") == "UserOwned" else ()
    states = (
        Column("statecode", ColumnType.STATE, "statecode", options=(Option(0, "Active"), Option(1, "Inactive"))),
        Column("statuscode", ColumnType.STATUS, "statuscode", options=(Option(1, "Active"), Option(2, "Inactive"))),
    )
    named = (replace(c, indexed=c.logical_name == primary[0]) for c in columns)
    table = define_table(
        name.lower(),
        [*named, *owned, *states],
        entity_set=plural(name.lower()),
        primary_name=primary[0],
        schema_name=name,
        display_name=label_text(document, "DisplayName") or name,
        display_collection_name=label_text(document, "DisplayCollectionName") or name,
        description=label_text(document, "Description"),
        ownership=str(document.get("OwnershipType", "UserOwned")),
        change_tracking=bool(document.get("ChangeTrackingEnabled", False)),
        object_type_code=object_type_code,
        custom=True,
    )
    return make_elastic(table, collation) if kind == "Elastic" else table


def _table_type(document: Json) -> str:
    kind = str(document.get("TableType") or "Standard")
    if kind == "Virtual":
        raise not_supported("virtual tables")
    if kind not in {"Standard", "Elastic"}:
        raise payload_error(f"Microsoft.OData.ODataException: '{kind}' is not a TableType.")
    return kind


def read_one_to_many(document: Json) -> tuple[OneToMany, Column]:
    """Return a new relationship and its lookup column (docs/reference/dataverse.md 8.1). Raises the 400 answer.

    The navigation property of the lookup is its SchemaName, that of the parent the relationship's, unless named.
    """
    lookup = document.get("Lookup")
    if not isinstance(lookup, dict):
        raise payload_error("Microsoft.OData.ODataException: 'Lookup' is required.")
    schema_name = _relationship_name(document)
    column = Column(
        logical_name=custom_name(lookup).lower(),
        type=ColumnType.LOOKUP,
        schema_name=custom_name(lookup),
        display_name=label_text(lookup, "DisplayName") or custom_name(lookup),
        targets=(required(document, "ReferencedEntity"),),
        custom=True,
        required=required_level(lookup),
        description=label_text(lookup, "Description"),
        metadata_id=metadata_id(required(document, "ReferencingEntity"), custom_name(lookup).lower()),
    )
    relationship = OneToMany(
        schema_name=schema_name,
        referenced_entity=required(document, "ReferencedEntity"),
        referenced_attribute=str(document.get("ReferencedAttribute") or ""),
        referencing_entity=required(document, "ReferencingEntity"),
        referencing_attribute=column.logical_name,
        lookup_navigation=str(document.get("ReferencingEntityNavigationPropertyName") or column.schema_name),
        collection_navigation=str(document.get("ReferencedEntityNavigationPropertyName") or schema_name),
        cascade=read_cascade(object_in(document, "CascadeConfiguration")),
        menu=read_menu(document),
        custom=True,
        metadata_id=metadata_id("relationship", schema_name),
    )
    return relationship, column


def read_menu(document: Json) -> str:
    """Return the associated menu of a relationship as JSON, "" without one. Raises the 400 answer."""
    menu = object_in(document, "AssociatedMenuConfiguration")
    return orjson.dumps(menu).decode() if menu else ""


def _relationship_name(document: Json) -> str:
    name = required(document, "SchemaName")
    if len(name) > _MAX_NAME:
        raise ApiError(400, "0x8004802A", f"The relationship name exceeds the limit of {_MAX_NAME} characters.")
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is None:
        raise ApiError(400, "0x80044344", f"The schema name '{name}' is not valid.")
    return name


def read_cascade(document: Json) -> Cascade:
    """Return what happens to children. Raises the 400 answer."""
    delete = str(document.get("Delete", "RemoveLink"))
    if delete not in {"Cascade", "RemoveLink", "Restrict", "NoCascade"}:
        raise ApiError(400, "0x80047014", f"The cascade '{delete}' is not valid for Delete.")
    return Cascade(
        delete=delete,
        assign=str(document.get("Assign", "NoCascade")),
        merge=str(document.get("Merge", "NoCascade")),
        reparent=str(document.get("Reparent", "NoCascade")),
        share=str(document.get("Share", "NoCascade")),
        unshare=str(document.get("Unshare", "NoCascade")),
    )


def read_many_to_many(document: Json) -> ManyToMany:
    """Return a new many-to-many relationship. Raises the 400 answer."""
    name = _relationship_name(document)
    first, second = required(document, "Entity1LogicalName"), required(document, "Entity2LogicalName")
    intersect = str(document.get("IntersectEntityName") or name).lower()
    if _INTERSECT.fullmatch(intersect) is None:
        raise ApiError(400, "0x80044344", f"The name '{intersect}' of the intersect table is not valid.")
    if first == second:
        raise not_supported("many-to-many relationships of a table with itself")
    names = [document.get(f"Entity{number}NavigationPropertyName") for number in (1, 2)]
    if all(names) and names[0] != names[1]:
        raise not_supported("many-to-many relationships with different navigation properties on both sides")
    return ManyToMany(
        schema_name=name,
        intersect_entity=intersect,
        entity1=first,
        entity1_attribute=f"{first}id",
        entity2=second,
        entity2_attribute=f"{second}id",
        navigation=str(names[0] or names[1] or name),
        custom=True,
        metadata_id=metadata_id("relationship", name),
    )
