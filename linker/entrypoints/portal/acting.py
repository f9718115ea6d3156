"""Pages do what the API does: the same operation, the same roles, the same audit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from linker.entrypoints.http.messages import ProblemError
from linker.entrypoints.http.operations import Call, Operation
from linker.entrypoints.http.serving import admitted, served


async def act(call: Call[Any, Any], wanted: Operation, body: BaseModel | None = None, **parameters: str) -> Any:
    """Do what an operation of the API does, audited as such, and return its answer as a JSON value.

    Raises ProblemError as the operation is refused.
    """
    admitted(call.caller, wanted.role)
    reply = await served(wanted, replace(call, body=body, query=None, parameters=parameters))
    if reply.status >= 400:
        raise ProblemError(reply.status, reply.body["title"], reply.body["detail"])
    return reply.body
