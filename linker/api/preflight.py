"""What may be linked and what would happen, for programs and pages."""

from __future__ import annotations

from linker.api.http import Reply
from linker.api.operation import Call, operation
from linker.deps import Deps
from linker.looks import PREFLIGHT_COST
from linker.picture import Picture
from linker.preflight import look
from linker.wire import to_json


@operation("GET", "/preflight", answer=Picture)
async def get_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen. Looks at Dataverse, which takes some seconds, and writes nothing."""
    return Reply(200, to_json(await shared_look(call.deps)))


async def shared_look(deps: Deps) -> Picture:
    """Return the picture that a look of the last seconds gave, or that a new one gives."""
    return await deps.looks.once("preflight", PREFLIGHT_COST, deps.clock(), lambda: look(deps))
