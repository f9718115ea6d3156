"""What the probes need to know before they ask: the tables, a few of their rows, which source tables carry links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linker.core import odata
from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_SET, MAPPING_TABLE, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE
from tests.live.check import Unanswered
from tests.live.probes.wire import ANNOTATIONS, Answer, Asker

SOURCES = ("contact", "lead", "opportunity", "account")
LOOKUP = f"_{LOOKUP_SCHEMA_NAME}_value"
OWN_LOOKUP = "_msdynci_lookupfield_customer_value"  # of the mapping
MAPPING_KEY = f"{MAPPING_TABLE}id"
CUSTOMER = "msdynci_customerid"
IDENTIFIER = "msdynci_identifier"
VALUE = "msdynci_alternatevalue"
LABEL = "@OData.Community.Display.V1.FormattedValue"
SAMPLE = 50  # rows of each table whose shape is looked at
_FACTS = (
    "LogicalName,EntitySetName,LogicalCollectionName,PrimaryIdAttribute,PrimaryNameAttribute,TableType,OwnershipType,"
    "ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,CanBePrimaryEntityInRelationship"
)

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Linked:
    """A source table with the lookup column, and one of its linked rows, if there is any."""

    table: str
    entity_set: str
    key: str
    navigation: str
    relationship: Row
    row: Row | None


@dataclass(frozen=True, slots=True)
class Scene:
    """One environment as the probes find it. Rows stay in memory: reports show their shape alone."""

    definitions: dict[str, Row]
    attributes: dict[str, list[Row]]
    profiles: list[Row]
    mappings: list[Row]
    sources: tuple[Linked, ...]

    @property
    def name_column(self) -> str:
        """The column in which the mapping names the source table, "" when it has neither."""
        names = self.columns(MAPPING_TABLE)
        return next((name for name in ("msdynci_entityname", "msdynci_tablename") if name in names), "")

    @property
    def is_standard(self) -> bool:
        """Whether both tables are kept as standard tables are."""
        kinds = {self.definitions[name].get("TableType") for name in (PROFILE_TABLE, MAPPING_TABLE)}
        return kinds == {"Standard"}

    def columns(self, table: str) -> frozenset[str]:
        """The logical names of a table's columns."""
        return frozenset(str(row["LogicalName"]) for row in self.attributes.get(table, ()))

    @property
    def linked(self) -> Linked | None:
        """A source table that has a linked row, None when no table has one."""
        return next((source for source in self.sources if source.row), None)


async def survey(ask: Asker) -> Scene:
    """Return what there is. Raises Unanswered where Customer Insights - Data never wrote its tables."""
    names = (PROFILE_TABLE, MAPPING_TABLE, *SOURCES)
    either = " or ".join(f"LogicalName eq {odata.literal(name)}" for name in names)
    found = await ask.get("EntityDefinitions" + odata.query(select=_FACTS, filter=either))
    if not found.is_ok:
        raise Unanswered(f"The definitions of tables cannot be read: {found.refusal}.")
    definitions = {str(row["LogicalName"]): row for row in found.rows}
    if not {PROFILE_TABLE, MAPPING_TABLE} <= set(definitions):
        raise Unanswered(
            f"Table '{PROFILE_TABLE}' or '{MAPPING_TABLE}' does not exist: link Customer Insights - Data first."
        )
    attributes = {name: await _attributes(ask, name) for name in definitions}
    profiles, mappings = [await _sample(ask, name) for name in (PROFILE_SET, MAPPING_SET)]
    sources = [await _source(ask, definitions[name], attributes[name]) for name in SOURCES if name in definitions]
    return Scene(definitions, attributes, profiles.rows, mappings.rows, tuple(filter(None, sources)))


async def _attributes(ask: Asker, table: str) -> list[Row]:
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/Attributes"
    return (await ask.get(path + odata.query(select="LogicalName,AttributeType,AttributeOf,IsValidForUpdate"))).rows


async def _sample(ask: Asker, entity_set: str) -> Answer:
    return await ask.get(entity_set + odata.query(top=SAMPLE), prefer=ANNOTATIONS)


async def _source(ask: Asker, definition: Row, attributes: list[Row]) -> Linked | None:
    table, entity_set, key = (str(definition[name]) for name in ("LogicalName", "EntitySetName", "PrimaryIdAttribute"))
    if LOOKUP_SCHEMA_NAME not in {row["LogicalName"] for row in attributes}:
        return None
    relationship = await _relationship(ask, table)
    query = odata.query(select=f"{key},{LOOKUP}", filter=f"{LOOKUP} ne null", top=1)
    rows = (await ask.get(entity_set + query, prefer=ANNOTATIONS)).rows
    navigation = str(relationship.get("ReferencingEntityNavigationPropertyName") or "")
    return Linked(table, entity_set, key, navigation, relationship, rows[0] if rows else None)


async def _relationship(ask: Asker, table: str) -> Row:
    select = (
        "SchemaName,ReferencedEntity,ReferencingAttribute,ReferencingEntityNavigationPropertyName,CascadeConfiguration"
    )
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/ManyToOneRelationships"
    wanted = f"ReferencingAttribute eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    rows = (await ask.get(path + odata.query(select=select, filter=wanted))).rows
    return rows[0] if rows else {}


def need_rows(scene: Scene) -> None:
    """Raise Unanswered while either table is empty."""
    if not scene.profiles or not scene.mappings:
        raise Unanswered(
            "The profile table or the mapping table has no row that this account can read: run a unification."
        )


def need_link(scene: Scene) -> tuple[Linked, Row]:
    """Return a source table with a linked row. Raises Unanswered when there is none."""
    found = scene.linked
    if found is None or found.row is None:
        raise Unanswered(f"No row of {', '.join(SOURCES)} has a link: run the linking once, or link one row by hand.")
    return found, found.row


def profile_id(row: Row) -> str:
    """Return the id of a profile row, in lower case."""
    return str(row[PROFILE_KEY]).lower()
