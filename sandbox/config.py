"""The sandbox's switches: one frozen value, changeable while it runs (`POST /sandbox/config`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from sandbox.switches import InvalidConfigError, Switch, registry, unknown_switch

__all__ = [
    "DEFAULTS",
    "DEFAULT_TABLES",
    "InvalidConfigError",
    "MappingNameColumn",
    "SandboxConfig",
    "TableKind",
    "changed",
]

StringOrder = Literal["word", "ordinal"]
MappingNameColumn = Literal["msdynci_entityname", "msdynci_tablename"]
Share = Annotated[float, Field(ge=0, le=1)]
TableKind = Literal["elastic", "standard", "virtual"]
CustomerLinks = Literal["empty", "filled", "mixed", "wrong"]
"""Whether mapping rows name their profile: none, all, half of them, or an eighth of them another profile."""
Joins = Literal["refuse", "null", "work"]
"""What a query gets that joins a table whose rows are not in SQL: a refusal, nothing, or its rows."""

ProtectionScope = Literal["user", "server"]
InsightsAnswer = Literal["answers", "401", "403", "404", "410", "redirect", "no_address"]
WorkflowTables = Literal["filled", "empty", "absent"]
WorkflowWords = Literal["camel", "pascal", "upper"]
WriterPartition = Literal["own_id", "null"]
HydrationWrites = Literal["changed", "all"]
Fraction = Annotated[float, Field(ge=0, le=1)]
LagScope = Literal["all", "other_servers"]

DEFAULT_TABLES: Final[TableKind] = "elastic"
"""The kind of the tables of Customer Insights - Data. Public sources say elastic; the linker cannot read those yet."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """All switches of the sandbox. Times are in the unit of their name; limits are those of dataverse.md 1.1."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    # What a request costs the simulated server; it is slept while the request holds its concurrency slot.
    ms_per_request: Annotated[
        NonNegativeFloat, Switch("Milliseconds that a request, or a part of a `$batch`, takes.", (0.0, 20.0))
    ] = 0.0
    ms_per_row: Annotated[NonNegativeFloat, Switch("Milliseconds that a written row takes.", (0.0, 2.0))] = 0.0
    ms_per_row_read: Annotated[NonNegativeFloat, Switch("Milliseconds that a returned row takes.", (0.0, 0.1))] = 0.0
    latency_growth: Annotated[
        NonNegativeFloat,
        Switch("Extra share of the cost for each request in flight beyond `dop_hint` on the same server.", (0.0, 0.5)),
    ] = 0.0

    # Service protection, counted per user.
    protection: Annotated[bool, Switch("Whether the service protection limits are on.")] = True
    protection_scope: Annotated[
        ProtectionScope,
        Switch("Whether all servers count a user's requests together (`user`) or each by itself.", proved=False),
    ] = "user"
    limit_requests: Annotated[PositiveInt, Switch("Requests of a user within the window.", (6000, 8000))] = 6000
    limit_execution_ms: Annotated[
        PositiveFloat, Switch("Milliseconds of execution of a user within the window.", (1_200_000.0, 6e5))
    ] = 1_200_000.0
    limit_concurrency: Annotated[PositiveInt, Switch("Requests of a user in flight.", (52, 8))] = 52
    limit_window_s: Annotated[PositiveFloat, Switch("Seconds of the sliding window of the limits.", (300.0, 5.0))] = (
        300.0
    )
    servers: Annotated[
        PositiveInt,
        Switch("Virtual web servers; the cookie `ARRAffinity` picks one, requests without it take turns.", (1, 4)),
    ] = 1
    dop_hint: Annotated[PositiveInt, Switch("The value of the header `x-ms-dop-hint`.", (4, 48))] = 4
    time_scale: Annotated[
        PositiveFloat,
        Switch(
            "Simulated seconds in a real second; costs sleep less, and Retry-After is in real seconds.", (1.0, 60.0)
        ),
    ] = 1.0

    # How the simulated Dataverse compares, pages and answers.
    string_order: Annotated[
        StringOrder, Switch("How texts of standard tables order: SQL Server's word order or code points.", proved=False)
    ] = "word"
    guid_ranges: Annotated[
        bool, Switch("Whether `gt`, `ge`, `lt` and `le` compare GUIDs instead of being refused.", proved=False)
    ] = False
    max_page: Annotated[PositiveInt, Switch("Rows of a page of a standard table.", (5000, 500))] = 5000
    metadata_lag_s: Annotated[
        NonNegativeFloat,
        Switch(
            "Seconds that new metadata stay unseen, for reads and writes without `Consistency: Strong`.", (0.0, 5.0)
        ),
    ] = 0.0
    metadata_lag_scope: Annotated[
        LagScope,
        Switch("Whether the server that changed metadata lags as well (`all`) or only the others.", proved=False),
    ] = "all"
    strong_consistency: Annotated[bool, Switch("Whether `Consistency: Strong` sees metadata that still lag.")] = True
    customization_ms: Annotated[
        NonNegativeFloat,
        Switch("Milliseconds that a change of metadata takes; others meanwhile get 429 `0x80071151`.", (0.0, 2000.0)),
    ] = 0.0
    customizing: Annotated[
        bool, Switch("Whether a solution import changes metadata all the time: every other change gets that 429.")
    ] = False
    privileges_checked: Annotated[bool, Switch("Whether security roles are checked.")] = True

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

    # Change tracking (dataverse.md 12).
    change_tracking_days: Annotated[PositiveFloat, Switch("Days that a delta token stays valid.", (7.0, 1.0))] = 7.0
    expired_delta: Annotated[
        Literal["error", "all_rows"],
        Switch("What an expired delta token gets: `0x80044352` or all rows.", proved=False),
    ] = "error"

    # How a unification writes; `POST /sandbox/unifications` may say otherwise.
    hydration_s: Annotated[
        NonNegativeFloat,
        Switch("Simulated seconds over which profiles and mapping are written in a mixed order.", (0.0, 60.0)),
    ] = 0.0
    job_ends_first: Annotated[
        bool, Switch("Whether the job of a unification ends before its hydration begins.", proved=False)
    ] = False
    hydration_writes: Annotated[
        HydrationWrites,
        Switch("Whether a unification writes all rows of profiles and mapping or only changed ones.", proved=False),
    ] = "changed"
    profiles_vanish: Annotated[
        Fraction,
        Switch("Share of the profiles that each unification deletes, though the mapping names them.", (0.0, 0.01)),
    ] = 0.0
    profile_ids_change: Annotated[
        Fraction,
        Switch(
            "Share of the profiles that each unification writes under another id, for the same CustomerId.",
            (0.0, 0.01),
            proved=False,
        ),
    ] = 0.0
    second_writer: Annotated[bool, Switch("Whether the vendor's own task links rows after each unification.")] = False
    second_writer_partition: Annotated[
        WriterPartition,
        Switch("What the vendor's task writes as the partition of a link: the profile's id or nothing.", proved=False),
    ] = "own_id"

    # What Customer Insights - Data keeps in Dataverse besides.
    workflow_tables: Annotated[
        WorkflowTables,
        Switch(
            "Whether the tables `msdyn_ciworkflow...` hold the jobs, are empty or do not exist.",
            proved=False,
            at_start=True,
        ),
    ] = "empty"
    workflow_words: Annotated[
        WorkflowWords,
        Switch("The letter case of status and type words in the workflow tables.", proved=False),
    ] = "camel"

    # Tokens and the Customer Insights API.
    token_lifetime_s: Annotated[PositiveFloat, Switch("Seconds that new tokens live.", (3600.0, 60.0))] = 3600.0
    insights_api: Annotated[
        InsightsAnswer,
        Switch(
            "Whether the Customer Insights API answers, refuses with a status, redirects or has no address.",
            proved=False,
        ),
    ] = "answers"
    insights_subscription_key: Annotated[
        str | None,
        Switch("When set, the Customer Insights API requires it as `Ocp-Apim-Subscription-Key`.", (None, "secret")),
    ] = None
    events_url: Annotated[
        str | None,
        Switch(
            "Where each Azure Monitor message is posted, such as `/admin/eventhubs/{hub}` of the local host.",
            (None, "http://127.0.0.1:9/events"),
        ),
    ] = None


DEFAULTS: Final = SandboxConfig()


@cache
def _checker() -> TypeAdapter[SandboxConfig]:
    return TypeAdapter(SandboxConfig)


def changed(config: SandboxConfig, changes: Mapping[str, object]) -> SandboxConfig:
    """Return `config` with some switches changed.

    Raises InvalidConfigError, naming the switch, if one does not exist or a value does not fit.
    """
    unknown = next((name for name in changes if name not in registry(SandboxConfig)), None)
    if unknown is not None:
        raise unknown_switch(SandboxConfig, unknown)
    try:
        return _checker().validate_python({**asdict(config), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
