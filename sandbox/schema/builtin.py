"""The tables that every sandbox has, with the names of Microsoft's table reference."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.model import (
    SYSTEM_COLUMNS,
    Cascade,
    Column,
    ColumnType,
    ManyToMany,
    OneToMany,
    Option,
    Schema,
    Table,
    define_table,
    metadata_id,
)

_T = ColumnType


def _text(name: str, schema_name: str = "", *, length: int = 850, indexed: bool = False) -> Column:
    return Column(name, _T.STRING, schema_name, max_length=length, indexed=indexed)


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(_text(name) for name in names)


def _whole(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, _T.INTEGER) for name in names)


def _flags(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, _T.BOOLEAN) for name in names)


def _choice(name: str, *labels: str, kind: ColumnType = _T.PICKLIST) -> Column:
    return Column(name, kind, options=tuple(Option(value, label) for value, label in enumerate(labels)))


def _lookup(name: str, *targets: str, schema_name: str = "") -> Column:
    return Column(name, _T.LOOKUP, schema_name, targets=targets)


_STATE: Final = (
    Column("statecode", _T.STATE, "StateCode", options=(Option(0, "Active"), Option(1, "Inactive"))),
    Column("statuscode", _T.STATUS, "StatusCode", options=(Option(1, "Active"), Option(2, "Inactive"))),
)
_STEP_STATE: Final = (
    Column("statecode", _T.STATE, "StateCode", options=(Option(0, "Enabled"), Option(1, "Disabled"))),
    Column("statuscode", _T.STATUS, "StatusCode", options=(Option(1, "Enabled"), Option(2, "Disabled"))),
)
_MARKS: Final = (("modifiedon",),)  # readers ask these tables for their newest change; elsewhere it only slows writes
_ADDRESS: Final = _texts(
    "address1_line1", "address1_line2", "address1_city", "address1_postalcode", "address1_stateorprovince"
)
_PERSON: Final = (
    Column("firstname", schema_name="FirstName", display_name="First Name", max_length=50),
    Column("lastname", schema_name="LastName", display_name="Last Name", max_length=50),
    Column(
        "fullname",
        schema_name="FullName",
        display_name="Full Name",
        max_length=160,
        read_only=True,
        joined=("firstname", "lastname"),
    ),
    Column("emailaddress1", schema_name="EMailAddress1", display_name="Email", max_length=100, indexed=True),
    Column("telephone1", schema_name="Telephone1", display_name="Business Phone", max_length=50),
    Column("ownerid", _T.LOOKUP, "OwnerId", "Owner", targets=("systemuser",)),
    *_ADDRESS,
    *_STATE,
)


def _customer_tables() -> Iterator[Table]:
    yield define_table(
        "account",
        [
            Column("name", schema_name="Name", display_name="Account Name", max_length=160, indexed=True),
            Column("accountnumber", schema_name="AccountNumber", max_length=20, indexed=True),
            Column("revenue", _T.MONEY, "Revenue"),
            Column("numberofemployees", _T.INTEGER, "NumberOfEmployees"),
            Column("description", _T.MEMO, "Description", max_length=2000),
            _choice("industrycode", "Accounting", "Agriculture", "Building Supply"),
            _lookup("primarycontactid", "contact", schema_name="PrimaryContactId"),
            _lookup("parentaccountid", "account", schema_name="ParentAccountId"),
            *_texts("emailaddress1", "telephone1"),
            _lookup("ownerid", "systemuser", schema_name="OwnerId"),
            *_STATE,
        ],
        entity_set="accounts",
        schema_name="Account",
        display_name="Account",
        display_collection_name="Accounts",
        object_type_code=1,
    )
    yield define_table(
        "contact",
        [
            *_PERSON,
            _text("mobilephone", "MobilePhone", length=50),
            Column("birthdate", _T.DATE, "BirthDate"),
            _text("governmentid", "GovernmentId", length=50),
            _text("jobtitle", "JobTitle", length=100),
            Column("description", _T.MEMO, "Description", max_length=2000),
            Column("gendercode", _T.PICKLIST, "GenderCode", options=(Option(1, "Male"), Option(2, "Female"))),
            Column("donotemail", _T.BOOLEAN, "DoNotEMail"),
            Column("creditlimit", _T.MONEY, "CreditLimit"),
            _lookup("parentcustomerid", "account", "contact", schema_name="ParentCustomerId"),
        ],
        entity_set="contacts",
        primary_name="fullname",
        schema_name="Contact",
        display_name="Contact",
        display_collection_name="Contacts",
        object_type_code=2,
    )
    yield define_table(
        "lead",
        [*_PERSON, _text("subject", "Subject", length=300), _text("companyname", "CompanyName", length=100)],
        entity_set="leads",
        primary_name="fullname",
        schema_name="Lead",
        display_name="Lead",
        display_collection_name="Leads",
        object_type_code=4,
    )


def _insights_tables() -> Iterator[Table]:
    """Customer Insights - Data writes these (customer-insights.md 2)."""
    yield define_table(
        "msdynci_customerprofile",
        [
            _text("msdynci_customerid", indexed=True),
            _text("msdynci_fullname", indexed=True),
            _text("msdynci_loyaltytier"),
            Column("msdynci_lifetimevalue", _T.DOUBLE),
            *_texts("msdynci_previouscustomerid"),
        ],
        entity_set="msdynci_customerprofiles",
        primary_name="msdynci_fullname",
        display_name="Customer Profile",
        display_collection_name="Customer Profiles",
        object_type_code=10101,
        custom=True,
        indexes=_MARKS,
    )
    names = ("msdynci_datasourcename", "msdynci_tablename", "msdynci_identifier")
    yield define_table(
        "msdynci_alternatekey",
        [
            *(Column(name, keyed=True) for name in names),
            _text("msdynci_alternatevalue", indexed=True),
            Column("msdynci_keyring", _T.MEMO, max_length=1_048_576),
            Column("msdynci_customerid", keyed=True),
        ],
        entity_set="msdynci_alternatekeys",
        primary_name="msdynci_identifier",
        display_name="Alternate Key",
        object_type_code=10102,
        custom=True,
        indexes=(names, *_MARKS),
    )
    yield define_table(
        "msdynci_customermeasure",
        [_text("msdynci_customerid", indexed=True), Column("msdynci_measures", _T.MEMO, max_length=1_048_576)],
        entity_set="msdynci_customermeasures",
        primary_name="msdynci_customerid",
        display_name="Customer Measure",
        object_type_code=10103,
        custom=True,
    )


def _security_tables() -> Iterator[Table]:
    yield define_table(
        "systemuser",
        [
            _text("fullname", "FullName", indexed=True),
            _text("domainname", "DomainName"),
            _text("internalemailaddress", "InternalEMailAddress"),
            Column("applicationid", _T.GUID, "ApplicationId"),
            Column("azureactivedirectoryobjectid", _T.GUID, "AzureActiveDirectoryObjectId", indexed=True),
            *_flags("isdisabled"),
            *_whole("accessmode"),
            _lookup("businessunitid", "businessunit", schema_name="BusinessUnitId"),
        ],
        entity_set="systemusers",
        primary_name="fullname",
        schema_name="SystemUser",
        display_name="User",
        object_type_code=8,
    )
    yield define_table(
        "businessunit",
        [_text("name", "Name")],
        entity_set="businessunits",
        schema_name="BusinessUnit",
        object_type_code=10,
    )
    yield define_table(
        "role",
        [
            _text("name", "Name"),
            Column("roletemplateid", _T.GUID, "RoleTemplateId"),
            _lookup("businessunitid", "businessunit"),
        ],
        entity_set="roles",
        schema_name="Role",
        display_name="Security Role",
        object_type_code=1036,
    )
    yield define_table(
        "privilege",
        [_text("name", "Name", indexed=True), *_whole("accessright")],
        entity_set="privileges",
        schema_name="Privilege",
        object_type_code=1023,
    )


def _solution_tables() -> Iterator[Table]:
    yield define_table(
        "publisher",
        [*_texts("uniquename", "friendlyname", "customizationprefix"), *_whole("customizationoptionvalueprefix")],
        entity_set="publishers",
        primary_name="friendlyname",
        schema_name="Publisher",
        object_type_code=7101,
    )
    yield define_table(
        "solution",
        [
            *_texts("uniquename", "friendlyname", "version"),
            *_flags("ismanaged", "isvisible"),
            _lookup("publisherid", "publisher", schema_name="PublisherId"),
        ],
        entity_set="solutions",
        primary_name="friendlyname",
        schema_name="Solution",
        object_type_code=7100,
    )
    yield define_table(
        "savedquery",
        [*_texts("name", "returnedtypecode"), *_whole("querytype"), *_flags("isdefault")],
        entity_set="savedqueries",
        schema_name="SavedQuery",
        object_type_code=1039,
    )


def _automation_tables() -> Iterator[Table]:
    yield define_table(
        "sdkmessage",
        [_text("name", "Name", indexed=True), _text("categoryname")],
        entity_set="sdkmessages",
        schema_name="SdkMessage",
        object_type_code=4606,
    )
    yield define_table(
        "sdkmessagefilter",
        [
            _text("primaryobjecttypecode", indexed=True),
            _text("name"),
            _lookup("sdkmessageid", "sdkmessage"),
            *_whole("availability"),
            *_flags("iscustomprocessingstepallowed", "isvisible"),
        ],
        entity_set="sdkmessagefilters",
        schema_name="SdkMessageFilter",
        object_type_code=4607,
    )
    yield define_table(
        "plugintype",
        _texts("name", "typename", "assemblyname", "friendlyname"),
        entity_set="plugintypes",
        schema_name="PluginType",
        object_type_code=4602,
    )
    yield define_table(
        "sdkmessageprocessingstep",
        [
            _text("name", length=256),
            Column("filteringattributes", _T.MEMO, max_length=100_000),
            Column("configuration", _T.MEMO, max_length=1_000_000),
            Column("description", _T.MEMO),
            *_whole("stage", "rank", "supporteddeployment", "customizationlevel", "invocationsource"),
            _choice("mode", "Synchronous", "Asynchronous"),
            *_flags("ismanaged", "canbebypassed", "asyncautodelete"),
            Column("ishidden", _T.MANAGED, "IsHidden"),
            Column("iscustomizable", _T.MANAGED, "IsCustomizable"),
            _lookup("sdkmessageid", "sdkmessage"),
            _lookup("sdkmessagefilterid", "sdkmessagefilter"),
            _lookup("plugintypeid", "plugintype"),
            _lookup("eventhandler", "plugintype"),
            _lookup("impersonatinguserid", "systemuser"),
            *_STEP_STATE,
        ],
        entity_set="sdkmessageprocessingsteps",
        schema_name="SdkMessageProcessingStep",
        object_type_code=4608,
    )
    yield define_table(
        "workflow",
        [
            *_texts("name", "uniquename", "primaryentity"),
            Column("triggeronupdateattributelist", _T.MEMO, max_length=100_000),
            Column("clientdata", _T.MEMO, max_length=1_000_000),
            *_whole("category", "type", "mode", "scope"),
            *_flags("triggeroncreate", "triggerondelete", "ismanaged"),
            Column("statecode", _T.STATE, "StateCode"),
            Column("statuscode", _T.STATUS, "StatusCode"),
            _lookup("ownerid", "systemuser"),
        ],
        entity_set="workflows",
        schema_name="Workflow",
        display_name="Process",
        object_type_code=4703,
    )
    yield define_table(
        "callbackregistration",
        [
            *_texts("name", "entityname", "url"),
            Column("filteringattributes", _T.MEMO, max_length=100_000),
            Column("filterexpression", _T.MEMO, max_length=100_000),
            *_whole("message", "scope", "runas", "softdeletestatus", "version"),
            _lookup("ownerid", "systemuser"),
        ],
        entity_set="callbackregistrations",
        schema_name="CallbackRegistration",
        object_type_code=301,
    )
    yield define_table(
        "asyncoperation",
        [_text("name"), *_whole("operationtype", "statecode", "statuscode"), _text("messagename")],
        entity_set="asyncoperations",
        schema_name="AsyncOperation",
        display_name="System Job",
        object_type_code=4700,
    )


# Lookups whose names differ from "navigation name = column name" or that have more than one target (dataverse.md 7).
_NAVIGATION: Final = {
    ("contact", "parentcustomerid", "account"): ("parentcustomerid_account", "contact_customer_accounts"),
    ("contact", "parentcustomerid", "contact"): ("parentcustomerid_contact", "contact_customer_contacts"),
    ("account", "primarycontactid", "contact"): ("primarycontactid", "account_primary_contact"),
    ("account", "parentaccountid", "account"): ("parentaccountid", "account_parent_account"),
    ("sdkmessageprocessingstep", "eventhandler", "plugintype"): (
        "eventhandler_plugintype",
        "plugintype_sdkmessageprocessingstep",
    ),
    ("sdkmessageprocessingstep", "plugintypeid", "plugintype"): (
        "plugintypeid",
        "plugintypeid_sdkmessageprocessingstep",
    ),
}

_SYSTEM_NAMES: Final = frozenset(column.logical_name for column in SYSTEM_COLUMNS)


def lookup_relationships(table: Table) -> Iterator[OneToMany]:
    """Yield the relationships of a table's own and system lookups, named as Dataverse names system relationships."""
    for column in table.columns.values():
        for target in column.targets:
            name = (table.logical_name, column.logical_name, target)
            yield _system_relationship(*name, *_NAVIGATION.get(name, _default_names(*name)))


def _default_names(table: str, column: str, target: str) -> tuple[str, str]:
    if column in _SYSTEM_NAMES:
        return column, f"lk_{table}_{column}"
    return column, f"{column}_{table}" if column == f"{target}id" else f"{target}_{table}_{column}"


def _system_relationship(table: str, column: str, target: str, navigation: str, collection: str) -> OneToMany:
    return OneToMany(
        schema_name=collection,
        referenced_entity=target,
        referenced_attribute=f"{target}id",
        referencing_entity=table,
        referencing_attribute=column,
        lookup_navigation=navigation,
        collection_navigation=collection,
        cascade=Cascade(delete="RemoveLink"),
        metadata_id=metadata_id("relationship", collection),
    )


_MANY_TO_MANY: Final = (
    ManyToMany(
        "systemuserroles_association",
        "systemuserroles",
        "systemuser",
        "systemuserid",
        "role",
        "roleid",
        "systemuserroles_association",
        metadata_id=metadata_id("relationship", "systemuserroles_association"),
    ),
    ManyToMany(
        "roleprivileges_association",
        "roleprivileges",
        "role",
        "roleid",
        "privilege",
        "privilegeid",
        "roleprivileges_association",
        metadata_id=metadata_id("relationship", "roleprivileges_association"),
    ),
)


def builtin_schema(mapping_name_column: str = "msdynci_tablename") -> Schema:
    """Return the schema of an empty sandbox.

    `mapping_name_column` names the mapping's table name column: tenants differ (customer-insights.md 2).
    """
    schema = Schema()
    groups = (_security_tables, _customer_tables, _insights_tables, _solution_tables, _automation_tables)
    for table in (table for group in groups for table in group()):
        schema = with_lookups(schema, _renamed(table, mapping_name_column))
    for relationship in _MANY_TO_MANY:
        schema = schema.with_relationship(relationship)
    return schema


def with_lookups(schema: Schema, table: Table) -> Schema:
    """Return the schema with a table and the relationships of its lookups."""
    schema = schema.with_table(table)
    for relationship in lookup_relationships(table):
        schema = schema.with_relationship(relationship)
    return schema


def _renamed(table: Table, name_column: str) -> Table:
    if table.logical_name != "msdynci_alternatekey" or name_column in table.columns:
        return table
    columns = [c for c in table.columns.values() if c.logical_name not in {"msdynci_tablename", *_SYSTEM_NAMES}]
    own = [c for c in columns if c.logical_name != table.primary_id]
    return define_table(
        table.logical_name,
        [*own, Column(name_column, keyed=True)],
        entity_set=table.entity_set,
        primary_name=table.primary_name,
        display_name=table.display_name,
        object_type_code=table.object_type_code,
        custom=True,
        indexes=(("msdynci_datasourcename", name_column, "msdynci_identifier"), *_MARKS),
    )
