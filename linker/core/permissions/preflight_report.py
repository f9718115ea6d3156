"""The picture that a preflight gives: what may be linked, and what would happen, before anything is written. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from linker.core.capabilities import Capabilities
from linker.core.model import WIRE, Finding, Mode
from linker.core.permissions.automations import Automation, Estimate
from linker.core.permissions.privileges import Missing
from linker.core.requirements.facts import Asked, SourceFacts

# Requests that a tenant's application users share in a day, with and without a Dynamics 365 base licence
# (docs/reference/dataverse.md 1.7).
POOL, SMALL_POOL = 500_000, 25_000


class Severity(StrEnum):
    """How a preflight ends, from good to bad."""

    READY = "ready"
    WARNINGS = "ready with warnings"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class TablePicture:
    """One table as a run would meet it now. `rows` is how many its links may write in that run, at most.

    `outcome` says whether it would be linked: `held` waits for an approval, `refused` cannot be written, `skipped` violates a
    requirement. `detail` says why not.
    """

    __pydantic_config__ = WIRE
    table: str
    outcome: Literal["ready", "held", "refused", "skipped"]
    detail: str = ""
    sources: tuple[SourceFacts, ...] = ()
    findings: tuple[Finding, ...] = ()
    column: Literal["", "exists", "would be created"] = ""
    mode: Mode | None = None
    mode_reason: str = ""
    rows: int = 0
    automations: tuple[Automation, ...] = ()
    estimate: Estimate | None = None  # of what the automations cost
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Requests that a licence counts: one for each row written, and reads add to it (docs/reference/dataverse.md 1.7)."""

    __pydantic_config__ = WIRE
    links: int = 0
    touches: int = 0  # profiles whose links changed

    @property
    def requests(self) -> int:
        """All of them."""
        return self.links + self.touches

    def __str__(self) -> str:
        touches = f" and {self.touches:,} profiles touched" if self.touches else ""
        return (
            f"at most {self.links:,} rows linked{touches} = {self.requests:,} requests, of which a tenant's application users "
            f"share {POOL:,} a day with a Dynamics 365 base licence, {SMALL_POOL:,} without"
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a preflight found. Nothing was written for it.

    `detail` says why a run would end before its tables; what keeps a table from being linked is in the table. `missing`
    are privileges that every run needs. What was not looked at because of them is `not checked`, and `tables_checked` is false.
    """

    __pydantic_config__ = WIRE
    dataverse_url: str
    severity: Severity
    detail: str = ""
    service_account: str = ""
    customer_insights: Asked | Literal["not checked"] = "not checked"
    findings: tuple[Finding, ...] = ()
    capabilities: Capabilities | None = None  # of the profile and the mapping table; None when they were not looked at
    tables: tuple[TablePicture, ...] = ()
    tables_checked: bool = False
    missing: tuple[Missing, ...] = ()
    entitlement: Entitlement = Entitlement()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def insights_in_words(self) -> str:
        """Whether the Customer Insights API was asked and answered, for people."""
        return "answered" if self.customer_insights == "asked" else self.customer_insights


def severity(detail: str, tables: Iterable[TablePicture], warnings: Iterable[str]) -> Severity:
    """Return how a preflight ends: blocked when nothing can be linked, with warnings when an administrator should look."""
    outcomes = [table.outcome for table in tables]
    if detail or "ready" not in outcomes:
        return Severity.BLOCKED
    return Severity.READY if set(outcomes) == {"ready"} and not any(warnings) else Severity.WARNINGS


def entitlement(tables: Iterable[TablePicture], *, touches: bool) -> Entitlement:
    """Return what the next run may use. A table that waits counts too: an operator decides on it by this number."""
    rows = sum(table.rows for table in tables if table.outcome in ("ready", "held"))
    return Entitlement(rows, rows if touches else 0)
