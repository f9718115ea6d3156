"""Pairs of many-to-many relationships, and what they say about who may do what."""

from collections.abc import Iterable, Sequence

from sandbox.database import ddl
from sandbox.database.core import Database
from sandbox.schema.model import ManyToMany

_PRIVILEGES = """
SELECT p.name FROM systemuserroles ur
JOIN roleprivileges rp ON rp.roleid = ur.roleid
JOIN privilege p ON p.privilegeid = rp.privilegeid
WHERE ur.systemuserid = ?
"""
_TEMPLATES = """
SELECT r.roletemplateid FROM systemuserroles ur JOIN role r ON r.roleid = ur.roleid
WHERE ur.systemuserid = ? AND r.roletemplateid IS NOT NULL
"""


def privilege_names(database: Database, user: bytes) -> frozenset[str]:
    """Return the names of all privileges that a user's roles grant."""
    return frozenset(str(name) for (name,) in database.execute(_PRIVILEGES, (user,)))


def role_templates(database: Database, user: bytes) -> frozenset[bytes]:
    """Return the templates of a user's roles; one of them is System Administrator's."""
    return frozenset(key for (key,) in database.execute(_TEMPLATES, (user,)) if isinstance(key, bytes))


def associate(database: Database, relationship: ManyToMany, pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Pair rows of entity1 with rows of entity2; a pair that exists stays."""
    name = ddl.quoted(relationship.intersect_entity)
    with database.transaction():
        database.execute_many(f"INSERT OR IGNORE INTO {name} VALUES (?, ?)", pairs)  # noqa: S608
    database.associations += 1


def disassociate(database: Database, relationship: ManyToMany, pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Take pairs apart."""
    first, second = ddl.quoted(relationship.entity1_attribute), ddl.quoted(relationship.entity2_attribute)
    name = ddl.quoted(relationship.intersect_entity)
    with database.transaction():
        database.execute_many(f"DELETE FROM {name} WHERE {first} = ? AND {second} = ?", pairs)  # noqa: S608
    database.associations += 1


def partners(database: Database, relationship: ManyToMany, table: str, key: bytes) -> Sequence[bytes]:
    """Return the keys on the other side of a row of `table`."""
    near, far = ddl.quoted(relationship.entity1_attribute), ddl.quoted(relationship.entity2_attribute)
    if table != relationship.entity1:
        near, far = far, near
    sql = f"SELECT {far} FROM {ddl.quoted(relationship.intersect_entity)} WHERE {near} = ?"  # noqa: S608
    return [found for (found,) in database.execute(sql, (key,)) if isinstance(found, bytes)]
