"""An app that answers the command line from a table."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from typer.testing import Result

from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.records import AuditEntry, RowIssue
from linker.core.runs.history import history
from linker.core.runs.lock_state import Pause
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import (
    AuditPage,
    Comparison,
    HeldLink,
    IssuePage,
    LookupNow,
    Resumption,
    RowState,
    RunPage,
    TaskStatus,
)

CONTACT = TableRun("contact", "crm", Status.WARNINGS, counts=Counts(rows_read=3, linked=2, rejected=1))
OVER = Run(
    "r2",
    Mode.FULL,
    Status.WARNINGS,
    trigger="api",
    status_detail="Rejected rows: 1.",
    requested_at="2026-11-23T21:00:00Z",
    started_at="2026-11-23T21:00:00Z",
    ended_at="2026-11-23T21:01:05Z",
    counts=CONTACT.counts,
    tables=(CONTACT,),
    warnings=("Look at [this].",),
)
WORKING = Run("r3", Mode.INCREMENTAL, Status.REFRESHING, started_at="2026-11-23T22:00:00Z")
ISSUE = RowIssue("contact", "0001", "rejected", "Refused", "No.", "Ask.", "2026-11-23T21:00:30Z", 1)
ROW = RowState("contact", "0001", True, True, "r2", "2026-11-23T21:01:05Z", LookupNow(True, "p1", "c1", True), "",
               Comparison.EQUAL, None)  # fmt: skip
ENTRY = AuditEntry("1", "2026-11-23T21:00:00Z", "ada@contoso.com", "7c", "post_run", status=202, run="r2")
HELD = HeldLink("contact", "0123456789abcdef", True, "2026-11-23T21:00:00Z", ("Plug-in step 'Sync'.",), None, None)
PAUSE = Pause("2026-11-24T06:00:00Z", "2026-11-23T21:00:00Z", "ada@contoso.com", "ERP [x]")
ANSWERS: dict[str, object] = {
    "GET /api/status": TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, "2026-11-23T21:01:05Z", OVER, pause=PAUSE),
    "GET /api/runs": RunPage(history([OVER], 1)),
    "GET /api/runs/r2": OVER,
    "GET /api/runs/r2/errors": IssuePage((ISSUE,), "more"),
    "GET /api/rows/contact/0001": ROW,
    "GET /api/audit": AuditPage((ENTRY,)),
    "GET /api/tables/contact/first-link": HELD,
    "POST /api/runs": WORKING,
    "POST /api/runs/r3/cancel": WORKING,
    "GET /api/runs/r3": WORKING,
    "POST /api/tables/contact/approve": WORKING,
    "POST /api/pause": PAUSE,
    "POST /api/resume": Resumption(PAUSE, "r3"),
}
type Ask = Callable[..., Result]


class Server:
    """An app that answers what ANSWERS says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.query: dict[str, str] = {}
        self.body = b""
        self.answers = dict(ANSWERS)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self.asked.append(name)
        self.query = dict(request.url.params)
        self.body = request.content or self.body
        if name not in self.answers:
            problem = {"type": "about:blank", "title": "Not found", "status": 404, "detail": "There is no such run."}
            return httpx.Response(404, json=problem, headers={"Content-Type": "application/problem+json"})
        return httpx.Response(200, json=to_json(self.answers[name]))

    @property
    def written(self) -> list[str]:
        return [name for name in self.asked if name.startswith("POST")]
