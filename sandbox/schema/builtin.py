"""The schema of an empty sandbox: its tables and the relationships between them."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from sandbox.schema.customer_tables import customer_tables
from sandbox.schema.definition import SYSTEM_NAMES
from sandbox.schema.insights_tables import CUSTOMER, PROFILES, insights_tables
from sandbox.schema.kinds import partition_column
from sandbox.schema.model import ManyToMany, OneToMany, Schema, Table, metadata_id
from sandbox.schema.security_tables import security_tables
from sandbox.schema.system_tables import plugin_tables, process_tables, solution_tables
from sandbox.switches.config import SandboxConfig

# Lookups with more than one target, or whose navigation name isn't the column name (docs/reference/dataverse.md 7).
_NAVIGATION: Final = {
    ("contact", "parentcustomerid", "account"): ("parentcustomerid_account", "contact_customer_accounts"),
    ("contact", "parentcustomerid", "contact"): ("parentcustomerid_contact", "contact_customer_contacts"),
    ("account", "primarycontactid", "contact"): ("primarycontactid", "account_primary_contact"),
    ("account", "parentaccountid", "account"): ("parentaccountid", "account_parent_account"),
    ("account", "originatingleadid", "lead"): ("originatingleadid", "account_originating_lead"),
    ("contact", "originatingleadid", "lead"): ("originatingleadid", "contact_originating_lead"),
    ("opportunity", "originatingleadid", "lead"): ("originatingleadid", "opportunity_originating_lead"),
    ("opportunity", "customerid", "account"): ("customerid_account", "opportunity_customer_accounts"),
    ("opportunity", "customerid", "contact"): ("customerid_contact", "opportunity_customer_contacts"),
    ("opportunity", "parentaccountid", "account"): ("parentaccountid", "opportunity_parent_account"),
    ("opportunity", "parentcontactid", "contact"): ("parentcontactid", "opportunity_parent_contact"),
    ("incident", "customerid", "account"): ("customerid_account", "incident_customer_accounts"),
    ("incident", "customerid", "contact"): ("customerid_contact", "incident_customer_contacts"),
    ("incident", "primarycontactid", "contact"): ("primarycontactid", "contact_as_primary_contact"),
    ("task", "regardingobjectid", "account"): ("regardingobjectid_account_task", "Account_Tasks"),
    ("task", "regardingobjectid", "contact"): ("regardingobjectid_contact_task", "Contact_Tasks"),
    ("task", "regardingobjectid", "lead"): ("regardingobjectid_lead_task", "Lead_Tasks"),
    **{
        (f"msdynci_{name}", CUSTOMER, PROFILES): (
            CUSTOMER,
            f"msdynci_customer_{relationship}",
        )
        for name, relationship in (
            ("alternatekey", "alternatekey"),
            ("customermeasure", "customer_measure"),
            ("segmentmembership", "segment_membership"),
            ("unifiedactivity", "unifiedactivity"),
        )
    },
    ("sdkmessageprocessingstep", "eventhandler", "plugintype"): (
        "eventhandler_plugintype",
        "plugintype_sdkmessageprocessingstep",
    ),
    ("sdkmessageprocessingstep", "plugintypeid", "plugintype"): (
        "plugintypeid",
        "plugintypeid_sdkmessageprocessingstep",
    ),
}


def lookup_relationships(schema: Schema, table: Table) -> Iterator[OneToMany]:
    """Yield the relationships of a table's own and system lookups, named as Dataverse names system relationships."""
    for column in table.columns.values():
        for target in column.targets:
            name = (table.logical_name, column.logical_name, target)
            parent = schema.tables.get(target)
            delete = "RemoveLink" if parent is None or parent.standard else "NoCascade"
            yield OneToMany.named(*name, *_NAVIGATION.get(name, _default_names(*name)), delete=delete)


def _default_names(table: str, column: str, target: str) -> tuple[str, str]:
    if column in SYSTEM_NAMES:
        return column, f"lk_{table}_{column}"
    return column, f"{column}_{table}" if column == f"{target}id" else f"{target}_{table}_{column}"


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
    ManyToMany(
        "systemuserprofiles_association",
        "systemuserprofiles",
        "systemuser",
        "systemuserid",
        "fieldsecurityprofile",
        "fieldsecurityprofileid",
        "systemuserprofiles_association",
        metadata_id=metadata_id("relationship", "systemuserprofiles_association"),
    ),
)


def builtin_schema(config: SandboxConfig) -> Schema:
    """Return the schema of an empty sandbox, with the kinds of tables that the switches choose."""
    tables = chain(
        security_tables(),
        customer_tables(),
        insights_tables(config),
        solution_tables(),
        plugin_tables(),
        process_tables(),
    )
    schema = Schema()
    for table in tables:
        schema = with_lookups(schema, with_partitions(schema, table))
    for relationship in _MANY_TO_MANY:
        schema = schema.with_relationship(relationship)
    return schema


def with_partitions(schema: Schema, table: Table) -> Table:
    """Return a table with the column beside each of its lookups to an elastic table that holds the row's partition."""
    elastic = {other.logical_name: other for other in (*schema.tables.values(), table) if other.elastic}
    lookups = [
        (column, next(filter(None, map(elastic.get, column.targets)), None)) for column in table.columns.values()
    ]
    return table.with_columns(
        partition_column(table.logical_name, column, parent) for column, parent in lookups if parent
    )


def with_lookups(schema: Schema, table: Table) -> Schema:
    """Return the schema with a table and the relationships of its lookups."""
    schema = schema.with_table(table)
    for relationship in lookup_relationships(schema, table):
        schema = schema.with_relationship(relationship)
    return schema
