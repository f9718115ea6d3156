"""Entries of the audit as people read them. Pure: entries in, lines out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from linker.core.records import AuditEntry

ACTIONS: Final = {
    "post_run": "Start a run",
    "post_cancel": "Cancel a run",
    "post_approve": "Approve a first link",
    "post_pause": "Pause runs",
    "post_resume": "Resume runs",
    "post_unification_event": "Report a unification",
    "unification_events": "Report unifications",
    "open_session": "Sign in with a key",
}
REFUSED: Final = 400  # the lowest HTTP status that says so


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One action. `look` is one of words.LOOKS for how it ended."""

    at: str
    who: str
    action: str
    about: str
    look: str
    outcome: str
    run: str


def line_of(entry: AuditEntry) -> AuditLine:
    """Return an entry as a line."""
    action = ACTIONS.get(entry.action) or entry.action.replace("_", " ").capitalize()
    asked = [f"{_words(name)}: {_show_value(value)}" for name, value in entry.asked.items() if value]
    about = "; ".join([*(f"{name} {value}" for name, value in entry.parameters.items()), *asked])
    return AuditLine(entry.at, entry.who, action, about, *_outcome(entry), entry.run or "")


def _outcome(entry: AuditEntry) -> tuple[str, str]:
    if entry.status is None:
        return "idle", "Noted"  # an effect without an answer, or an answer that could not be saved
    return ("bad", f"Refused ({entry.status})") if entry.status >= REFUSED else ("good", "Done")


def _words(name: str) -> str:
    """Return the words of a name in camelCase, such as 'dry run'."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _show_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{_words(name)} {_show_value(part)}" for name, part in value.items() if part)
    return ", ".join(map(_show_value, value)) if isinstance(value, list | tuple) else str(value)
