"""Examples for the OpenAPI document, as typed values: one that no longer fits its type fails when it is built."""

from __future__ import annotations

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
_AT, _END = "2026-11-23T21:27:51Z", "2026-11-23T21:27:54Z"
_COUNTS = Counts(rows_read=20_000, linked=200, unchanged=19_799, rejected=1)
_CONTACT = TableRun("contact", "crm", Status.WARNINGS, mode=Mode.INCREMENTAL, counts=_COUNTS, column="exists")
_QUEUED = Run(RUN_ID, Mode.INCREMENTAL, Status.QUEUED, trigger="api", requested_at=_AT, last_updated=_AT)
_ENDED = Run(
    RUN_ID,
    Mode.INCREMENTAL,
    Status.WARNINGS,
    trigger="api",
    status_detail="Rejected rows: 1.",
    requested_at=_AT,
    started_at=_AT,
    ended_at=_END,
    last_updated=_END,
    counts=_COUNTS,
    tables=(_CONTACT,),
)
_ISSUE = RowIssue(
    "contact",
    ROW,
    "rejected",
    "PluginRefused",
    "A plug-in refused the update.",
    "Ask the plug-in's owner to allow updates of the lookup.",
    _AT,
    3,
)
_ROW = RowState("contact", ROW, True, True, RUN_ID, _END, LookupNow(True, PROFILE, "ce759201f786d590bf2134bff576c369", True),
                "", Comparison.EQUAL, None)  # fmt: skip
_HELD = HeldLink(
    "contact",
    "0123456789abcdef",
    True,
    _AT,
    ("Plug-in step 'Contoso.Sales.CreditCheck' on Update (synchronous).",),
    None,
    None,
)

BODIES: dict[str, Any] = {
    "post_run": {"mode": "incremental", "dryRun": True, "tables": ["contact", "lead"]},
    "post_unification_event": {"jobId": "3f2", "startedAt": "2026-11-23T21:00:00Z"},
    "post_approve": {"digest": "0123456789abcdef"},
}
ANSWERS: dict[str, Any] = {
    name: to_json(value)
    for name, value in {
        "post_run": _QUEUED,
        "post_unification_event": _QUEUED,
        "post_approve": _QUEUED,
        "post_cancel": _QUEUED,
        "get_run": _ENDED,
        "get_runs": RunPage(history([_ENDED], 1)),
        "get_errors": IssuePage((_ISSUE,)),
        "get_row": _ROW,
        "get_status": TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, _END, _ENDED),
        "get_first_link": _HELD,
        "get_audit": AuditPage(
            (AuditEntry("9820", _AT, "ada@contoso.com", "7c0f", "post_run", status=202, run=RUN_ID),)
        ),
    }.items()
}
