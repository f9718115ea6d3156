"""Switches of tables: their kinds, what elastic and virtual ones can do, change tracking."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from sandbox.switches.registry import Switch
from sandbox.switches.requests import RequestSwitches

MappingNameColumn = Literal["msdynci_entityname", "msdynci_tablename"]
TableKind = Literal["elastic", "standard", "virtual"]
CustomerLinks = Literal["empty", "filled", "mixed", "wrong"]
"""Whether mapping rows name their profile: none, all, half of them, or an eighth of them another profile."""
Joins = Literal["refuse", "null", "work"]
"""What a query gets that joins a table whose rows are not in SQL: a refusal, nothing, or its rows."""
DetailsForm = Literal["text", "list", "absent"]
"""How an error lists the rows of a bulk request: as JSON text, as a JSON list or not at all."""
Share = Annotated[float, Field(ge=0, le=1)]

DEFAULT_TABLES: Final[TableKind] = "elastic"
"""The kind of the tables of Customer Insights - Data. Public sources say elastic."""


@dataclass(frozen=True, slots=True)
class TableSwitches(RequestSwitches):
    """What the tables of Customer Insights - Data are, and how they answer."""

    # Tables of Customer Insights - Data.
    profile_table: Annotated[
        TableKind,
        Switch("The kind of the profile table, and of measures, segments and activities with it.", at_start=True),
    ] = DEFAULT_TABLES
    mapping_table: Annotated[TableKind, Switch("The kind of the mapping table.", at_start=True)] = DEFAULT_TABLES
    mapping_name_column: Annotated[
        MappingNameColumn, Switch("The column of the mapping that names the source table.", at_start=True)
    ] = "msdynci_entityname"
    mapping_lookup: Annotated[
        CustomerLinks,
        Switch(
            "Which mapping rows have `msdynci_lookupfield_customer`: none, all, half, or all but some with a wrong profile.",
            proved=False,
            at_start=True,
        ),
    ] = "empty"
    hidden_profiles: Annotated[
        Share,
        Switch(
            "Share of the profiles in business units that only administrators see; mapping rows are all visible.",
            (0.0, 0.2),
        ),
    ] = 0.0
    stale_s: Annotated[
        NonNegativeFloat,
        Switch(
            "Seconds for which readers without a session token see old elastic rows after hydration.",
            (2.0, 0.0, 10.0),
            proved=False,
        ),
    ] = 2.0
    elastic_throttle: Annotated[
        Literal["off", "wait", "bare"],
        Switch(
            "Whether each tenth request to an elastic table gets 429 of the table itself, with or without Retry-After.",
            proved=False,
        ),
    ] = "off"
    elastic_case: Annotated[
        Literal["exact", "fold"],
        Switch(
            "Whether case counts where texts of elastic and virtual tables are compared.", proved=False, at_start=True
        ),
    ] = "exact"
    partition_shown: Annotated[
        Literal["lower", "upper", "null"],
        Switch(
            "How `partitionid` shows a default partition: the row's id in lower or upper case, or null.", proved=False
        ),
    ] = "lower"
    link_partition: Annotated[
        Literal["served", "metadata_only"],
        Switch(
            "Whether rows have the column `<lookup>pid` beside a lookup to an elastic profile, or only metadata name it.",
            proved=False,
            at_start=True,
        ),
    ] = "served"
    profile_relationships: Annotated[
        Literal["allowed", "refused"],
        Switch(
            "Whether new lookups can point at the profile table (`CanBePrimaryEntityInRelationship`).",
            proved=False,
            at_start=True,
        ),
    ] = "allowed"
    elastic_change_tracking: Annotated[
        Literal["on", "off"],
        Switch("Whether the elastic tables of Customer Insights track changes.", proved=False, at_start=True),
    ] = "on"
    bind_missing: Annotated[
        Literal["accept", "refuse"],
        Switch("Whether a lookup can be bound to an elastic row that does not exist.", proved=False),
    ] = "accept"
    cascade_refusal: Annotated[
        Literal["0x80047014", "0x80048d0b", "0x80040216"],
        Switch("The code that refuses a relationship with an elastic table that cascades.", proved=False),
    ] = "0x80047014"
    elastic_expand: Annotated[
        Joins,
        Switch(
            "What a list gets that joins an elastic or virtual table: a refusal, nothing or the rows.", proved=False
        ),
    ] = "refuse"
    elastic_expand_one: Annotated[
        Joins, Switch("What `$expand` of an elastic or virtual row gets when one row is read.", proved=False)
    ] = "work"
    elastic_list_labels: Annotated[
        Literal["given", "absent"],
        Switch("Whether lists have the formatted value of a lookup to an elastic row.", proved=False),
    ] = "given"
    elastic_orderby: Annotated[
        Literal["index", "plain"],
        Switch(
            "The text that refuses a second `$orderby` column: Cosmos DB's about an index, or a plain one.",
            proved=False,
        ),
    ] = "index"
    elastic_in: Annotated[
        Literal["allow", "400"],
        Switch("Whether the function `In` works on texts of elastic and virtual tables.", proved=False),
    ] = "allow"
    elastic_ranges: Annotated[
        Literal["allow", "400"],
        Switch("Whether `gt`, `ge`, `lt` and `le` work on texts of elastic and virtual tables.", proved=False),
    ] = "allow"
    elastic_lookup_filter: Annotated[
        Literal["allow", "400"],
        Switch("Whether a filter can compare a lookup of an elastic row to another elastic row.", proved=False),
    ] = "allow"
    elastic_count: Annotated[
        Literal["capped", "exact", "400"],
        Switch("What `$count` of an elastic or virtual table gives: at most 5,000, all, or a refusal.", proved=False),
    ] = "capped"
    elastic_groups: Annotated[
        Literal["cut", "next"],
        Switch("What follows 500 groups of an elastic table: nothing, or a next link.", proved=False),
    ] = "cut"
    record_count_refusal: Annotated[
        Literal["virtual", "method"],
        Switch("The text that refuses `RetrieveTotalRecordCount` of an elastic or virtual table.", proved=False),
    ] = "virtual"
    cosmos_sql: Annotated[
        Literal["readers", "administrators"],
        Switch(
            "Who may call `ExecuteCosmosSqlQuery`: who may read the table, or System Administrators alone.",
            proved=False,
        ),
    ] = "readers"
    bulk_details: Annotated[
        DetailsForm,
        Switch(
            "How an error lists the rows of a bulk request to an elastic table: as JSON text, as a list or not at all.",
            proved=False,
        ),
    ] = "text"
    page_max: Annotated[
        Literal[500, 5000], Switch("Most rows of a page of an elastic table, where more are asked for.", proved=False)
    ] = 500
    virtual_limit: Annotated[
        Literal["error", "cut", "page"],
        Switch(
            "What a query of more than 1,000 rows of a virtual table gets: an error, the first ones or pages.",
            proved=False,
        ),
    ] = "error"
    virtual_modifiedon: Annotated[
        Literal["absent", "present"],
        Switch("Whether virtual tables have `createdon` and `modifiedon`.", proved=False, at_start=True),
    ] = "absent"

    # Change tracking (docs/reference/dataverse.md 12).
    change_tracking_days: Annotated[PositiveFloat, Switch("Days that a delta token stays valid.", (7.0, 1.0))] = 7.0
    expired_delta: Annotated[
        Literal["error", "all_rows"],
        Switch("What an expired delta token gets: `0x80044352` or all rows.", proved=False),
    ] = "error"
