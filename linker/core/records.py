"""What is remembered for people: their own actions, rows that were not linked and why, and what a dry run would change.

docs/errors.md explains each code of a row that was not linked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from linker.core.errors import DataverseError
from linker.core.keys import key_fault, row_key
from linker.core.model import WIRE, CustomerId
from linker.core.throttling.error_classification import DENIED, ROW_MISSING, TARGET_MISSING, named_ids


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


# ---- why a row was not linked ----

ORPHANED = "OrphanedLink"  # code of rows whose link leads to no profile, and that nothing accounts for
GUARDED = "HeldBack"  # code of departed rows that the guard holds back
NO_CUSTOMER = "The mapping row has no CustomerId."
MAX_TEXT = 1_000  # characters of a reason that Dataverse gave


@dataclass(frozen=True, slots=True)
class Reason:
    """What a code means: the outcome of the row, the reason unless Dataverse gave one, and the advice."""

    outcome: Literal["rejected", "deferred"]
    text: str
    advice: str


REASONS: dict[str, Reason] = {
    "RowNotFound": Reason(
        "rejected",
        "The table has no row with this id.",
        "The row was deleted since unification read it; the next unification drops it.",
    ),
    "InvalidMappingRow": Reason(
        "rejected",
        "The mapping row has no guid as key, or no CustomerId.",
        "Choose the table's primary key in Data > Unify > Customer data, and run unification.",
    ),
    "NotStored": Reason(
        "rejected",
        "Dataverse accepted the link twice and did not store it.",
        "Look for a plug-in on the table that resets the column, then run again.",
    ),
    "PluginRefused": Reason(
        "rejected", "A plug-in refused the update.", "Give the plug-in filtering attributes without this column."
    ),
    "AccessDenied": Reason("rejected", "The app may not write this row.", "Give the app's role write access to it."),
    "ProfileDenied": Reason(
        "rejected",
        "The app may not link rows to this profile.",
        "Give the app's role Read and Append To on the profile table for the whole organization.",
    ),
    "TooSlow": Reason(
        "rejected", "One row alone runs into the SQL timeout.", "Look at the plug-ins and workflows on the table."
    ),
    "Refused": Reason("rejected", "Dataverse refused the update.", "Read the reason, fix the row, and run again."),
    "ProfileMissing": Reason(
        "deferred",
        "The customer's profile is not in Dataverse.",
        "Nothing: the profile is written after unification, and a later run links the row.",
    ),
    "AmbiguousProfile": Reason(
        "rejected",
        "Several profiles have the row's CustomerId.",
        "Run unification again. If this stays, report the CustomerId to Microsoft support.",
    ),
    "PartitionNotShown": Reason(
        "rejected",
        "The profile is in a partition of its own, and rows of the table do not show the partition of their link.",
        "Report this with the result of probe P6 of the live check: the app only writes links that it can read back.",
    ),
    "OtherCustomer": Reason(
        "rejected",
        "The linked profile is of another customer than the mapping names.",
        "Run unification again. If this stays, report the row's id to Microsoft support.",
    ),
    ORPHANED: Reason(
        "deferred",
        "The row's link leads to a profile that does not exist or that the app cannot see. The mapping does not name the row.",
        "Decide whether the link may go, then allow one run to clear it (see docs/operations.md).",
    ),
    "ProfileVanished": Reason(
        "deferred", "The profile was deleted while the row was written.", "Nothing: the next run links the row."
    ),
    GUARDED: Reason(
        "deferred",
        "Too many rows of the table left unification at once.",
        "Check why. Let the rows come back, or allow one run to clear the links (See docs/operations.md).",
    ),
    "MappingMoved": Reason(
        "deferred",
        "Mapping or profiles changed while the run was under way.",
        "Nothing: the next run looks again.",
    ),
    "Mapped": Reason("deferred", "The mapping names the row again.", "Nothing: the next run decides."),
    "BlockLost": Reason(
        "deferred",
        "What was known of this page's links is lost, so the owner of this link is unknown.",
        "Look at the row: its link stays, and no later run clears it.",
    ),
    "LinkChanged": Reason(
        "deferred", "Another writer changed the row while its link was cleared.", "Nothing: the next run looks again."
    ),
}

_BY_ANSWER = {
    "0x80040265": "PluginRefused",
    "0x80060891": "ProfileVanished",
    **dict.fromkeys(DENIED, "AccessDenied"),
    "0x80044151": "TooSlow",
}


NO_KEY = "(empty)"  # stands for a key that is not there


def issue(table: str, row: str, code: str, text: str = "") -> RowIssue:
    """Return the issue of one row; `text` replaces the code's own words."""
    reason = REASONS[code]
    return RowIssue(table, row, reason.outcome, code, text or reason.text, reason.advice)


def invalid_key(table: str, text: str) -> RowIssue:
    """Return the issue of a mapping row whose key is `text`; a guid there means that the row has no CustomerId."""
    if row_key(text) is not None:
        return RowIssue(table, text, "rejected", "InvalidMappingRow", NO_CUSTOMER, "Run unification again.")
    return RowIssue(table, text or NO_KEY, "rejected", "InvalidMappingRow", *key_fault(text))


def refusal(table: str, row: str, error: DataverseError, profile: str = "") -> RowIssue:
    """Return the issue for a row that Dataverse refused while it was linked to a profile (its id). What the answer names
    decides, then its code: the same code may be about the row or about its profile.
    """
    missing = error.status == 404 or error.code.lower() in (ROW_MISSING, TARGET_MISSING)
    ids = named_ids(error.text)
    if missing and profile in ids and row not in ids:
        code = "ProfileVanished"
    elif missing and row in ids and profile not in ids:
        code = "RowNotFound"
    elif error.code.lower() in DENIED and profile in ids and row not in ids:
        code = "ProfileDenied"
    else:
        code = _BY_ANSWER.get(error.code.lower(), "RowNotFound" if error.status == 404 else "Refused")
    return issue(table, row, code, error.text[:MAX_TEXT])
