"""How a condition reaches the rows of a collection-valued navigation property, and which joins cannot be made."""

from sandbox.database import ddl
from sandbox.query.syntax import RefusedJoinError, UnknownPropertyError
from sandbox.schema.model import ManyToMany, Schema, Table
from sandbox.switches.tables import Joins


def join_works(joins: Joins, *tables: Table) -> bool:
    """Return whether tables are really joined. Raises RefusedJoinError if one of them cannot be."""
    if joins == "work" or all(table.standard for table in tables):
        return True
    if joins == "refuse":
        raise RefusedJoinError
    return False


def collection(schema: Schema, table: Table, navigation: str) -> tuple[Table, str]:
    """Return the table behind a collection and the SQL that links its rows (alias `{inner}`) to a row (`{outer}`).

    Raises UnknownPropertyError if the table has no collection of that name.
    """
    key = f"{{outer}}.{ddl.quoted(table.primary_id)}"
    for relationship in schema.children(table.logical_name):
        if relationship.collection_navigation == navigation:
            child = schema.tables[relationship.referencing_entity]
            return child, f"{{inner}}.{ddl.quoted(relationship.referencing_attribute)} = {key}"
    for pairs in schema.many_to_many(table.logical_name):
        if pairs.navigation == navigation:
            return _paired(schema, table, pairs, key)
    raise UnknownPropertyError(navigation, table.logical_name)


def _paired(schema: Schema, table: Table, pairs: ManyToMany, key: str) -> tuple[Table, str]:
    ends = [(pairs.entity1, pairs.entity1_attribute), (pairs.entity2, pairs.entity2_attribute)]
    (_, near), (other, far) = ends if table.logical_name == pairs.entity1 else reversed(ends)
    partner = schema.tables[other]
    keys = f"SELECT {ddl.quoted(far)} FROM {ddl.quoted(pairs.intersect_entity)} WHERE {ddl.quoted(near)} = {key}"  # noqa: S608
    return partner, f"{{inner}}.{ddl.quoted(partner.primary_id)} IN ({keys})"
