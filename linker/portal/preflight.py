"""What a run would meet now: looked at anew in Dataverse, nothing written."""

from __future__ import annotations

from linker.api.http import Reply
from linker.api.operation import Call, operation
from linker.api.preflight import shared_look
from linker.portal.progress_view import by_verdict
from linker.portal.render import render


@operation("GET", "/portal/preflight")
async def show_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen."""
    picture = await shared_look(call.deps)
    tables = [(table, by_verdict([("", table.findings)])) for table in picture.tables]
    findings = by_verdict([("", picture.findings)])
    return await render(call, "preflight.html", picture=picture, findings=findings, tables=tables)
