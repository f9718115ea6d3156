"""An entry of the audit in words."""

from __future__ import annotations

import pytest

from linker.core.records import AuditEntry
from linker.entrypoints.api import OPERATIONS
from linker.entrypoints.portal.views.rows_view import ACTIONS, line_of

AT = "2026-11-23T21:00:00Z"


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        pytest.param(
            AuditEntry("1", AT, "ada", "7c", "post_approve", {"table": "contact"}, {"digest": "ab"}, 202, "r1"),
            ("Approve a first link", "table contact; digest: ab", "Done", "r1"),
            id="parameters and what was asked",
        ),
        pytest.param(
            AuditEntry(
                "1",
                AT,
                "ada",
                "7c",
                "post_run",
                asked={
                    "mode": "full",
                    "dryRun": False,
                    "tables": ["contact", "lead"],
                    "allowUnlinking": [{"table": "contact", "mostRows": 5, "orphans": True, "seen": ""}],
                },
                status=409,
            ),
            (
                "Start a run",
                "mode: full; tables: contact, lead; allow unlinking: table contact most rows 5 orphans yes",
                "Refused (409)",
                "",
            ),
            id="values of every kind, and a refusal",
        ),
        pytest.param(
            AuditEntry("1", AT, "ada", "", "new_thing"), ("New thing", "", "Noted", ""), id="an unknown action"
        ),
    ],
)
def test_an_entry_says_what_was_done_about_what_and_how_it_ended(entry: AuditEntry, shown: tuple[str, ...]) -> None:
    line = line_of(entry)
    assert (line.action, line.about, line.outcome, line.run) == shown
    assert (line.at, line.who) == (AT, "ada")


def test_every_action_has_its_words() -> None:
    assert {one.name for one in OPERATIONS if one.audited} <= ACTIONS.keys()
