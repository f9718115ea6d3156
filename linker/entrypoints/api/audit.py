"""Manual actions: who, when, what, and what became of it."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from linker.core.records import AuditEntry
from linker.core.roles import Role
from linker.core.serialization import iso, to_json
from linker.entrypoints.api.answers import AuditPage
from linker.entrypoints.http.messages import PageQuery, Reply, first_of, to_continuation
from linker.entrypoints.http.operations import Call, Operation, operation


@operation("GET", "/audit", role=Role.ADMIN, query=PageQuery, answer=AuditPage)
async def get_audit(call: Call[None, PageQuery]) -> Reply:
    """List what people did by hand: who, when and what, newest first."""
    found, more = await first_of(call.deps.audit.entries(call.query.after), call.query.top)
    return Reply(200, to_json(AuditPage(tuple(found), to_continuation(found[-1].id) if more else None)))


def entry_of(wanted: Operation, call: Call[object, object]) -> AuditEntry:
    """Return the entry of an action that is about to begin."""
    asked = call.body.model_dump(mode="json", by_alias=True) if isinstance(call.body, BaseModel) else {}
    return AuditEntry(
        id=call.deps.audit.next_id(),
        at=iso(call.deps.clock()),
        who=call.caller.name,
        who_id=call.caller.id,
        action=wanted.name,
        parameters=call.parameters,
        asked=asked,
    )


def complete_entry(entry: AuditEntry, reply: Reply) -> AuditEntry:
    """Return the entry of an action that was answered."""
    run = reply.body.get("id") if isinstance(reply.body, dict) else None
    return replace(entry, status=reply.status, run=run)
