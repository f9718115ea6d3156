"""P1 to P3: what metadata says of the tables and of the links between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linker.core import odata
from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_TABLE, PROFILE_TABLE
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import Row, Scene
from tests.live.probes.wire import Answer, Asker

ELASTIC_PROVIDER = "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74"
_TYPES = {"Elastic": "elastic", "Virtual": "virtual", "Standard": "standard"}

PROFILE_TYPE = Point("profile-type", "1", "Of which type is the profile table?", "profile_table", _TYPES)
MAPPING_TYPE = Point("mapping-type", "1", "Of which type is the mapping table?", "mapping_table", _TYPES)
PROVIDER = Point("provider", "1", "Which data provider does the profile table name?")
OWNERSHIP = Point("ownership", "1", "Who owns rows of the profile table?")
TRACKING = Point(
    "change-tracking",
    "2.3",
    "Is change tracking on for both tables?",
    "elastic_change_tracking",
    {"on": "on", "off": "off"},
)
REFERENCED = Point(
    "may-be-referenced",
    "3",
    "May a relationship of another publisher lead to the profile table?",
    "profile_relationships",
    {"yes": "allowed", "no": "refused"},
)
CONCURRENCY = Point("optimistic-concurrency", "2.4", "Does the profile table take part in optimistic concurrency?")
KEYS = Point("alternate-keys", "2.2", "Which alternate key does the profile table have?")


@probe(
    "P1",
    "Types of the tables",
    (PROFILE_TYPE, MAPPING_TYPE, PROVIDER, OWNERSHIP, TRACKING, REFERENCED, CONCURRENCY, KEYS),
)
async def ask_types(ask: Asker, scene: Scene) -> Sequence[Result]:
    profile, mapping = scene.definitions[PROFILE_TABLE], scene.definitions[MAPPING_TABLE]
    path = f"EntityDefinitions(LogicalName={odata.literal(PROFILE_TABLE)})"
    provider = await ask.get(path + odata.query(select="DataProviderId"))
    keys = await ask.get(f"{path}/Keys" + odata.query(select="LogicalName,KeyAttributes"))
    tracked = [bool(flag_of(row.get("ChangeTrackingEnabled"))) for row in (profile, mapping)]
    return (
        PROFILE_TYPE.settle(str(profile["TableType"])),
        MAPPING_TYPE.settle(str(mapping["TableType"])),
        name_provider(provider),
        OWNERSHIP.settle(str(profile.get("OwnershipType"))),
        TRACKING.settle("on" if all(tracked) else "off" if not any(tracked) else "for one of them"),
        REFERENCED.settle("yes" if flag_of(profile.get("CanBePrimaryEntityInRelationship")) else "no"),
        CONCURRENCY.settle("yes" if profile.get("IsOptimisticConcurrencyEnabled") else "no"),
        KEYS.settle(", ".join(str(key.get("LogicalName")) for key in keys.rows) or "none")
        if keys.is_ok
        else KEYS.leave_open(f"The keys could not be read: {keys.refusal}."),
    )


def flag_of(value: object) -> object:
    """Return a flag of metadata, whether it is a plain one or a managed property."""
    return value.get("Value") if isinstance(value, Mapping) else value


def name_provider(answer: Answer) -> Result:
    """Return which data provider serves the profile table, by what the request for it said."""
    if not answer.is_ok:
        return PROVIDER.leave_open(f"DataProviderId could not be read: {answer.refusal}.")
    found = str(answer.body.get("DataProviderId") or "").lower()
    known = {"": "none", ELASTIC_PROVIDER: "the one of elastic tables"}
    return PROVIDER.settle(known.get(found, "another one"))


MAPPING_PID = Point("partition-column-of-the-mapping", "3", "Has the mapping's lookup a column for the partition?")
SOURCE_PID = Point(
    "partition-column-of-source-tables", "3", "Has the link of source tables a column for the partition?"
)


@probe("P2", "Columns for the partition", (MAPPING_PID, SOURCE_PID))
async def ask_partition_columns(ask: Asker, scene: Scene) -> Sequence[Result]:
    mapping = describe_companion(scene.attributes[MAPPING_TABLE], "msdynci_lookupfield_customer")
    of_sources = {
        source.table: describe_companion(scene.attributes[source.table], LOOKUP_SCHEMA_NAME) for source in scene.sources
    }
    return (
        MAPPING_PID.settle(mapping),
        SOURCE_PID.settle(_agreed(of_sources))
        if of_sources
        else SOURCE_PID.leave_open("No source table has the lookup column."),
    )


def describe_companion(attributes: Sequence[Row], lookup: str) -> str:
    """Return whether a lookup has its partition column, and what metadata says of it."""
    names = {str(row["LogicalName"]): row for row in attributes}
    if lookup not in names:
        return "the lookup itself is missing"
    of_lookup = next((row for row in attributes if row.get("AttributeOf") == lookup and _is_text(row)), None)
    found = of_lookup or names.get(f"{lookup}pid")
    if found is None:
        return "missing"
    by = "attribute of the lookup" if of_lookup else "by its name only"
    return f"{str(found['LogicalName']).removeprefix(lookup)}, {by}, {_writable(found)}"


def _is_text(row: Row) -> bool:
    return row.get("AttributeType") == "String" and str(row["LogicalName"]).endswith("pid")


def _writable(row: Row) -> str:
    return "can be updated" if row.get("IsValidForUpdate") else "cannot be updated"


def _agreed(answers: Mapping[str, str]) -> str:
    """Return the one answer of all tables, or each answer with its tables."""
    if len(set(answers.values())) == 1:
        return next(iter(answers.values()))
    return "; ".join(f"{table}: {answer}" for table, answer in answers.items())


VENDOR_NAMES = Point("names-of-the-relationship", "3", "Which relationship is behind the link of source tables?")
CASCADE = Point("cascade-of-the-relationship", "3", "Which cascades does the relationship to the profile have?")


@probe("P3", "Relationships to the profile", (VENDOR_NAMES, CASCADE))
async def ask_relationships(ask: Asker, scene: Scene) -> Sequence[Result]:
    found = {source.table: source.relationship for source in scene.sources if source.relationship}
    if not found:
        why = "No source table has a lookup to the profile table."
        return VENDOR_NAMES.leave_open(why), CASCADE.leave_open(why)
    names = {
        table: f"{str(row.get('SchemaName')).replace(table, '<table>')}, navigation property "
        f"{row.get('ReferencingEntityNavigationPropertyName')}"
        for table, row in found.items()
    }
    cascades = {table: describe_cascade(row.get("CascadeConfiguration")) for table, row in found.items()}
    return VENDOR_NAMES.settle(_agreed(names)), CASCADE.settle(_agreed(cascades))


def describe_cascade(configuration: object) -> str:
    """Return which actions cascade, such as 'Delete: RemoveLink', or that none does."""
    if not isinstance(configuration, Mapping):
        return "not shown"
    others = [
        f"{action}: {how}"
        for action, how in configuration.items()
        if isinstance(how, str) and not action.startswith("@") and how != "NoCascade"
    ]
    return ", ".join(others) or "NoCascade throughout"


PROBES = (ask_types, ask_partition_columns, ask_relationships)
