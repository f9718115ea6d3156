"""`GET $metadata`: the CSDL document of the tables that exist, in the form of Microsoft's page on service documents.

Definitions of tables and columns are read through EntityDefinitions; their types are not part of this document.
"""

from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree as ET

from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.model import ManyToMany, OneToMany, Schema, Table
from sandbox.webapi.metadata import operations
from sandbox.webapi.metadata.operations import Operation, bound_actions
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.messages import ApiResponse

NAMESPACE: Final = "Microsoft.Dynamics.CRM"
_ALIAS: Final = "mscrm"
_EDMX: Final = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_VOCABULARIES: Final = {
    "http://vocabularies.odata.org/OData.Community.Keys.V1.xml": ("OData.Community.Keys.V1", "Keys"),
    "http://vocabularies.odata.org/OData.Community.Display.V1.xml": ("OData.Community.Display.V1", "Display"),
}
_TYPES: Final = {
    **dict.fromkeys((ColumnType.STRING, ColumnType.MEMO), "Edm.String"),
    **dict.fromkeys((ColumnType.INTEGER, ColumnType.PICKLIST, ColumnType.STATE, ColumnType.STATUS), "Edm.Int32"),
    **dict.fromkeys((ColumnType.DECIMAL, ColumnType.MONEY), "Edm.Decimal"),
    **dict.fromkeys((ColumnType.GUID, ColumnType.LOOKUP), "Edm.Guid"),
    ColumnType.BIGINT: "Edm.Int64",
    ColumnType.DOUBLE: "Edm.Double",
    ColumnType.BOOLEAN: "Edm.Boolean",
    ColumnType.DATETIME: "Edm.DateTimeOffset",
    ColumnType.DATE: "Edm.Date",
    ColumnType.MANAGED: f"{_ALIAS}.BooleanManagedProperty",
}
_FACETS: Final = {"Edm.String": {"Unicode": "false"}, "Edm.Decimal": {"Scale": "Variable"}}
_BASE_TYPES: Final = ("crmbaseentity", "crmmodelbaseentity")


async def read_csdl(call: Call) -> ApiResponse:
    """Answer `GET $metadata`; annotations come with `?annotations=true` alone."""
    annotated = call.request.options.get("annotations", "").lower() == "true"
    body = write_csdl(call.schema, annotated=annotated)
    return ApiResponse(200, {"Content-Type": "application/xml"}, body)


def write_csdl(schema: Schema, *, annotated: bool = False) -> bytes:
    """Return the CSDL document of a schema as UTF-8."""
    root = ET.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    for uri, (namespace, alias) in _VOCABULARIES.items():
        reference = ET.SubElement(root, "edmx:Reference", Uri=uri)
        ET.SubElement(reference, "edmx:Include", Namespace=namespace, Alias=alias)
    services = ET.SubElement(root, "edmx:DataServices")
    document = ET.SubElement(services, "Schema", {"Namespace": NAMESPACE, "Alias": _ALIAS, "xmlns": _EDM})
    _add_common_types(document)
    tables = sorted(schema.tables.values(), key=lambda table: table.logical_name)
    for table in tables:
        _add_table(document, schema, table, annotated=annotated)
    bound = [action for table in tables for action in bound_actions(table.logical_name, table.messages)]
    of_user = [
        Operation(name, (("entity", f"{_ALIAS}.systemuser"),), f"{_ALIAS}.{name}Response", bound=True)
        for name in ("RetrieveUserPrivileges", "RetrievePrincipalAttributePrivileges")
    ]
    _add_operations(document, "Action", (*operations.ACTIONS, *bound))
    _add_operations(document, "Function", (*operations.FUNCTIONS, *operations.QUERY_FUNCTIONS, *of_user))
    _add_container(document, schema, tables, annotated=annotated)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True))


def _add_common_types(document: ET.Element) -> None:
    for name in _BASE_TYPES:
        ET.SubElement(document, "EntityType", Name=name, Abstract="true")
    ET.SubElement(document, "EntityType", Name="expando", BaseType=f"{_ALIAS}.crmbaseentity", OpenType="true")
    for name, properties in operations.COMPLEX_TYPES.items():
        _add_typed(ET.SubElement(document, "ComplexType", Name=name), "Property", properties)
    for name, members in operations.ENUM_TYPES.items():
        enum = ET.SubElement(document, "EnumType", Name=name)
        for value, member in enumerate(members):
            ET.SubElement(enum, "Member", Name=member, Value=str(value))


def _add_typed(parent: ET.Element, tag: str, names: Iterable[tuple[str, str]]) -> None:
    for name, kind in names:
        ET.SubElement(parent, tag, {"Name": name, "Type": kind, **_FACETS.get(kind, {})})


def _add_table(document: ET.Element, schema: Schema, table: Table, *, annotated: bool) -> None:
    entity = ET.SubElement(document, "EntityType", Name=table.logical_name, BaseType=f"{_ALIAS}.crmbaseentity")
    ET.SubElement(ET.SubElement(entity, "Key"), "PropertyRef", Name=table.primary_id)
    for column in table.served:
        _add_column(entity, column, annotated=annotated)
    for lookup in schema.lookups(table.logical_name):
        _add_lookup(entity, lookup)
    for children in schema.children(table.logical_name):
        kind, partner = f"Collection({_ALIAS}.{children.referencing_entity})", children.lookup_navigation
        _add_navigation(entity, children.collection_navigation, kind, partner)
    for pairs in schema.many_to_many(table.logical_name):
        kind = f"Collection({_ALIAS}.{_other_end(pairs, table.logical_name)})"
        _add_navigation(entity, pairs.navigation, kind, pairs.navigation)
    if annotated:
        _annotate_table(entity, table)


def _add_column(entity: ET.Element, column: Column, *, annotated: bool) -> None:
    kind = _TYPES[column.type]
    facets = _FACETS.get(kind, {})
    added = ET.SubElement(entity, "Property", {"Name": column.property_name, "Type": kind, **facets})
    if annotated and column.description:
        ET.SubElement(added, "Annotation", Term="Org.OData.Core.V1.Description", String=column.description)
    if annotated and column.read_only:
        ET.SubElement(added, "Annotation", Term="Org.OData.Core.V1.Computed", Bool="true")


def _add_lookup(entity: ET.Element, lookup: OneToMany) -> None:
    kind = f"{_ALIAS}.{lookup.referenced_entity}"
    added = _add_navigation(entity, lookup.lookup_navigation, kind, lookup.collection_navigation)
    added.set("Nullable", "false")  # as Dataverse writes it, although the lookup may be empty
    ET.SubElement(
        added,
        "ReferentialConstraint",
        Property=f"_{lookup.referencing_attribute}_value",
        ReferencedProperty=lookup.referenced_attribute,
    )


def _add_navigation(entity: ET.Element, name: str, kind: str, partner: str) -> ET.Element:
    return ET.SubElement(entity, "NavigationProperty", Name=name, Type=kind, Partner=partner)


def _annotate_table(entity: ET.Element, table: Table) -> None:
    if table.description:
        ET.SubElement(entity, "Annotation", Term="Org.OData.Core.V1.Description", String=table.description)
    if not table.alternate_keys:
        return
    annotation = ET.SubElement(entity, "Annotation", Term="OData.Community.Keys.V1.AlternateKeys")
    keys = ET.SubElement(annotation, "Collection")
    for columns in table.alternate_keys.values():
        record = ET.SubElement(keys, "Record", Type="OData.Community.Keys.V1.AlternateKey")
        parts = ET.SubElement(ET.SubElement(record, "PropertyValue", Property="Key"), "Collection")
        for column in columns:
            part = ET.SubElement(parts, "Record", Type="OData.Community.Keys.V1.PropertyRef")
            name = table.columns[column].property_name
            ET.SubElement(part, "PropertyValue", Property="Name", PropertyPath=name)
            ET.SubElement(part, "PropertyValue", Property="Alias", String=column)


def _add_operations(document: ET.Element, tag: str, declared: Iterable[Operation]) -> None:
    for operation in declared:
        added = ET.SubElement(document, tag, Name=operation.name)
        if operation.bound:
            added.set("IsBound", "true")
        _add_typed(added, "Parameter", operation.parameters)
        if operation.returns:
            nullable = {} if operation.returns.startswith("Collection(") else {"Nullable": "false"}
            ET.SubElement(added, "ReturnType", {"Type": operation.returns, **nullable})


def _add_container(document: ET.Element, schema: Schema, tables: Iterable[Table], *, annotated: bool) -> None:
    container = ET.SubElement(document, "EntityContainer", Name="System")
    for table in tables:
        kind = f"{NAMESPACE}.{table.logical_name}"
        entity_set = ET.SubElement(container, "EntitySet", Name=table.entity_set, EntityType=kind)
        for name, target in _navigations(schema, table):
            path = schema.tables[target].entity_set
            ET.SubElement(entity_set, "NavigationPropertyBinding", Path=name, Target=path)
        if annotated and table.change_tracking:
            tracking = ET.SubElement(entity_set, "Annotation", Term="Org.OData.Capabilities.V1.ChangeTracking")
            ET.SubElement(ET.SubElement(tracking, "Record"), "PropertyValue", Property="Supported", Bool="true")
    for operation in operations.ACTIONS:
        ET.SubElement(container, "ActionImport", Name=operation.name, Action=f"{NAMESPACE}.{operation.name}")
    for operation in (*operations.FUNCTIONS, *operations.QUERY_FUNCTIONS):
        ET.SubElement(container, "FunctionImport", Name=operation.name, Function=f"{NAMESPACE}.{operation.name}")


def _navigations(schema: Schema, table: Table) -> Iterable[tuple[str, str]]:
    own = table.logical_name
    yield from ((one.lookup_navigation, one.referenced_entity) for one in schema.lookups(own))
    yield from ((one.collection_navigation, one.referencing_entity) for one in schema.children(own))
    yield from ((one.navigation, _other_end(one, own)) for one in schema.many_to_many(own))


def _other_end(pairs: ManyToMany, table: str) -> str:
    return pairs.entity2 if pairs.entity1 == table else pairs.entity1
