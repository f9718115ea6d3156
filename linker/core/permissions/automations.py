"""Which automations an update of the lookup column fires, what that costs, and what to do about it.

Pure: what is registered comes in, judgement and words come out. Facts: docs/reference/dataverse.md 9 and 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from linker.core.model import WIRE
from linker.core.names import LOOKUP_SCHEMA_NAME

BULK_MESSAGE = "UpdateMultiple"
MAX_NAMED = 5  # automations named in one sentence


class Kind(StrEnum):
    """What runs when a row is updated."""

    STEP = "plug-in step"
    WORKFLOW = "workflow"
    RULE = "business rule"
    FLOW = "cloud flow"


@dataclass(frozen=True, slots=True)
class Automation:
    """Something that is registered on updates of a table. `columns` are its filtering attributes in lower case.

    A step or flow without filtering attributes runs for every update, a workflow without them for none
    (docs/reference/dataverse.md 9).
    """

    __pydantic_config__ = WIRE
    name: str
    kind: Kind
    # A step on UpdateMultiple runs once for a request, all else once for a row (docs/reference/dataverse.md 2.7).
    message: str = "Update"
    asynchronous: bool = False
    columns: tuple[str, ...] = ()
    every_table: bool = False
    bypassable: bool = True
    id: str = ""  # of its row; an approval names these


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the first link of a table sets in motion at most. `jobs` are system jobs, flow runs among them."""

    __pydantic_config__ = WIRE
    rows: int
    automations: int
    executions: int  # while the rows are written: they make each write slower
    jobs: int  # afterwards

    def __str__(self) -> str:
        return (
            f"{count_noun(self.rows, 'row')} x {count_noun(self.automations, 'automation')} = "
            f"{count_noun(self.executions, 'execution')} while writing, {count_noun(self.jobs, 'system job')}"
        )


def find_fired(registered: Iterable[Automation], column: str = LOOKUP_SCHEMA_NAME) -> tuple[Automation, ...]:
    """Return those that an update of `column` alone fires."""
    return tuple(automation for automation in registered if _fires(automation, column))


def _fires(automation: Automation, column: str) -> bool:
    if automation.kind is Kind.WORKFLOW:
        return column in automation.columns
    return not automation.columns or column in automation.columns


def not_bypassed(found: Iterable[Automation]) -> tuple[Automation, ...]:
    """Return those that run although the bypass headers are sent."""
    return tuple(automation for automation in found if not automation.bypassable)


def estimate(found: Sequence[Automation], rows: int, *, rows_a_request: int) -> Estimate:
    """Return what a first link of so many rows sets in motion; `rows_a_request` is 1 where UpdateMultiple is not supported.

    The first row goes alone: it proves that links are alive.
    """
    requests = min(rows, 1) + ceil(max(0, rows - 1) / rows_a_request)
    times = [(requests if found.message == BULK_MESSAGE else rows, found.asynchronous) for found in found]
    executions = sum(count for count, asynchronous in times if not asynchronous)
    return Estimate(rows, len(found), executions, sum(count for count, _ in times) - executions)


def advice(automation: Automation, column: str = LOOKUP_SCHEMA_NAME) -> str:
    """Return what keeps one automation from running: the vendor's tip (filtering attributes) where there is one."""
    match automation.kind:
        case Kind.STEP | Kind.FLOW if automation.columns:
            return f"Take {column} out of its {_filter_name(automation)}."
        case Kind.STEP if automation.every_table:
            return "Register it for the tables that need it, with filtering attributes: on all tables it has none."
        case Kind.STEP:
            return "Give it filtering attributes without this column; with none it runs for every update."
        case Kind.FLOW:
            return "List the columns that it needs under 'Select columns' of its trigger, or turn it off for the first link."
        case Kind.WORKFLOW:
            return f"Take {column} out of the fields that start it, or deactivate it for the first link."
        case Kind.RULE:
            return "Set its scope to a form, or deactivate it for the first link; a rule with the table as scope has no filter."


def describe(automation: Automation) -> str:
    """Return one automation with what to do about it, as a line for an admin."""
    runs = "asynchronous" if automation.asynchronous else "synchronous"
    where = " on all tables" if automation.every_table else ""
    message = f" on {automation.message}" if automation.kind is Kind.STEP else ""
    return f"{automation.kind.capitalize()} '{automation.name}'{message}{where} ({runs}). {advice(automation)}"


def describe_all(found: Sequence[Automation]) -> str:
    """Return several automations with what to do about each; of many the first ones."""
    more = len(found) - MAX_NAMED
    lines = [describe(automation) for automation in found[:MAX_NAMED]]
    return " ".join([*lines, f"And {more} more."] if more > 0 else lines)


def _filter_name(automation: Automation) -> str:
    return "filtering attributes" if automation.kind is Kind.STEP else "trigger's 'Select columns'"


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun, such as '1 row' or '2,000 rows'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
