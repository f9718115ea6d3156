"""Row errors as the page lists them: found, filtered, grouped, sorted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.records import RowIssue
from linker.entrypoints.portal.views.rows_view import GroupSort, fitting_issues, groups_of


def issue_of(table: str, code: str, *, deferred: bool = False, **values: object) -> RowIssue:
    made = RowIssue(
        table, f"{code}-1", "deferred" if deferred else "rejected", code, "Why", "Do", "2026-11-24T02:00:00Z", 1
    )
    return replace(made, **values)  # type: ignore[arg-type]


ISSUES = [
    *(("", issue_of("contact", "Missing", deferred=True, attempts=9)) for _ in range(3)),
    *(("", issue_of("lead", "Refused", reason="Credit limit")) for _ in range(2)),
    ("", issue_of("contact", "Denied", first_seen="2026-11-01T00:00:00Z")),
]


@pytest.mark.parametrize(
    ("outcome", "find", "sort", "codes"),
    [
        pytest.param("", "", "", ["Refused", "Denied", "Missing"], id="rejected rows first"),
        pytest.param("", "", "rows", ["Missing", "Refused", "Denied"], id="rows"),
        pytest.param("", "", "table", ["Denied", "Missing", "Refused"], id="table"),
        pytest.param("", "", "since", ["Denied", "Refused", "Missing"], id="since"),
        pytest.param("", "", "attempts", ["Missing", "Refused", "Denied"], id="attempts"),
        pytest.param("deferred", "", "", ["Missing"], id="outcome"),
        pytest.param("", "credit", "", ["Refused"], id="reason"),
        pytest.param("", "denied-1", "", ["Denied"], id="row"),
        pytest.param("", "CONTACT", "", ["Denied", "Missing"], id="table name"),
        pytest.param("rejected", "missing", "", [], id="none"),
    ],
)
def test_row_errors_are_found_filtered_and_sorted(outcome: str, find: str, sort: GroupSort, codes: list[str]) -> None:
    fitting = fitting_issues(ISSUES, outcome, find)
    assert [group.code for group in groups_of((issue for _, issue in fitting), sort)] == codes
