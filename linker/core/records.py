"""What is remembered for people: actions that they requested, rows with an issue, and what a dry run would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from linker.core.model import WIRE, CustomerId


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One manual action. `status` is the HTTP status of its answer, None when unknown."""

    __pydantic_config__ = WIRE
    id: str
    at: str
    who: str
    who_id: str
    action: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What a dry run would do to one row. Without a customer: clear its link, which no source asks for any more."""

    __pydantic_config__ = WIRE
    table: str
    row: str
    change: Literal["link", "unlink"]
    customer: CustomerId = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class RowIssue:
    """Why one row was rejected or deferred, and what to do about it."""

    __pydantic_config__ = WIRE
    table: str
    row: str
    outcome: Literal["rejected", "deferred"]
    code: str
    reason: str
    advice: str
    first_seen: str = ""  # when the row first had an issue without having been in order since
    attempts: int = 0  # runs that tried since then


@dataclass(frozen=True, slots=True)
class RowRecord:
    """The last issue of a row, the run that met it and when."""

    __pydantic_config__ = WIRE
    issue: RowIssue
    run: str
    seen: str
