"""What may be linked and what would happen, for programs and pages."""

from __future__ import annotations

from linker.adapters.looks import PREFLIGHT_COST
from linker.core.permissions.preflight_report import Picture
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.services.preflight_checks import look


@operation("GET", "/preflight", answer=Picture)
async def get_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen. Looks at Dataverse, which takes some seconds, and writes nothing."""
    return Reply(200, to_json(await shared_look(call.deps)))


async def shared_look(deps: Deps) -> Picture:
    """Return the picture that a look of the last seconds gave, or that a new one gives."""
    return await deps.looks.once("preflight", PREFLIGHT_COST, deps.clock(), lambda: look(deps))
