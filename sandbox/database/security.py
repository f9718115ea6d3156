"""Pairs of many-to-many relationships, and what they say about who may do what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.database import ddl
from sandbox.database.collation import guid_key
from sandbox.database.connection import Grants
from sandbox.database.database import Database
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

GLOBAL: Final = "Global"
DEPTHS: Final = ("Basic", "Local", "Deep", GLOBAL)
"""How far a privilege of a role reaches, by its number. Kept and returned; what a user may do does not depend on it."""

_CREATE_DEPTHS: Final = (
    "CREATE TABLE IF NOT EXISTS _privilege_depths "
    "(roleid BLOB NOT NULL, privilegeid BLOB NOT NULL, depth TEXT NOT NULL, PRIMARY KEY (roleid, privilegeid))"
)
_GRANTED: Final = """
SELECT p.name, p.privilegeid, coalesce(d.depth, 'Global') FROM roleprivileges rp
JOIN privilege p ON p.privilegeid = rp.privilegeid
LEFT JOIN _privilege_depths d ON d.roleid = rp.roleid AND d.privilegeid = rp.privilegeid
"""

_COLUMNS: Final = """
SELECT p.entityname, p.attributelogicalname FROM systemuserprofiles up
JOIN fieldpermission p ON p.fieldsecurityprofileid = up.fieldsecurityprofileid
WHERE up.systemuserid = ? AND p.can{right} = 4
"""


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A privilege as a role grants it."""

    name: str
    privilege: bytes
    depth: str


def prepare_depths(database: Database) -> None:
    """Make room for the depths of privileges."""
    database.execute(_CREATE_DEPTHS)


def privileges_of_role(database: Database, role: bytes) -> list[RoleGrant]:
    """Return what one role grants; that of System Administrator grants everything."""
    if (SYSTEM_ADMINISTRATOR,) in database.execute("SELECT roletemplateid FROM role WHERE roleid = ?", (role,)):
        return everything(database)
    return _grants(database.execute(f"{_GRANTED} WHERE rp.roleid = ?", (role,)))


def privileges_of_user(database: Database, user: bytes) -> list[RoleGrant]:
    """Return what all roles of a user grant; a privilege that two roles grant comes twice."""
    roles = "WHERE rp.roleid IN (SELECT roleid FROM systemuserroles WHERE systemuserid = ?)"
    return _grants(database.execute(f"{_GRANTED} {roles}", (user,)))


def everything(database: Database) -> list[RoleGrant]:
    """Return what a System Administrator has."""
    return _grants(database.execute(f"SELECT name, privilegeid, '{GLOBAL}' FROM privilege"))  # noqa: S608


def _grants(rows: Iterable[Sequence[object]]) -> list[RoleGrant]:
    return [RoleGrant(str(name), key, str(depth)) for name, key, depth in rows if isinstance(key, bytes)]


def grant_privileges(database: Database, role: bytes, wanted: Iterable[tuple[bytes, str]]) -> None:
    """Give privileges with their depths to a role; one that it has gets the new depth."""
    rows = [(role, privilege, depth) for privilege, depth in wanted]
    with database.transaction():
        database.execute_many("INSERT OR IGNORE INTO roleprivileges VALUES (?, ?)", [row[:2] for row in rows])
        database.execute_many("INSERT OR REPLACE INTO _privilege_depths VALUES (?, ?, ?)", rows)
    database.grants.clear()


def revoke_privilege(database: Database, role: bytes, privilege: bytes) -> None:
    """Take a privilege from a role."""
    with database.transaction():
        for table in ("roleprivileges", "_privilege_depths"):
            database.execute(f"DELETE FROM {table} WHERE roleid = ? AND privilegeid = ?", (role, privilege))  # noqa: S608
    database.grants.clear()


def columns_granted(database: Database, user: bytes, right: str) -> frozenset[tuple[str, str]]:
    """Return the secured columns, as table and column, that a user's profiles allow to "create", "read" or "update"."""
    return frozenset(
        (str(table), str(column)) for table, column in database.execute(_COLUMNS.format(right=right), (user,))
    )


def forget_pairs(database: Database, table: str, keys: Iterable[bytes]) -> None:
    """Take rows that are deleted out of all many-to-many relationships of their table."""
    rows = [(key,) for key in keys]
    for relationship in database.schema.relationships.values():
        if isinstance(relationship, ManyToMany) and table in (relationship.entity1, relationship.entity2):
            first = table == relationship.entity1
            column = ddl.quoted(relationship.entity1_attribute if first else relationship.entity2_attribute)
            name = ddl.quoted(relationship.intersect_entity)
            database.execute_many(f"DELETE FROM {name} WHERE {column} = ?", rows)  # noqa: S608
    database.grants.clear()


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
