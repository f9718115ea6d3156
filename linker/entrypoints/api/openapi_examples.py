"""Examples for the OpenAPI document, as typed values: one that no longer fits its type fails when it is built.

Answers are built when the document is asked for: a start of the app doesn't pay for them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from linker.core.model import TASK_GROUP, TASK_NAME, Counts, Mode, RowIssue, Run, Status, TableRun
from linker.core.records import AuditEntry
from linker.core.runs.history import history
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import (
    AuditPage,
    Comparison,
    HeldLink,
    IssuePage,
    LookupNow,
    RowState,
    RunPage,
    TaskStatus,
)

RUN_ID, ROW, PROFILE = (
    "20261123T212751Z-a4eff5ad",
    "00000001-0000-4000-8000-000000000001",
    "5f0c1a62-3b1e-4f0e-9d57-8a2f6c1b7e90",
)
IN_PATH = {"run": RUN_ID, "table": "contact", "row": ROW}
BODIES: dict[str, Any] = {
    "post_run": {"mode": "incremental", "dryRun": True, "tables": ["contact", "lead"]},
    "post_unification_event": {"jobId": "3f2", "startedAt": "2026-11-23T21:00:00Z"},
    "post_approve": {"digest": "0123456789abcdef"},
}


@cache
def answers() -> dict[str, Any]:
    """Return an answer of each operation as JSON, by the operation's name."""
    at, end = "2026-11-23T21:27:51Z", "2026-11-23T21:27:54Z"
    counts = Counts(rows_read=20_000, linked=200, unchanged=19_799, rejected=1)
    contact = TableRun("contact", "crm", Status.WARNINGS, mode=Mode.INCREMENTAL, counts=counts, column="exists")
    queued = Run(RUN_ID, Mode.INCREMENTAL, Status.QUEUED, trigger="api", requested_at=at, last_updated=at)
    ended = Run(
        RUN_ID,
        Mode.INCREMENTAL,
        Status.WARNINGS,
        trigger="api",
        status_detail="Rejected rows: 1.",
        requested_at=at,
        started_at=at,
        ended_at=end,
        last_updated=end,
        counts=counts,
        tables=(contact,),
    )
    issue = RowIssue(
        "contact",
        ROW,
        "rejected",
        "PluginRefused",
        "A plug-in refused the update.",
        "Ask the plug-in's owner to allow updates of the lookup.",
        at,
        3,
    )
    row = RowState("contact", ROW, True, True, RUN_ID, end, LookupNow(True, PROFILE, "ce759201f786d590bf2134bff576c369", True),
                    "", Comparison.EQUAL, None)  # fmt: skip
    held = HeldLink(
        "contact",
        "0123456789abcdef",
        True,
        at,
        ("Plug-in step 'Contoso.Sales.CreditCheck' on Update (synchronous).",),
        None,
        None,
    )
    shown = {
        "post_run": queued,
        "post_unification_event": queued,
        "post_approve": queued,
        "post_cancel": queued,
        "get_run": ended,
        "get_runs": RunPage(history([ended], 1)),
        "get_errors": IssuePage((issue,)),
        "get_row": row,
        "get_status": TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, end, ended),
        "get_first_link": held,
        "get_audit": AuditPage(
            (AuditEntry("9820", at, "ada@contoso.com", "7c0f", "post_run", status=202, run=RUN_ID),)
        ),
    }
    return {name: to_json(value) for name, value in shown.items()}
