"""Which privileges and secured columns the app's user needs, which of them it lacks, and how to say so.

Pure. Names of privileges are those that metadata gives for each table, never built. docs/identity.md lists them. What a secured
column holds reads as null without the permission, which looks like an empty link or an empty mapping, so a run may not begin
without it (docs/reference/dataverse.md 11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from linker.core.errors import DataverseError
from linker.core.model import WIRE
from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns
from linker.core.throttling.error_classification import PRIVILEGE, named_ids, named_privilege

BYPASS = "prvBypassCustomBusinessLogic"
ACT_FOR_OTHERS = "prvActOnBehalfOfAnotherUser"
READ_METADATA = ("prvReadEntity", "prvReadAttribute", "prvReadRelationship")
CREATE_COLUMN = ("prvCreateAttribute", "prvCreateRelationship")


class Right(StrEnum):
    """What a privilege of a table allows, as metadata names it (PrivilegeType)."""

    READ = "Read"
    WRITE = "Write"
    APPEND = "Append"
    APPEND_TO = "AppendTo"


class Depth(StrEnum):
    """How far a privilege reaches, from the least to the most."""

    NONE = "None"
    BASIC = "Basic"
    LOCAL = "Local"
    DEEP = "Deep"
    GLOBAL = "Global"

    @property
    def level(self) -> str:
        """The level in the words of the admin centre."""
        return _LEVELS[self]


_LEVELS = {
    Depth.NONE: "none",
    Depth.BASIC: "user",
    Depth.LOCAL: "business unit",
    Depth.DEEP: "parent: child business units",
    Depth.GLOBAL: "organization",
}


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege as this environment names it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Need:
    """A right on a table, or, without a table, a privilege by its name; and what it is needed for.

    Without one that is vital nothing can be linked; without another one something is not seen.
    """

    table: str
    right: str
    purpose: str
    vital: bool = True


@dataclass(frozen=True, slots=True)
class Missing:
    """A privilege that is needed at organization level and held at a lower one, or not at all; with a `column`, a permission on
    that secured column.
    """

    __pydantic_config__ = WIRE
    privilege: str
    table: str
    level: str  # what is held
    purpose: str
    vital: bool = True
    column: str = ""

    def __str__(self) -> str:
        if self.column:
            return (
                f"{self.privilege} on secured column '{self.column}' of table '{self.table}' (held: {self.level}), needed to "
                f"{self.purpose}"
            )
        where = f" on table '{self.table}'" if self.table else ""
        return f"{self.privilege}{where} at level organization (held: {self.level}), needed to {self.purpose}"


type Catalogue = Mapping[tuple[str, str], Privilege]
"""Privileges by table and right; those of no table under the empty table and their own name."""


def always(*, scanned: Sequence[str], touches: bool = False) -> tuple[Need, ...]:
    """Return what every run needs. `scanned` are the tables of registered automations."""
    profile = [Need(PROFILE_TABLE, Right.WRITE, "touch profiles whose links changed", vital=False)] if touches else []
    return (
        *(Need("", name, "read table definitions") for name in READ_METADATA),
        Need(MAPPING_TABLE, Right.READ, "read the mapping"),
        Need(PROFILE_TABLE, Right.READ, "find profiles"),
        Need(PROFILE_TABLE, Right.APPEND_TO, "link rows to profiles"),
        *profile,
        Need("systemuser", Right.READ, "see who writes"),
        *(Need(table, Right.READ, "see which automations a link fires", vital=False) for table in scanned),
        *(
            Need(table, Right.READ, "see whose roles cannot read profiles", vital=False)
            for table in ("role", "privilege")
        ),
    )


def of_table(table: str) -> tuple[Need, ...]:
    """Return what linking one source table needs."""
    return (
        Need(table, Right.READ, "read its rows"),
        Need(table, Right.WRITE, "write its lookup"),
        Need(table, Right.APPEND, "link its rows"),
    )


def to_create_column() -> tuple[Need, ...]:
    """Return what creating a lookup column needs."""
    return tuple(Need("", name, "create the lookup column") for name in CREATE_COLUMN)


def of_settings(*, bypass: bool, impersonate: bool, solution: bool) -> tuple[Need, ...]:
    """Return what the chosen settings need."""
    return (
        *((Need("", BYPASS, "bypass custom logic (LINKER_AUTOMATIONS=bypass)"),) if bypass else ()),
        *((Need("", ACT_FOR_OTHERS, "act for another user (LINKER_IMPERSONATE)"),) if impersonate else ()),
        *((Need("solution", Right.READ, "find the solution of the column (LINKER_SOLUTION)"),) if solution else ()),
    )


def missing(needs: Iterable[Need], catalogue: Catalogue, held: Mapping[str, Depth]) -> tuple[Missing, ...]:
    """Return what is not held at organization level. `held` has the names in lower case.

    A right that a table does not define is not needed.
    """
    found = []
    for need in needs:
        privilege = catalogue.get((need.table, need.right))
        if privilege is None and need.table:
            continue
        name = privilege.name if privilege else need.right
        depth = held.get(name.lower(), Depth.NONE)
        if depth is not Depth.GLOBAL:
            found.append(Missing(name, need.table, depth.level, need.purpose, need.vital))
    return tuple(found)


def share_privileges(one: Mapping[str, Depth], other: Mapping[str, Depth]) -> dict[str, Depth]:
    """Return what is left of one user's privileges when the other one acts for it: whatever both have
    (docs/reference/dataverse.md 11).

    To act for others is the other's own business.
    """
    both = {name: min(one[name], other[name], key=list(Depth).index) for name in one.keys() & other.keys()}
    name = ACT_FOR_OTHERS.lower()
    return both | ({name: other[name]} if name in other else {})


UNNAMED = "a privilege that Dataverse does not name"


def find_refused(error: DataverseError) -> Missing | None:
    """Return the privilege that a refusal is about (docs/reference/dataverse.md 2.6), in any language; None when it is about
    something else.

    The code decides where the text names neither a privilege nor a row.
    """
    name = named_privilege(error.text)
    if not name and error.code.lower() == PRIVILEGE and not named_ids(error.text):
        name = UNNAMED
    if not name:
        return None
    purposes = {need.right: need.purpose for need in of_settings(bypass=True, impersonate=True, solution=False)}
    return Missing(name, "", Depth.NONE.level, purposes.get(name, "look at the environment"))


_PARTIAL = frozenset(depth.level for depth in (Depth.BASIC, Depth.LOCAL, Depth.DEEP))


def complaint(lacking: Sequence[Missing], account: str) -> str:
    """Return what names every missing privilege and permission, and what to do; empty when none is missing."""
    if not lacking:
        return ""
    what = f"The service account {account} lacks {'; '.join(map(str, lacking))}."
    return " ".join([what, *(text for applies, text in _ADVICE if any(map(applies, lacking)))])


_ADVICE: tuple[tuple[Callable[[Missing], bool], str], ...] = (
    (
        lambda one: not one.column,
        "Run 'python -m linker setup' or add it to its role; docs/identity.md lists what is needed.",
    ),
    (
        lambda one: not one.column and one.level in _PARTIAL,
        "Rows that are shared with it do not replace the level: all others would be left out.",
    ),
    (
        lambda one: bool(one.column),
        "Add it to a column security profile that allows this, or turn column security off for the column. "
        "(See docs/identity.md#column-security.)",
    ),
)


# ---- secured columns ----

type ColumnRight = Literal["read", "update"]
MAPPING_NAMES = ("msdynci_tablename", "msdynci_entityname")  # one of them names the source table


@dataclass(frozen=True, slots=True)
class SecuredColumn:
    """A column with column security. `id` is its MetadataId in lower case, by which permissions name it."""

    table: str
    column: str
    id: str


@dataclass(frozen=True, slots=True)
class ColumnNeed:
    """A right on a column that counts where the column is secured, and what it is needed for."""

    table: str
    column: str
    right: ColumnRight
    purpose: str
    vital: bool = True


type ColumnRights = Mapping[str, frozenset[ColumnRight]]
"""What a user may do with secured columns, by MetadataId. A column that is not in it may be neither read nor updated."""


def of_every_run(*, touches: bool) -> tuple[ColumnNeed, ...]:
    """Return what every run needs of the mapping and of profiles."""
    mapping = (MappingColumns.data_source, *MAPPING_NAMES, MappingColumns.key, MappingColumns.customer)
    customer = MappingColumns.customer
    purpose = "touch profiles whose links changed"
    touch = (ColumnNeed(PROFILE_TABLE, customer, "update", purpose, vital=False),) if touches else ()
    return (
        *(ColumnNeed(MAPPING_TABLE, column, "read", "read the mapping") for column in mapping),
        ColumnNeed(PROFILE_TABLE, customer, "read", "find profiles"),
        *touch,
    )


def of_links(table: str) -> tuple[ColumnNeed, ...]:
    """Return what linking one source table needs: of its lookup, and of the column that holds a profile's partition."""
    return tuple(
        need
        for column in (LOOKUP_SCHEMA_NAME, f"{LOOKUP_SCHEMA_NAME}pid")
        for need in (
            ColumnNeed(table, column, "read", "see which links are stored"),
            ColumnNeed(table, column, "update", "write links"),
        )
    )


def concerns(needs: Iterable[ColumnNeed], secured: Iterable[SecuredColumn]) -> bool:
    """Return whether any needed column is secured."""
    named = {(one.table, one.column) for one in secured}
    return any((need.table, need.column) in named for need in needs)


def missing_on_columns(
    needs: Iterable[ColumnNeed], secured: Iterable[SecuredColumn], rights: ColumnRights
) -> tuple[Missing, ...]:
    """Return the permissions that are needed on secured columns and not held."""
    ids = {(one.table, one.column): one.id for one in secured}
    return tuple(
        Missing(f"{need.right} permission", need.table, "none", need.purpose, need.vital, need.column)
        for need in needs
        if (found := ids.get((need.table, need.column))) is not None
        and need.right not in rights.get(found, frozenset())
    )
