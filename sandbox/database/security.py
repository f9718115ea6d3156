"""Pairs of many-to-many relationships, and what they say about who may do what."""

from collections.abc import Iterable, Sequence
from typing import Final

from sandbox.collation import guid_key
from sandbox.database import ddl
from sandbox.database.core import Database, Grants
from sandbox.schema.model import ManyToMany

SYSTEM_ADMINISTRATOR: Final = guid_key("627090ff-40a3-4053-8790-584edc5be201")
"""Role template of System Administrator, which has every privilege."""

_PRIVILEGES: Final = """
SELECT p.name FROM systemuserroles ur
JOIN roleprivileges rp ON rp.roleid = ur.roleid
JOIN privilege p ON p.privilegeid = rp.privilegeid
WHERE ur.systemuserid = ?
"""
_TEMPLATES: Final = """
SELECT r.roletemplateid FROM systemuserroles ur JOIN role r ON r.roleid = ur.roleid
WHERE ur.systemuserid = ? AND r.roletemplateid IS NOT NULL
"""


def grants_of(database: Database, user: bytes) -> Grants:
    """Return what a user's roles allow."""
    known = database.grants.get(user)
    if known is None:
        names = frozenset(str(name).lower() for (name,) in database.execute(_PRIVILEGES, (user,)))
        templates = {key for (key,) in database.execute(_TEMPLATES, (user,))}
        known = database.grants[user] = Grants(names, SYSTEM_ADMINISTRATOR in templates)
    return known


def associate(database: Database, relationship: ManyToMany, pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Pair rows of entity1 with rows of entity2; a pair that exists stays."""
    name = ddl.quoted(relationship.intersect_entity)
    with database.transaction():
        database.execute_many(f"INSERT OR IGNORE INTO {name} VALUES (?, ?)", pairs)  # noqa: S608
    database.grants.clear()


def disassociate(database: Database, relationship: ManyToMany, pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Take pairs apart."""
    first, second = ddl.quoted(relationship.entity1_attribute), ddl.quoted(relationship.entity2_attribute)
    name = ddl.quoted(relationship.intersect_entity)
    with database.transaction():
        database.execute_many(f"DELETE FROM {name} WHERE {first} = ? AND {second} = ?", pairs)  # noqa: S608
    database.grants.clear()


def partners(database: Database, relationship: ManyToMany, table: str, key: bytes) -> Sequence[bytes]:
    """Return the keys on the other side of a row of `table`."""
    near, far = ddl.quoted(relationship.entity1_attribute), ddl.quoted(relationship.entity2_attribute)
    if table != relationship.entity1:
        near, far = far, near
    sql = f"SELECT {far} FROM {ddl.quoted(relationship.intersect_entity)} WHERE {near} = ?"  # noqa: S608
    return [found for (found,) in database.execute(sql, (key,)) if isinstance(found, bytes)]
