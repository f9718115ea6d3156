"""What the cases of docs/requirements.md are made of: environments, changes of them, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from linker.core.permissions.preflight_report import Severity
from linker.core.requirements.facts import DeclaredSource
from sandbox.database import Stamp, bulk_load
from sandbox.runtime import Environment
from sandbox.schema.builtin import lookup_relationships
from sandbox.schema.column_types import Column
from sandbox.schema.columns import lookup
from sandbox.schema.definition import define_table
from sandbox.schema.kinds import make_elastic, make_virtual
from sandbox.schema.model import metadata_id
from tests.fakes.requests import COLUMN
from tests.requirements.made import (
    CONTACTS,
    FOREIGN,
    MEMBERS,
    Change,
    Fed,
    Made,
)

READY, WARNINGS, BLOCKED = Severity.READY, Severity.WARNINGS, Severity.BLOCKED
GOOD = Made()
BLIND = GOOD.but(insights=False)  # no Customer Insights settings
DECLARED = {"declared": ("R2", "R5")}
KNOWN = (
    DeclaredSource("crm", "contact", "attachCds", "contactid"),
    DeclaredSource("crm", "lead", "attachCds", "leadid"),
)
NO_TABLE = DeclaredSource("shop", "shoppers", target=False)
OTHER = "https://other.crm4.dynamics.com"
OUTSIDE = {"isCdsMdlOrCdsByodl": False, "cdsMdlInfo": None}  # no output to Dataverse, as far as the API reports
UNTOLD = {"isCdsMdlOrCdsByodl": True, "cdsMdlInfo": None}
ASIA = Fed("crm asia", "contact", FOREIGN, "contactid")
SHOPPERS = Fed("shop", "shoppers", CONTACTS[:5], "shopperid")
MEMBER = Fed("crm", "new_member", MEMBERS, "new_memberid")
KINDS = {"crm": "attachCds", "files": "powerQuery", "crm asia": "attachCds", "shop": "powerQuery"}


@dataclass(frozen=True, slots=True)
class Expected:
    """How a preflight ends, what becomes of each table, and words that its texts contain."""

    severity: Severity
    outcomes: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()


BOTH_READY = {"contact": "ready", "lead": "ready"}
BOTH_SKIPPED = {"contact": "skipped", "lead": "skipped"}
LEAD_SKIPPED = {"contact": "ready", "lead": "skipped"}


def fed_by(*sources: Fed, **values: object) -> Made:
    return GOOD.but(fed=sources, kinds=KINDS, **values)


def kind_of_crm(kind: str, **values: object) -> Made:
    return GOOD.but(kinds={"crm": kind, "files": "powerQuery"}, **values)


def changed(table: str, **values: object) -> Change:
    def change(environment: Environment) -> None:
        database = environment.database
        database.replace_table(replace(database.schema.tables[table], **values))  # type: ignore[arg-type]

    return change


def with_column(column: Column) -> Change:
    """Give contact a column of the lookup's name that is something else."""

    def change(environment: Environment) -> None:
        database = environment.database
        made = replace(column, metadata_id=metadata_id("contact", column.logical_name), custom=True)
        database.add_columns(database.schema.tables["contact"], [made])
        for relationship in lookup_relationships(database.schema, database.schema.tables["contact"]):
            if relationship.referencing_attribute == column.logical_name:
                database.add_relationship(relationship)

    return change


_MADE: Final = {"Standard": lambda table: table, "Elastic": make_elastic, "Virtual": make_virtual}


def member_table(table_type: str, *, with_lookup: bool = False) -> Change:
    columns = [lookup(COLUMN, "msdynci_customerprofile")] if with_lookup else []

    def change(environment: Environment) -> None:
        table = _MADE[table_type](define_table("new_member", columns, entity_set="new_memberset", custom=True))
        environment.database.create_table(table)
        for relationship in lookup_relationships(environment.database.schema, table):
            environment.database.add_relationship(relationship)

    return change


def solution(name: str, *, managed: bool) -> Change:
    def change(environment: Environment) -> None:
        row = {"solutionid": metadata_id("solution", name), "uniquename": name, "ismanaged": managed}
        bulk_load(environment.database, "solution", [row], Stamp(environment.clock(), bytes(16)))

    return change


def without(table: str) -> Change:
    return lambda environment: environment.database.drop_table(environment.database.schema.tables[table])


def case(name: str, made: Made, severity: Severity, outcomes: dict[str, str], *words: str) -> Any:
    """Return one line of the table."""
    return pytest.param((made, Expected(severity, outcomes, words)), id=name)
