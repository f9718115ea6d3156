"""The schema as values: a change makes a new `Schema`, so that a reader may keep an older one (metadata lag)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self
from uuid import UUID, uuid5

from sandbox.schema.column_types import TEXT_TYPES, Column

_NAMESPACE: Final = UUID("6f1c3c1e-0d7e-5c1b-9a77-2f1f0c9a5d10")


def metadata_id(*names: str) -> str:
    """Return a guid text that is the same for the same names, so that a restart keeps metadata ids."""
    return str(uuid5(_NAMESPACE, "/".join(names)))


@dataclass(frozen=True, slots=True)
class Cascade:
    """What happens to the children. Only `delete` acts in the sandbox (no assigning or sharing)."""

    delete: str = "RemoveLink"
    assign: str = "NoCascade"
    merge: str = "NoCascade"
    reparent: str = "NoCascade"
    share: str = "NoCascade"
    unshare: str = "NoCascade"

    @property
    def acts(self) -> bool:
        """Whether anything at all is handed on to the children."""
        actions = (self.delete, self.assign, self.merge, self.reparent, self.share, self.unshare)
        return any(action != "NoCascade" for action in actions)


@dataclass(frozen=True, slots=True)
class OneToMany:
    """A lookup: `referencing_entity` (child) holds it, `referenced_entity` (parent) is pointed at."""

    schema_name: str
    referenced_entity: str
    referenced_attribute: str
    referencing_entity: str
    referencing_attribute: str
    lookup_navigation: str
    collection_navigation: str
    cascade: Cascade = Cascade()
    custom: bool = False
    metadata_id: str = ""
    menu: str = ""
    """The associated menu as JSON, which is kept for readers of the definition; "" for Dataverse's default."""

    @classmethod
    def named(  # a relationship has this many names
        cls,
        child: str,
        column: str,
        parent: str,
        navigation: str,
        collection: str,
        *,
        delete: str = "RemoveLink",
        custom: bool = False,
    ) -> Self:
        """Return the relationship of a lookup, named as its collection; `delete` is what deleting the parent does."""
        return cls(
            schema_name=collection,
            referenced_entity=parent,
            referenced_attribute=f"{parent}id",
            referencing_entity=child,
            referencing_attribute=column,
            lookup_navigation=navigation,
            collection_navigation=collection,
            cascade=Cascade(delete=delete),
            custom=custom,
            metadata_id=metadata_id("relationship", collection),
        )


@dataclass(frozen=True, slots=True)
class ManyToMany:
    """Rows of two tables paired through an intersect table, read by the same navigation name on both sides."""

    schema_name: str
    intersect_entity: str
    entity1: str
    entity1_attribute: str
    entity2: str
    entity2_attribute: str
    navigation: str
    custom: bool = False
    metadata_id: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index over several columns. A read of `included` columns alone does not touch the rows."""

    columns: tuple[str, ...]
    included: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `entity_set` is its name in URLs; `messages` are those that sdkmessagefilters offer for it."""

    logical_name: str
    schema_name: str
    entity_set: str
    primary_id: str
    primary_name: str
    columns: Mapping[str, Column]
    object_type_code: int = 0
    display_name: str = ""
    display_collection_name: str = ""
    collection_name: str = ""
    """LogicalCollectionName; "" where it is the entity set."""
    description: str = ""
    table_type: str = "Standard"
    data_provider_id: str | None = None
    collation: str = ""
    """The collation of its texts, those of columns that are added later among them."""
    ownership: str = "UserOwned"
    custom: bool = False
    change_tracking: bool = True
    takes_columns: bool = True
    """Whether it can be given new columns (CanCreateAttributes)."""
    takes_children: bool = True
    """Whether lookups of other tables can be made to point at it (CanBePrimaryEntityInRelationship)."""
    serves_partitions: bool = True
    """Whether rows of the Web API have the partition beside a lookup to it."""
    alternate_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    """Besides those of lookups and `indexed` columns."""
    messages: tuple[str, ...] = ("Create", "Update", "Delete", "CreateMultiple", "UpdateMultiple")
    metadata_id: str = ""
    source: str = ""
    """The SQL table or view that its rows are read from, "" for its own."""
    privileges_of: str = ""
    """How privileges name the table, where it is not by its schema name (`prvReadQuery` for a view)."""

    @property
    def elastic(self) -> bool:
        """Whether its rows share no transaction and have partitions (docs/reference/dataverse.md 15)."""
        return self.table_type == "Elastic"

    @property
    def virtual(self) -> bool:
        """Whether its rows live outside Dataverse."""
        return self.table_type == "Virtual"

    @property
    def standard(self) -> bool:
        """Whether its rows live in SQL, so that they can be joined, counted and emptied."""
        return self.table_type == "Standard"

    def limited_to(self, other: "Table") -> "Table":
        """Return this table without the columns that another one does not have."""
        if self.columns.keys() <= other.columns.keys():
            return self
        return replace(self, columns={name: one for name, one in self.columns.items() if name in other.columns})

    @property
    def visible(self) -> tuple[Column, ...]:
        """The columns that clients see."""
        return tuple(column for column in self.columns.values() if not column.hidden)

    def partition_of(self, lookup: str) -> Column | None:
        """Return the column that holds the partition of a lookup, None for a lookup to a table without partitions."""
        column = self.columns.get(f"{lookup}pid")
        return column if column is not None and column.attribute_of == lookup else None

    @property
    def served(self) -> tuple[Column, ...]:
        """The columns of its rows in the Web API."""
        return tuple(column for column in self.visible if column.in_web_api)

    @property
    def primary_key(self) -> Column:
        """The column that identifies a row."""
        return self.columns[self.primary_id]

    def privilege(self, verb: str) -> str:
        """Return the name of a privilege on this table, such as prvReadContact."""
        return f"prv{verb}{self.privileges_of or self.schema_name}"

    def column_of(self, property_name: str) -> Column | None:
        """Return the column behind a JSON property (`name`, `_parentid_value`), None if the table lacks it."""
        column = self.columns.get(property_name)
        if column is None and property_name.startswith("_") and property_name.endswith("_value"):
            column = self.columns.get(property_name[1:-6])
        if column is None or column.hidden or not column.in_web_api:
            return None
        return column if column.property_name == property_name else None

    def with_columns(self, columns: Iterable[Column]) -> "Table":
        """Return this table with columns added or replaced; texts compare as the others of the table do."""
        fitted = (replace(c, collation=self.collation) if c.type in TEXT_TYPES else c for c in columns)
        return replace(self, columns={**self.columns, **{column.logical_name: column for column in fitted}})

    def without_column(self, logical_name: str) -> "Table":
        """Return this table with one column less."""
        return replace(self, columns={name: c for name, c in self.columns.items() if name != logical_name})


type Relationship = OneToMany | ManyToMany


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables by logical name and all relationships by schema name."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    relationships: Mapping[str, Relationship] = field(default_factory=dict)

    def by_entity_set(self, entity_set: str) -> Table | None:
        """Return the table of a name in a URL; names are case-sensitive."""
        return next((table for table in self.tables.values() if table.entity_set == entity_set), None)

    def lookups(self, table: str) -> Iterator[OneToMany]:
        """Yield the relationships whose lookup is a column of this table (many to one)."""
        return (r for r in self.one_to_many() if r.referencing_entity == table)

    def children(self, table: str) -> Iterator[OneToMany]:
        """Yield the relationships that point at this table (one to many)."""
        return (r for r in self.one_to_many() if r.referenced_entity == table)

    def one_to_many(self) -> Iterator[OneToMany]:
        """Yield every lookup relationship."""
        return (r for r in self.relationships.values() if isinstance(r, OneToMany))

    def many_to_many(self, table: str) -> Iterator[ManyToMany]:
        """Yield the many-to-many relationships in which this table takes part."""
        return (r for r in self.relationships.values() if isinstance(r, ManyToMany) and table in (r.entity1, r.entity2))

    def with_table(self, table: Table) -> "Schema":
        """Return this schema with a table added or replaced."""
        return replace(self, tables={**self.tables, table.logical_name: table})

    def limited_to(self, other: "Schema") -> "Schema":
        """Return this schema without the tables, columns and relationships that another one does not have."""
        if other is self:
            return self
        tables = {
            name: table.limited_to(other.tables[name]) for name, table in self.tables.items() if name in other.tables
        }
        return Schema(tables, {name: r for name, r in self.relationships.items() if name in other.relationships})

    def without_table(self, logical_name: str) -> "Schema":
        """Return this schema without a table and without the relationships that touch it."""
        return Schema(
            {name: table for name, table in self.tables.items() if name != logical_name},
            {name: r for name, r in self.relationships.items() if logical_name not in _ends(r)},
        )

    def with_relationship(self, relationship: Relationship) -> "Schema":
        """Return this schema with a relationship added or replaced; columns are the caller's matter."""
        return replace(self, relationships={**self.relationships, relationship.schema_name: relationship})

    def without_relationship(self, schema_name: str) -> "Schema":
        """Return this schema with one relationship less."""
        return replace(self, relationships={n: r for n, r in self.relationships.items() if n != schema_name})


def _ends(relationship: Relationship) -> tuple[str, ...]:
    if isinstance(relationship, OneToMany):
        return (relationship.referenced_entity, relationship.referencing_entity)
    return (relationship.entity1, relationship.entity2, relationship.intersect_entity)
