"""What to do about a row that was not linked, in words for an admin. docs/errors.md has a section for each code."""

from __future__ import annotations

from linker.errors import DataverseError
from linker.model import RowIssue

DEFERRED_ADVICE = "Nothing: the profile is written after unification, and a later run links the row."
INVALID_KEY_ADVICE = "Choose the table's primary key in Data > Unify > Customer data, and run unification."

_BY_CODE = {
    "0x80040265": ("PluginRefused", "A plug-in refused the update. Give it filtering attributes without this column."),
    "0x80060891": ("ProfileVanished", "The profile was deleted while the row was written; the next run links it."),
    "0x80040220": ("AccessDenied", "Give the app's role write access to this row."),
    "0x80044151": ("TooSlow", "One row alone runs into the SQL timeout; look at the plug-ins on the table."),
}
_NOT_FOUND = ("RowNotFound", "The row was deleted since unification read it; the next unification drops it.")


def issue_of(table: str, row: str, error: DataverseError) -> RowIssue:
    """Return the row issue for a refusal of Dataverse."""
    other = _NOT_FOUND if error.status == 404 else ("Refused", "Read the reason, mend the row, and run again.")
    code, advice = _BY_CODE.get(error.code.lower(), other)
    return RowIssue(table, row, "rejected", code, error.text[:1000] or str(error), advice)
