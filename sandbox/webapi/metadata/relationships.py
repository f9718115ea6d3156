"""Creating, changing and deleting relationships (docs/reference/dataverse.md 8.1, 8.4)."""

from dataclasses import replace
from typing import Final

from sandbox.database import Database
from sandbox.schema.column_types import Column
from sandbox.schema.kinds import partition_column
from sandbox.schema.model import Cascade, ManyToMany, OneToMany, Table
from sandbox.webapi.metadata.documents import relationship_document
from sandbox.webapi.metadata.parsing import (
    read_cascade,
    read_many_to_many,
    read_menu,
    read_one_to_many,
)
from sandbox.webapi.metadata.planning import INVALID, check_new_column, plan_change, schema_of
from sandbox.webapi.metadata.reading import find_document
from sandbox.webapi.metadata.tables import (
    names_in_use,
    table_exists,
)
from sandbox.webapi.operations.writing import PlannedWrite
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, not_supported, wrong_method
from sandbox.webapi.protocol.members import object_in
from sandbox.webapi.protocol.urls import Segment
from sandbox.webapi.security.privileges import require

_MANY: Final = "ManyToManyRelationshipMetadata"


def plan_relationship(call: Call, segment: Segment) -> PlannedWrite:
    """Plan a POST: a lookup column with its relationship, or an intersect table."""
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
    columns = [column, *([partition_column(child.logical_name, column, parent)] if parent.elastic else [])]

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
            raise ApiError(400, INVALID, f"{name} is not a standard table: it has no many-to-many relationships.")
    url = f"RelationshipDefinitions({relationship.metadata_id})"
    return plan_change(call, "prvCreateRelationship", lambda database: database.add_relationship(relationship), url)


def _check_one_to_many(call: Call, relationship: OneToMany, column: Column) -> Table:
    """Return the child table after all checks of docs/reference/dataverse.md 8.4. Raises the 400 answer."""
    parent, child = _existing(call, relationship.referenced_entity), _existing(call, relationship.referencing_entity)
    _check_name(call, relationship.schema_name)
    if relationship.referenced_attribute not in {"", parent.primary_id}:
        raise ApiError(
            400,
            "0x80048203",
            f"The attribute {relationship.referenced_attribute} is not a key of {parent.logical_name}.",
        )
    check_new_column(child, column)
    _check_navigation(call, relationship.collection_navigation, parent)
    _check_navigation(call, relationship.lookup_navigation, child)
    _check_cascade(call, parent, child, relationship.cascade)
    if not parent.takes_children:  # which code Dataverse gives is not documented
        name = parent.logical_name
        raise ApiError(400, INVALID, f"{name} cannot be referenced: CanBePrimaryEntityInRelationship is false.")
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
            raise ApiError(400, INVALID, "The cascade 'NoCascade' is not valid for Delete.")
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


def plan_relationship_change(call: Call, segment: Segment) -> PlannedWrite:
    """Plan a PUT of a whole definition (docs/reference/dataverse.md 8.1); what happens to children and the menu can change."""
    relationship = _find_relationship(call, segment)
    if not isinstance(relationship, OneToMany):
        raise not_supported("changing a many-to-many relationship's definition")
    document = call.request.json()
    cascade = read_cascade(object_in(document, "CascadeConfiguration"))
    tables = call.schema.tables
    _check_cascade(call, tables[relationship.referenced_entity], tables[relationship.referencing_entity], cascade)
    changed = replace(relationship, cascade=cascade, menu=read_menu(document) or relationship.menu)
    return plan_change(call, "prvWriteRelationship", lambda database: database.add_relationship(changed))


def plan_relationship_removal(call: Call, segment: Segment) -> PlannedWrite:
    """Plan a DELETE of a custom relationship with its lookup column."""
    return removal_of(call, _find_relationship(call, segment))


def removal_of(call: Call, relationship: OneToMany | ManyToMany) -> PlannedWrite:
    """Plan the removal of a relationship. Raises the 400 answer for one of the system."""
    if not relationship.custom:
        raise ApiError(400, "0x80045018", f"The system relationship {relationship.schema_name} cannot be deleted.")
    return plan_change(call, "prvDeleteRelationship", lambda database: database.drop_relationship(relationship))
