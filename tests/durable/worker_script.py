"""Indexes a function app with the worker library that runs it in Azure, and prints bindings and retries by name as JSON.

Run in a process of its own: the library keeps the app in module state. Its protobuf module is handed in by the host, so
that a few plain classes stand in for it here (docs/reference/azure.md 10.1).
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime


class Message(SimpleNamespace):
    """Any message: keeps what it was made with, and answers nested lookups."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(**values)
        self.args = args


class BindingInfo(Message):
    """Directions and data types as the worker names them."""

    undefined, string, binary, stream = 0, 1, 2, 3
    inout, out = 2, 1


setattr(BindingInfo, "in", 0)


class StatusResult(Message):
    """Success or failure of indexing."""

    Success, Failure = "success", "failure"


class Protos:
    """The worker's protobuf module: the classes above, and plain messages for the rest."""

    BindingInfo, StatusResult = BindingInfo, StatusResult

    def __getattr__(self, name: str) -> type[Message]:
        return Message


async def index(folder: str) -> dict[str, Any]:
    """Return the functions of the app in `folder`. Raises RuntimeError with the worker's own words when it refuses it."""
    init = SimpleNamespace(capabilities={}, function_app_directory=folder)
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": Protos()}
    )
    answer = await runtime.worker_init_request(request)
    if answer.result.status != StatusResult.Success:
        raise RuntimeError(str(getattr(answer.result.exception, "message", answer.result.exception)))
    metadata = SimpleNamespace(
        request=SimpleNamespace(functions_metadata_request=SimpleNamespace(function_app_directory=folder)),
        properties=request.properties,
    )
    found = await runtime.functions_metadata_request(metadata)
    functions = found.function_metadata_results
    policies = {one.name: one.retry_options for one in functions if one.retry_options}
    return {
        "bindings": {one.name: [json.loads(text) for text in one.raw_bindings] for one in functions},
        "retries": {name: [p.max_retry_count, p.delay_interval.total_seconds()] for name, p in policies.items()},
    }


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    print(json.dumps(asyncio.run(index(sys.argv[1]))))
