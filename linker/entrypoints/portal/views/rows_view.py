"""What the Rows and Audit pages show, as values. Pure: a row, its errors, and entries of the audit in, lines out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from linker.core.model import Run
from linker.core.records import REASONS, AuditEntry, RowIssue
from linker.entrypoints.api.answers import Comparison, RowState

type GroupSort = Literal["", "rows", "table", "since", "attempts"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a row stands. `look` is one of words.LOOKS, `detail` says what that means and what happens next."""

    look: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Group:
    """Row errors of one table with one code, among those that were looked at."""

    table: str
    code: str
    outcome: str
    reason: str
    advice: str
    rows: int
    first_seen: str
    most_attempts: int


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run whose row errors can be looked at."""

    run: Run
    is_open: bool

    @property
    def errors(self) -> int:
        """Rows that were rejected or deferred."""
        return self.run.counts.rejected + self.run.counts.deferred


_EQUAL: Final = Judgement("good", "Linked as confirmed", "The link is the one that the app confirmed last.")
_GONE: Final = Judgement(
    "bad",
    "The row is gone",
    "Dataverse has no row with this id in the table. The next unification drops it from the mapping.",
)
_ABSENT: Final = Judgement(
    "bad",
    "The row was not found",
    "Dataverse has no row with this id in the table, and the app has linked none. Look at the id.",
)
_EMPTIED: Final = Judgement(
    "warning",
    "The link is empty",
    "It was confirmed and then cleared by another writer. The next run links the row again.",
)
_OTHER: Final = Judgement(
    "warning",
    "Linked to another customer",
    "The link is not the one that the app confirmed last: another writer changed it. A verify run repairs and reports it.",
)
_NOT_ASKED: Final = Judgement("idle", "Not verified", "Dataverse could not be asked for the link just now.")
_UNCONFIRMED: Final = Judgement(
    "waiting",
    "Not confirmed",
    "A run began to link this row, and the link has not been read since. The next run compares it.",
)
_UNKNOWN: Final = Judgement(
    "idle",
    "Not linked by the app",
    "The mapping named no customer for this row when the app last linked the table, or the row was rejected or deferred.",
)


def judgement_of(state: RowState) -> Judgement:
    """Return how a row stands: its link now beside the one that was last confirmed."""
    if state.comparison is Comparison.EQUAL:
        return _EQUAL
    if state.comparison is Comparison.GONE:
        return _GONE if state.known else _ABSENT
    if state.comparison is Comparison.DIFFERS:
        return _OTHER if state.now and state.now.profile else _EMPTIED
    if state.now is None:
        return _NOT_ASKED
    return _UNCONFIRMED if state.known else _UNKNOWN


def fitting_issues(issues: Iterable[tuple[str, RowIssue]], outcome: str, find: str) -> tuple[tuple[str, RowIssue], ...]:
    """Return the row errors of one outcome ("": of any) with a text in table, row, code or reason."""
    text = find.strip().casefold()
    return tuple(
        (key, issue)
        for key, issue in issues
        if outcome in ("", issue.outcome)
        and any(text in word.casefold() for word in (issue.table, issue.row, issue.code, issue.reason))
    )


def groups_of(issues: Iterable[RowIssue], sort: GroupSort = "") -> tuple[Group, ...]:
    """Return row errors by table and code: rejected rows first and the most frequent first, or in the order asked for."""
    found: dict[tuple[str, str], list[RowIssue]] = {}
    for issue in issues:
        found.setdefault((issue.table, issue.code), []).append(issue)
    usual = sorted(map(_group, found.values()), key=_SORTS[""])
    return tuple(sorted(usual, key=_SORTS[sort]))


_SORTS: Final[Mapping[GroupSort, Callable[[Group], Any]]] = {
    "": lambda group: (group.outcome != "rejected", -group.rows, group.table, group.code),
    "rows": lambda group: -group.rows,
    "table": lambda group: (group.table, group.code),
    "since": lambda group: group.first_seen,
    "attempts": lambda group: -group.most_attempts,
}


def _group(issues: Sequence[RowIssue]) -> Group:
    first = issues[0]
    known = REASONS.get(first.code)  # a run of an earlier version may have had other codes
    return Group(
        first.table,
        first.code,
        first.outcome,
        known.text if known else first.reason,
        first.advice,
        len(issues),
        min(issue.first_seen for issue in issues),
        max(issue.attempts for issue in issues),
    )


def lines_of(runs: Iterable[Run], wanted: str) -> tuple[RunLine, ...]:
    """Return the runs to choose from. Open is the wanted one, else the newest with row errors, else the newest."""
    found = list(runs)
    with_errors = (run.id for run in found if run.counts.rejected + run.counts.deferred)
    opened = wanted or next(with_errors, found[0].id if found else "")
    return tuple(RunLine(run, run.id == opened) for run in found)


# ---- the audit ----

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
