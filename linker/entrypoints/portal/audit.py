"""The Audit page: who did what by hand, and what became of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from linker.core.roles import Role
from linker.entrypoints.http.messages import Reply, first_of
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import link, render
from linker.entrypoints.portal.views.audit_view import line_of

LINES = 50


class AuditQuery(BaseModel):
    """From which entry on."""

    after: Annotated[str, Field(max_length=200)] = ""


@operation("GET", "/portal/audit", role=Role.ADMIN, query=AuditQuery)
async def show_audit(call: Call[None, AuditQuery]) -> Reply:
    """Show the manual actions, newest first, page by page."""
    entries, more = await first_of(call.deps.audit.entries(call.query.after), LINES)
    following = link("/audit", after=entries[-1].id) if more else ""
    return await render(call, "audit.html", lines=[line_of(entry) for entry in entries], more=following)
