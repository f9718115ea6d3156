"""What a run would meet now, read from Dataverse again. Nothing is written."""

from __future__ import annotations

from linker.entrypoints.api.tables import shared_look
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import render
from linker.entrypoints.portal.views.progress_view import by_verdict


@operation("GET", "/portal/preflight")
async def show_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen."""
    picture = await shared_look(call.deps)
    tables = [(table, by_verdict([("", table.findings)])) for table in picture.tables]
    findings = by_verdict([("", picture.findings)])
    return await render(call, "preflight.html", picture=picture, findings=findings, tables=tables)
