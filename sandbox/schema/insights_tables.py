"""What Customer Insights - Data writes, with the names of Microsoft's table reference, in the kinds that switches choose."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sandbox.schema.column_types import Column
from sandbox.schema.columns import T, lookup, text, texts
from sandbox.schema.definition import define_table
from sandbox.schema.kinds import make_elastic, make_virtual
from sandbox.schema.model import Index, Table
from sandbox.switches.config import SandboxConfig
from sandbox.switches.tables import TableKind

MAPPING: Final = "msdynci_alternatekey"
PROFILES: Final = "msdynci_customerprofile"
NAME_COLUMNS: Final = ("msdynci_entityname", "msdynci_tablename")
"""Either may name the source table in the rows of a mapping; the mapping table has the one that the switch chooses."""
CUSTOMER: Final = "msdynci_lookupfield_customer"

# Readers ask these tables for their newest change, of profiles by others than themselves; elsewhere it only slows writes.
# Rows of one second are many, so what orders them, the key, follows the time at once: else each question sorts them all.
_MARKS: Final = (Index(("modifiedon",), included=("versionnumber",)), Index(("versionnumber",)))
_PROFILE_MARKS: Final = (Index(("modifiedon",), included=("versionnumber", "modifiedby")), Index(("versionnumber",)))
_MAPPED: Final = ("versionnumber", "msdynci_alternatevalue", "msdynci_customerid")  # what readers of key ranges select


def insights_tables(config: SandboxConfig) -> Iterator[Table]:
    """Yield what Customer Insights - Data writes, as the switches choose (docs/reference/customer-insights.md 2)."""
    profiles = of_kind(_customerprofile(), config.profile_table, config)
    yield replace(profiles, takes_children=config.profile_relationships == "allowed")
    yield of_kind(_alternatekey(config.mapping_name_column), config.mapping_table, config)
    for table in (_customermeasure(), _segmentmembership(), _unifiedactivity()):
        yield of_kind(table, config.profile_table, config)


def of_kind(table: Table, kind: TableKind, config: SandboxConfig) -> Table:
    """Return a table in one of the kinds."""
    if kind == "elastic":
        elastic = make_elastic(table, config.elastic_case)
        tracked, served = config.elastic_change_tracking == "on", config.link_partition == "served"
        return replace(elastic, change_tracking=tracked, serves_partitions=served)
    shown = frozenset({"createdon", "modifiedon"} if config.virtual_modifiedon == "present" else ())
    return make_virtual(table, shown, config.elastic_case) if kind == "virtual" else table


def _customer() -> Column:
    return replace(lookup(CUSTOMER, PROFILES), display_name="Customer")


def _customerprofile() -> Table:
    return define_table(
        PROFILES,
        [
            text("msdynci_customerid", length=4000, indexed=True),
            text("msdynci_fullname", indexed=True),
            text("msdynci_loyaltytier"),
            Column("msdynci_lifetimevalue", T.DOUBLE),
            *texts("msdynci_previouscustomerid"),
        ],
        entity_set="msdynci_customerprofiles",
        primary_name="msdynci_customerid",
        display_name="CustomerProfile",
        display_collection_name="Customer Profiles",
        object_type_code=10101,
        custom=True,
        indexes=_PROFILE_MARKS,
    )


def _alternatekey(name_column: str) -> Table:
    return define_table(
        MAPPING,
        [
            Column("msdynci_datasourcename", max_length=4000, keyed=True, repeats=True),
            Column(name_column, max_length=4000, indexed=True, repeats=True),
            Column("msdynci_identifier", max_length=4000, keyed=True),
            text("msdynci_alternatevalue", length=4000, indexed=True),
            Column("msdynci_keyring", T.MEMO, max_length=1_048_576),
            Column("msdynci_customerid", max_length=100, keyed=True),
            _customer(),
        ],
        entity_set="msdynci_alternatekeys",
        collection_name="msdynci_alternatekeies",
        primary_name="msdynci_identifier",
        display_name="AlternateKey",
        object_type_code=10102,
        custom=True,
        indexes=(Index(("msdynci_datasourcename", name_column, "msdynci_identifier"), _MAPPED), *_MARKS),
    )


def _customermeasure() -> Table:
    return _by_customer("msdynci_customermeasure", "Customer Measure", 10103, "msdynci_measures")


def _segmentmembership() -> Table:
    return _by_customer("msdynci_segmentmembership", "Segment Membership", 10104, "msdynci_segments")


def _by_customer(name: str, display_name: str, code: int, document: str) -> Table:
    """Return a table with one JSON document for each customer."""
    return define_table(
        name,
        [
            Column("msdynci_identifier", max_length=4000),
            text("msdynci_customerid", length=100, indexed=True),
            Column(document, T.MEMO, max_length=1_048_576),
            _customer(),
        ],
        entity_set=f"{name}s",
        primary_name="msdynci_identifier",
        display_name=display_name,
        object_type_code=code,
        custom=True,
    )


def _unifiedactivity() -> Table:
    return define_table(
        "msdynci_unifiedactivity",
        [
            text("msdynci_customerid", length=100, indexed=True),
            *texts("msdynci_activitytype", "msdynci_title", "msdynci_subtype", "msdynci_url"),
            Column("msdynci_description", T.MEMO, max_length=4000),
            Column("msdynci_activitytime", T.DATETIME),
            Column("msdynci_identifier", max_length=4000),
            _customer(),
        ],
        entity_set="msdynci_unifiedactivities",
        primary_name="msdynci_identifier",
        display_name="Unified Activity",
        object_type_code=10105,
        custom=True,
    )
