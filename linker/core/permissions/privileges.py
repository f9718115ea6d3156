"""Which privileges the app's user needs, which of them it lacks, and how to say so.

Pure. Names of privileges are those that metadata gives for each table, never built. docs/identity.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from linker.core.errors import DataverseError
from linker.core.model import WIRE
from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
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
