"""The JSON of definitions, as EntityDefinitions and RelationshipDefinitions answer it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import orjson

from sandbox.schema.column_types import FRACTION_TYPES, TEXT_TYPES, WHOLE_TYPES, Column, ColumnType
from sandbox.schema.model import Cascade, ManyToMany, OneToMany, Schema, Table, metadata_id
from sandbox.webapi.metadata import constant
from sandbox.webapi.metadata.constant import Document, managed
from sandbox.webapi.security.privileges import privilege_id

_TYPE_NAMES: Final = {
    ColumnType.BIGINT: ("BigInt", "BigIntType", "BigInt"),
    ColumnType.DATE: ("DateTime", "DateTimeType", "DateTime"),
    ColumnType.GUID: ("Uniqueidentifier", "UniqueidentifierType", "UniqueIdentifier"),
    ColumnType.MANAGED: ("ManagedProperty", "ManagedPropertyType", "ManagedProperty"),
}
"""AttributeType, AttributeTypeName and the beginning of the metadata type, where they are not the type's own name."""

_PRIVILEGES: Final = ("Create", "Read", "Write", "Delete", "Append", "AppendTo")
_SECURABLE: Final = ("CanBeSecuredForCreate", "CanBeSecuredForRead", "CanBeSecuredForUpdate")
LANGUAGE: Final = 1033


def label(text: str) -> Document:
    """Return a label with one language."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    one = {
        "Label": text,
        "LanguageCode": LANGUAGE,
        "IsManaged": False,
        "MetadataId": metadata_id("label", text),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [one], "UserLocalizedLabel": one}


def table_document(table: Table) -> Document:
    """Return an entity definition without its sub-collections."""
    return constant.TABLE | {
        "MetadataId": table.metadata_id,
        "LogicalName": table.logical_name,
        "SchemaName": table.schema_name,
        "EntitySetName": table.entity_set,
        "LogicalCollectionName": table.collection_name or table.entity_set,
        "CollectionSchemaName": table.entity_set,
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name,
        "TableType": table.table_type,
        "DataProviderId": table.data_provider_id,
        "ObjectTypeCode": table.object_type_code,
        "OwnershipType": table.ownership,
        "DisplayName": label(table.display_name),
        "DisplayCollectionName": label(table.display_collection_name),
        "Description": label(table.description),
        "IsCustomEntity": table.custom,
        "IsManaged": not table.custom,
        "IsPrivate": False,
        "IsActivity": table.primary_id == "activityid",
        "IsIntersect": False,
        "IsLogicalEntity": False,
        "IsValidForAdvancedFind": True,
        "ChangeTrackingEnabled": table.change_tracking,
        "CanChangeTrackingBeEnabled": managed(not table.virtual, "canchangetrackingbeenabled"),
        "IsOptimisticConcurrencyEnabled": not table.virtual,
        "IsAuditEnabled": managed(False, "canmodifyauditsettings"),
        "IsCustomizable": managed(True, "iscustomizable"),
        "CanCreateAttributes": managed(table.takes_columns, "cancreateattributes"),
        "CanBeRelatedEntityInRelationship": managed(True, "canberelatedentityinrelationship"),
        "CanBePrimaryEntityInRelationship": managed(table.takes_children, "canbeprimaryentityinrelationship"),
        "CanBeInManyToMany": managed(table.standard, "canbeinmanytomany"),
        "Privileges": [_privilege(table, verb) for verb in _PRIVILEGES],
    }


def _privilege(table: Table, verb: str) -> Document:
    name = table.privilege(verb)
    return {
        "CanBeBasic": True,
        "CanBeDeep": True,
        "CanBeGlobal": True,
        "CanBeLocal": True,
        "Name": name,
        "PrivilegeId": privilege_id(name),
        "PrivilegeType": verb,
    }


def attribute_type(column: Column) -> str:
    """Return the name of the metadata type, such as `LookupAttributeMetadata`."""
    return f"{_names(column)[2]}AttributeMetadata"


def _names(column: Column) -> tuple[str, str, str]:
    name = str(column.type)
    return _TYPE_NAMES.get(column.type, (name, f"{name}Type", name))


BASE_ATTRIBUTE: Final = frozenset(
    {
        "MetadataId",
        "LogicalName",
        "SchemaName",
        "EntityLogicalName",
        "AttributeType",
        "AttributeTypeName",
        "DisplayName",
        "Description",
        "RequiredLevel",
        "IsPrimaryId",
        "IsPrimaryName",
        "IsCustomAttribute",
        "IsCustomizable",
        "IsManaged",
        "IsLogical",
        "IsSecured",
        "IsValidForCreate",
        "IsValidForRead",
        "IsValidForUpdate",
        "AttributeOf",
        *constant.COLUMN,
    }
)
"""What AttributeMetadata has; everything else belongs to a derived type and needs a cast (docs/reference/dataverse.md 8.3)."""


def attribute_document(table: Table, column: Column) -> Document:
    """Return a column definition with the properties of its derived type."""
    kind, type_name, _ = _names(column)
    writable = not column.read_only
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{attribute_type(column)}",
        "MetadataId": column.metadata_id,
        "LogicalName": column.logical_name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.logical_name,
        "AttributeType": kind,
        "AttributeTypeName": {"Value": type_name},
        "AttributeOf": column.attribute_of or None,
        "DisplayName": label(column.display_name),
        "Description": label(column.description),
        "RequiredLevel": managed(column.required, "canmodifyrequirementlevelsettings"),
        "IsPrimaryId": column.logical_name == table.primary_id,
        "IsPrimaryName": column.logical_name == table.primary_name,
        "IsCustomAttribute": column.custom,
        "IsCustomizable": managed(True, "iscustomizable"),
        "IsManaged": not column.custom,
        "IsLogical": False,
        "IsSecured": column.secured,
        "IsValidForCreate": writable,
        "IsValidForRead": True,
        "IsValidForUpdate": writable and column.logical_name != table.primary_id,
        **constant.COLUMN,
        **dict.fromkeys(_SECURABLE, column.custom),
        **_derived(table, column),
        **({"IsValidForForm": False} if column.attribute_of else {}),
        "IsValidODataAttribute": column.in_web_api,
    }


def _derived(table: Table, column: Column) -> Document:
    if column.type is ColumnType.LOOKUP:
        return {"Targets": list(column.targets), "Format": "None"}
    if column.type in TEXT_TYPES:
        name = "Text" if column.type is ColumnType.STRING else "TextArea"
        sizes = {"MaxLength": column.max_length, "DatabaseLength": 2 * column.max_length}
        return constant.TEXT | sizes | {"Format": name, "FormatName": {"Value": name}}
    if column.options:
        options = {"OptionSet": _option_set(table, column), "GlobalOptionSet": None}
        return constant.CHOICE | {"DefaultFormValue": None} | options
    if column.type is ColumnType.BOOLEAN:
        options = {"TrueOption": _option(1, "Yes"), "FalseOption": _option(0, "No")}
        return {"DefaultValue": False, "OptionSet": {"OptionSetType": "Boolean", **options}}
    if column.type in {ColumnType.DATETIME, ColumnType.DATE}:
        shape = "DateOnly" if column.type is ColumnType.DATE else "DateAndTime"
        behavior = {"Value": "UserLocal" if shape == "DateAndTime" else "DateOnly"}
        return constant.FORMULA | {"Format": shape, "DateTimeBehavior": behavior}
    if column.type in FRACTION_TYPES:
        return constant.FORMULA | {"MinValue": -1e11, "MaxValue": 1e11, "Precision": 5}
    whole = {"MinValue": -(2**31), "MaxValue": 2**31 - 1, "Format": "None"}
    return constant.FORMULA | whole if column.type in WHOLE_TYPES else {}


def _option_set(table: Table, column: Column) -> Document:
    return {
        "MetadataId": metadata_id("optionset", table.logical_name, column.logical_name),
        "Name": f"{table.logical_name}_{column.logical_name}",
        "IsGlobal": False,
        "OptionSetType": str(column.type),
        "Options": [_option(option.value, option.label) for option in column.options],
    }


def _option(value: int, text: str) -> Document:
    return {"Value": value, "Label": label(text), "Color": None, "IsManaged": False}


def key_document(table: Table, name: str) -> Document:
    """Return the definition of an alternate key."""
    return {
        "MetadataId": metadata_id("key", table.logical_name, name),
        "LogicalName": name.lower(),
        "SchemaName": name,
        "EntityLogicalName": table.logical_name,
        "KeyAttributes": list(table.alternate_keys[name]),
        "EntityKeyIndexStatus": "Active",
        "DisplayName": label(name),
    }


def relationship_document(relationship: OneToMany | ManyToMany) -> Document:
    """Return the definition of a relationship."""
    if isinstance(relationship, OneToMany):
        return _one_to_many(relationship)
    return (
        _relationship_base(relationship, "ManyToMany")
        | constant.MANY_TO_MANY
        | {
            "Entity1LogicalName": relationship.entity1,
            "Entity2LogicalName": relationship.entity2,
            "IntersectEntityName": relationship.intersect_entity,
            "Entity1IntersectAttribute": relationship.entity1_attribute,
            "Entity2IntersectAttribute": relationship.entity2_attribute,
            "Entity1NavigationPropertyName": relationship.navigation,
            "Entity2NavigationPropertyName": relationship.navigation,
        }
    )


def _relationship_base(relationship: OneToMany | ManyToMany, kind: str) -> Document:
    return constant.RELATIONSHIP | {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{kind}RelationshipMetadata",
        "MetadataId": relationship.metadata_id,
        "SchemaName": relationship.schema_name,
        "RelationshipType": f"{kind}Relationship",
        "IsCustomRelationship": relationship.custom,
        "IsManaged": not relationship.custom,
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "Append",
        "IsCustomizable": managed(True, "iscustomizable"),
    }


def _one_to_many(relationship: OneToMany) -> Document:
    return (
        _relationship_base(relationship, "OneToMany")
        | constant.ONE_TO_MANY
        | {
            "ReferencedEntity": relationship.referenced_entity,
            "ReferencedAttribute": relationship.referenced_attribute,
            "ReferencingEntity": relationship.referencing_entity,
            "ReferencingAttribute": relationship.referencing_attribute,
            "ReferencingEntityNavigationPropertyName": relationship.lookup_navigation,
            "ReferencedEntityNavigationPropertyName": relationship.collection_navigation,
            "IsHierarchical": False,
            "CascadeConfiguration": _cascade(relationship.cascade),
            "AssociatedMenuConfiguration": constant.MENU
            | (orjson.loads(relationship.menu) if relationship.menu else {}),
        }
    )


def _cascade(cascade: Cascade) -> Document:
    return {
        "Assign": cascade.assign,
        "Delete": cascade.delete,
        "Merge": cascade.merge,
        "Reparent": cascade.reparent,
        "Share": cascade.share,
        "Unshare": cascade.unshare,
        "RollupView": "NoCascade",
    }


type Collection = Callable[[Schema, Table], Iterator[Document]]

COLLECTIONS: Final[Mapping[str, Collection]] = {
    "Attributes": lambda _, table: (attribute_document(table, column) for column in table.visible),
    "Keys": lambda _, table: (key_document(table, name) for name in table.alternate_keys),
    "ManyToOneRelationships": lambda schema, table: map(relationship_document, schema.lookups(table.logical_name)),
    "OneToManyRelationships": lambda schema, table: map(relationship_document, schema.children(table.logical_name)),
    "ManyToManyRelationships": lambda s, table: map(relationship_document, s.many_to_many(table.logical_name)),
}
"""The sub-collections of an entity definition."""
