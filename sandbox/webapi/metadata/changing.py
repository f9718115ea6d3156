"""Creating, changing and deleting columns, keys and relationships (dataverse.md 8.1, 8.4 and 17.5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sandbox.database import Database
from sandbox.schema.kinds import partition_column
from sandbox.schema.model import Cascade, Column, Index, ManyToMany, OneToMany, Table, metadata_id
from sandbox.webapi.call import Call
from sandbox.webapi.errors import ApiError, no_resource, not_supported, wrong_method
from sandbox.webapi.members import object_in, texts_in, whole_in
from sandbox.webapi.metadata.documents import COLLECTIONS, relationship_document
from sandbox.webapi.metadata.parsing import (
    column_exists,
    custom_name,
    label_text,
    read_cascade,
    read_column,
    read_many_to_many,
    read_menu,
    read_one_to_many,
    required_level,
)
from sandbox.webapi.metadata.planning import plan_change, schema_of
from sandbox.webapi.metadata.reading import find_document, find_table
from sandbox.webapi.metadata.tables import (
    names_in_use,
    plan_table,
    plan_table_change,
    plan_table_removal,
    table_exists,
)
from sandbox.webapi.privileges import require
from sandbox.webapi.urls import Segment
from sandbox.webapi.writing import PlannedWrite

_INVALID: Final = "0x80047014"
_IN_USE: Final = "0x8004f01f"
_MANY: Final = "ManyToManyRelationshipMetadata"


def plan_definition_change(call: Call, segments: Sequence[Segment]) -> PlannedWrite:
    """Plan a POST, PUT or DELETE below EntityDefinitions or RelationshipDefinitions; they never see an old schema."""
    call, method = replace(call, schema=schema_of(call)), call.request.method
    if segments[0].name == "RelationshipDefinitions":
        plans = {
            "POST": _plan_relationship,
            "PUT": _plan_relationship_change,
            "DELETE": _plan_relationship_removal,
        }
        if method not in plans:
            raise wrong_method(method)
        return plans[method](call, segments[0])
    if segments[0].arguments is None:
        if method != "POST" or len(segments) > 1:
            raise wrong_method(method)
        return plan_table(call)
    table = find_table(call, segments[0])
    if len(segments) == 1:
        return _plan_on_table(call, table)
    return _plan_member(call, table, segments[1])


def _plan_on_table(call: Call, table: Table) -> PlannedWrite:
    match call.request.method:
        case "DELETE":
            return plan_table_removal(call, table)
        case "PUT":
            return plan_table_change(call, table)
    raise wrong_method(call.request.method)


def _plan_member(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    plans: dict[tuple[str, str], Callable[[Call, Table, Segment], PlannedWrite]] = {
        ("POST", "Attributes"): _plan_column,
        ("PUT", "Attributes"): _plan_column_change,
        ("DELETE", "Attributes"): _plan_column_removal,
        ("POST", "Keys"): _plan_key,
        ("DELETE", "Keys"): _plan_key_removal,
    }
    plan = plans.get((call.request.method, segment.name))
    if plan is None:
        raise no_resource(f"{call.api_url}/{call.request.path}")
    return plan(call, table, segment)


# -- columns


def _plan_column(call: Call, table: Table, _segment: Segment) -> PlannedWrite:
    given = read_column(call.request.json())
    column = replace(given, metadata_id=metadata_id(table.logical_name, given.logical_name))
    _check_new_column(table, column)
    return plan_change(
        call,
        "prvCreateAttribute",
        lambda database: database.add_columns(table, [column]),
        f"EntityDefinitions({table.metadata_id})/Attributes({column.metadata_id})",
    )


def _check_new_column(table: Table, column: Column) -> None:
    if not table.takes_columns:  # which code Dataverse gives is not documented
        raise ApiError(
            400, _INVALID, f"No attributes can be created on {table.logical_name}: CanCreateAttributes is false."
        )
    existing = table.columns.get(column.logical_name)
    if existing is None:
        return
    if existing.schema_name == column.schema_name:
        raise ApiError(
            400,
            "0x80047013",
            f"An attribute with the specified name {column.schema_name} already exists on entity {table.logical_name}.",
        )
    raise column_exists(table.logical_name, column)


def _find_column(call: Call, table: Table, segment: Segment) -> Column:
    documents = COLLECTIONS["Attributes"](call.schema, table)
    return table.columns[find_document(documents, segment)["LogicalName"]]


def _plan_column_change(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    """Plan a PUT of a whole definition; label, length and requirement can change, the type cannot."""
    column = _find_column(call, table, segment)
    document = call.request.json()
    changed = replace(
        column,
        display_name=label_text(document, "DisplayName") or column.display_name,
        description=label_text(document, "Description") or column.description,
        max_length=whole_in(document, "MaxLength", column.max_length) or column.max_length,
        required=required_level(document, column.required),
    )
    return plan_change(
        call, "prvWriteAttribute", lambda database: database.replace_table(table.with_columns([changed]))
    )


def _plan_column_removal(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    column = _find_column(call, table, segment)
    if not column.custom:
        raise ApiError(400, "0x80045018", f"The system column {column.logical_name} cannot be deleted.")
    keys = [name for name, columns in table.alternate_keys.items() if column.logical_name in columns]
    if keys or column.logical_name == table.primary_name:
        what = f"the key {keys[0]}" if keys else "the primary name"
        raise ApiError(400, _IN_USE, f"The column {column.logical_name} cannot be deleted: it belongs to {what}.")
    for relationship in schema_of(call).lookups(table.logical_name):
        if relationship.referencing_attribute == column.logical_name:
            return _removal_of(call, relationship)
    return plan_change(call, "prvDeleteAttribute", lambda database: database.drop_column(table, column))


# -- alternate keys


def _plan_key(call: Call, table: Table, _segment: Segment) -> PlannedWrite:
    if not table.standard:
        raise ApiError(400, _INVALID, f"{table.logical_name} is not a standard table: it has no custom alternate keys.")
    document = call.request.json()
    name, columns = custom_name(document), texts_in(document, "KeyAttributes")
    if not columns or len(set(columns)) < len(columns) or not table.columns.keys() >= set(columns):
        text = f"The key attributes of {name} must be columns of {table.logical_name}, each named once."
        raise ApiError(400, "0x80060886", text)
    if name in table.alternate_keys:
        raise ApiError(400, "0x80060884", f"An entity key with the name {name} already exists on {table.logical_name}.")
    grown = replace(
        table, alternate_keys={**table.alternate_keys, name: columns}, indexes=(*table.indexes, Index(columns))
    )
    url = f"EntityDefinitions({table.metadata_id})/Keys({metadata_id('key', table.logical_name, name)})"
    return plan_change(call, "prvCreateAttribute", lambda database: database.replace_table(grown), url)


def _plan_key_removal(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    document = find_document(COLLECTIONS["Keys"](call.schema, table), segment)
    kept = {name: columns for name, columns in table.alternate_keys.items() if name != document["SchemaName"]}
    indexes = list(table.indexes)
    indexes.remove(Index(table.alternate_keys[document["SchemaName"]]))
    shrunk = replace(table, alternate_keys=kept, indexes=tuple(indexes))

    def change(database: Database) -> None:
        database.drop_indexes(table)
        database.replace_table(shrunk)

    return plan_change(call, "prvDeleteAttribute", change)


# -- relationships


def _plan_relationship(call: Call, segment: Segment) -> PlannedWrite:
    if segment.arguments is not None:
        raise wrong_method("POST")
    require(call.environment, call.caller, "prvCreateRelationship")
    document = call.request.json()
    if str(document.get("@odata.type", "")).endswith(_MANY):
        return _plan_many_to_many(call, read_many_to_many(document))
    relationship, column = read_one_to_many(document)
    child = _check_one_to_many(call, relationship, column)
    parent = _existing(call, relationship.referenced_entity)
    relationship = replace(relationship, referenced_attribute=parent.primary_id)
    columns = [column, *([partition_column(child.logical_name, column)] if parent.elastic else [])]

    def change(database: Database) -> None:
        database.add_columns(child, columns)
        database.add_relationship(relationship)

    return plan_change(call, "prvCreateAttribute", change, f"RelationshipDefinitions({relationship.metadata_id})")


def _plan_many_to_many(call: Call, relationship: ManyToMany) -> PlannedWrite:
    _check_name(call, relationship.schema_name)
    if relationship.intersect_entity in names_in_use(call):
        raise table_exists(relationship.intersect_entity)
    for name in (relationship.entity1, relationship.entity2):
        if not _existing(call, name).standard:
            raise ApiError(400, _INVALID, f"{name} is not a standard table: it has no many-to-many relationships.")
    url = f"RelationshipDefinitions({relationship.metadata_id})"
    return plan_change(call, "prvCreateRelationship", lambda database: database.add_relationship(relationship), url)


def _check_one_to_many(call: Call, relationship: OneToMany, column: Column) -> Table:
    """Return the child table after all checks of dataverse.md 8.4. Raises the 400 answer."""
    parent, child = _existing(call, relationship.referenced_entity), _existing(call, relationship.referencing_entity)
    _check_name(call, relationship.schema_name)
    if relationship.referenced_attribute not in {"", parent.primary_id}:
        raise ApiError(
            400,
            "0x80048203",
            f"The attribute {relationship.referenced_attribute} is not a key of {parent.logical_name}.",
        )
    _check_new_column(child, column)
    _check_navigation(call, relationship.collection_navigation, parent)
    _check_navigation(call, relationship.lookup_navigation, child)
    _check_cascade(call, parent, child, relationship.cascade)
    return child


def _check_navigation(call: Call, name: str, table: Table) -> None:
    """Raise the 400 answer if a navigation property would be named as a column or another navigation property."""
    schema, owner = schema_of(call), table.logical_name
    if name in {column.property_name for column in table.columns.values()}:
        raise ApiError(400, "0x80048835", f"The navigation property {name} conflicts with a column of {owner}.")
    used = {one.lookup_navigation for one in schema.lookups(owner)}
    used |= {one.collection_navigation for one in schema.children(owner)}
    used |= {pairs.navigation for pairs in schema.many_to_many(owner)}
    if name in used:
        raise ApiError(400, "0x80072551", f"The NavigationPropertyName {name} is not unique within an entity.")


def _check_cascade(call: Call, parent: Table, child: Table, cascade: Cascade) -> None:
    """Raise the 400 answer for a cascade that the tables do not support (Microsoft's page on elastic tables)."""
    if parent.standard and child.standard:
        if cascade.delete == "NoCascade":
            raise ApiError(400, _INVALID, "The cascade 'NoCascade' is not valid for Delete.")
    elif cascade.acts:
        code = call.environment.config.cascade_refusal
        tables = f"'{parent.logical_name}' and '{child.logical_name}'"
        text = f"The cascade configuration is not valid for a relationship of {tables}: every action must be NoCascade."
        raise ApiError(400, code, text)


def _existing(call: Call, name: str) -> Table:
    table = schema_of(call).tables.get(name)
    if table is None:
        raise ApiError(
            400,
            "0x80041102",
            f"The entity with a name = '{name}' with namemapping = 'Logical' was not found in the MetadataCache.",
        )
    return table


def _check_name(call: Call, name: str) -> None:
    if name.lower() in {existing.lower() for existing in schema_of(call).relationships}:
        raise ApiError(
            400,
            "0x8004432B",
            "A relationship with the specified name already exists. Please specify a unique name.",
        )


def _find_relationship(call: Call, segment: Segment) -> OneToMany | ManyToMany:
    documents = (relationship_document(relationship) for relationship in call.schema.relationships.values())
    return call.schema.relationships[find_document(documents, segment)["SchemaName"]]


def _plan_relationship_change(call: Call, segment: Segment) -> PlannedWrite:
    """Plan a PUT of a whole definition (dataverse.md 8.1); what happens to children and the menu can change."""
    relationship = _find_relationship(call, segment)
    if not isinstance(relationship, OneToMany):
        raise not_supported("changing a many-to-many relationship's definition")
    document = call.request.json()
    cascade = read_cascade(object_in(document, "CascadeConfiguration"))
    tables = call.schema.tables
    _check_cascade(call, tables[relationship.referenced_entity], tables[relationship.referencing_entity], cascade)
    changed = replace(relationship, cascade=cascade, menu=read_menu(document) or relationship.menu)
    return plan_change(call, "prvWriteRelationship", lambda database: database.add_relationship(changed))


def _plan_relationship_removal(call: Call, segment: Segment) -> PlannedWrite:
    return _removal_of(call, _find_relationship(call, segment))


def _removal_of(call: Call, relationship: OneToMany | ManyToMany) -> PlannedWrite:
    if not relationship.custom:
        raise ApiError(400, "0x80045018", f"The system relationship {relationship.schema_name} cannot be deleted.")
    return plan_change(call, "prvDeleteRelationship", lambda database: database.drop_relationship(relationship))
