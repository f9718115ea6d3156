"""The organization, users, teams, roles, privileges and column security, with the names of Microsoft's table reference."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.column_types import Column, Option
from sandbox.schema.columns import T, choice, flags, lookup, text, texts, whole
from sandbox.schema.definition import define_table
from sandbox.schema.model import Table


def security_tables() -> Iterator[Table]:
    """Yield organization, users, teams, roles, privileges and what column security needs."""
    yield _organization()
    yield _systemuser()
    yield _businessunit()
    yield _team()
    yield _role()
    yield _privilege()
    yield from _column_security()


def _organization() -> Table:
    return define_table(
        "organization",
        [
            text("name", "Name"),
            *whole("languagecode", "localeid", "expirechangetrackingindays", "maxuploadfilesize", "currencyprecision"),
            *flags("isauditenabled", "isuseraccessauditenabled", "isreadauditenabled"),
            *texts("orgdborgsettings", "schemanameprefix"),
        ],
        entity_set="organizations",
        schema_name="Organization",
        display_name="Organization",
        object_type_code=1019,
        ownership="None",
    )


def _team() -> Table:
    return define_table(
        "team",
        [
            text("name", "Name", indexed=True),
            text("description", "Description", length=2000),
            Column("azureactivedirectoryobjectid", T.GUID, "AzureActiveDirectoryObjectId"),
            choice("teamtype", "Owner", "Access", "Security Group", "Office Group"),
            *flags("isdefault", "systemmanaged"),
            lookup("businessunitid", "businessunit", schema_name="BusinessUnitId"),
            lookup("administratorid", "systemuser", schema_name="AdministratorId"),
        ],
        entity_set="teams",
        schema_name="Team",
        display_name="Team",
        display_collection_name="Teams",
        object_type_code=9,
    )


def _systemuser() -> Table:
    return define_table(
        "systemuser",
        [
            text("fullname", "FullName", indexed=True),
            text("domainname", "DomainName"),
            text("internalemailaddress", "InternalEMailAddress"),
            Column("applicationid", T.GUID, "ApplicationId"),
            Column("azureactivedirectoryobjectid", T.GUID, "AzureActiveDirectoryObjectId", indexed=True),
            *flags("isdisabled"),
            *whole("accessmode"),
            lookup("businessunitid", "businessunit", schema_name="BusinessUnitId"),
        ],
        entity_set="systemusers",
        primary_name="fullname",
        schema_name="SystemUser",
        display_name="User",
        object_type_code=8,
    )


def _businessunit() -> Table:
    return define_table(
        "businessunit",
        [text("name", "Name")],
        entity_set="businessunits",
        schema_name="BusinessUnit",
        object_type_code=10,
    )


def _role() -> Table:
    return define_table(
        "role",
        [
            text("name", "Name"),
            Column("roletemplateid", T.GUID, "RoleTemplateId"),
            lookup("businessunitid", "businessunit"),
        ],
        entity_set="roles",
        schema_name="Role",
        display_name="Security Role",
        object_type_code=1036,
    )


def _privilege() -> Table:
    return define_table(
        "privilege",
        [text("name", "Name", indexed=True), *whole("accessright")],
        entity_set="privileges",
        schema_name="Privilege",
        object_type_code=1023,
    )


_PERMISSION: Final = (Option(0, "Not Allowed"), Option(4, "Allowed"))


def _column_security() -> Iterator[Table]:
    """Yield profiles, which users belong to, and the permissions that a profile gives on secured columns."""
    yield define_table(
        "fieldsecurityprofile",
        [text("name", "Name"), text("description", "Description", length=2000), *flags("ismanaged")],
        entity_set="fieldsecurityprofiles",
        schema_name="FieldSecurityProfile",
        display_name="Field Security Profile",
        object_type_code=1200,
        ownership="None",
    )
    yield define_table(
        "fieldpermission",
        [
            text("entityname", "EntityName"),
            text("attributelogicalname", "AttributeLogicalName"),
            *(Column(name, T.PICKLIST, options=_PERMISSION) for name in ("cancreate", "canread", "canupdate")),
            lookup("fieldsecurityprofileid", "fieldsecurityprofile", schema_name="FieldSecurityProfileId"),
        ],
        entity_set="fieldpermissions",
        schema_name="FieldPermission",
        display_name="Field Permission",
        object_type_code=1201,
        ownership="None",
    )
