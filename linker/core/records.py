"""What is remembered for people: actions that they asked for, and the last error of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from linker.core.model import WIRE, RowIssue


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
class RowRecord:
    """The last issue of a row, the run that met it and when."""

    __pydantic_config__ = WIRE
    issue: RowIssue
    run: str
    seen: str
