"""Endpoints of the host itself: state, functions, running one now, event hubs, status of an orchestration."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.host.backend import Backend
from sandbox.host.events import deliver, events_of
from sandbox.host.functions import HTTP, HostedFunction
from sandbox.host.http import Keys
from sandbox.host.invoker import Invoker
from sandbox.host.tasks import Tasks
from sandbox.host.timers import Timer

_VERSION = "4.local"  # the platform's major version whose behaviour is reproduced

type Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Admin:
    """What the host's own endpoints need. `hubs` are the event functions by resolved name of their event hub."""

    functions: list[HostedFunction]
    timers: Mapping[str, Timer]
    hubs: Mapping[str, list[HostedFunction]]
    backend: Backend
    invoker: Invoker
    keys: Keys
    background: Tasks
    route_prefix: str

    def routes(self) -> list[Route]:
        """Return the routes; all but the state ask for the key."""
        return [
            Route("/admin/host/status", self._state),
            Route("/admin/functions", self._guarded(self._list)),
            Route("/admin/functions/{name}", self._guarded(self._run), methods=["POST"]),
            Route("/admin/eventhubs/{hub}", self._guarded(self._publish), methods=["POST"]),
            Route("/runtime/webhooks/durabletask/instances/{id}", self._guarded(self._instance)),
            Route("/runtime/webhooks/{rest:path}", self._guarded(_not_here), methods=["GET", "POST", "DELETE"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            return await endpoint(request) if self.keys.allow(request) else Response(status_code=401)

        return answer

    async def _state(self, _: Request) -> Response:
        return JSONResponse({"id": f"local-{os.getpid()}", "state": "Running", "version": _VERSION})

    async def _list(self, request: Request) -> Response:
        return JSONResponse([self._described(function, request) for function in self.functions])

    def _described(self, function: HostedFunction, request: Request) -> dict[str, object]:
        path = "/".join(part for part in (self.route_prefix, str(getattr(function.trigger, "route", ""))) if part)
        return {
            "name": function.name,
            "language": "python",
            "isDisabled": False,
            "href": str(request.url.replace(path=f"/admin/functions/{function.name}", query="")),
            "invoke_url_template": f"{request.base_url}{path}" if function.kind == HTTP else None,
            "config": {"bindings": [json.loads(binding) for binding in function.bindings]},
        }

    async def _run(self, request: Request) -> Response:
        name = request.path_params["name"]
        if timer := self.timers.get(name):
            return self._accepted(timer.tick())
        function = next((function for function in self._event_functions() if function.name == name), None)
        if function is None:
            return _refused(404, f"'{name}' is no timer and no event function of this app.")
        try:
            given = json.loads(await request.body() or b"{}").get("input") or ""
            events = events_of(given.encode())
        except (ValueError, AttributeError):
            return _refused(400, 'Send {"input": "..."} with the event as JSON text.')
        return self._accepted(deliver(function, events, self.invoker))

    async def _publish(self, request: Request) -> Response:
        subscribed = self.hubs.get(request.path_params["hub"], [])
        if not subscribed:
            return _refused(404, f"No function subscribes to event hub '{request.path_params['hub']}'.")
        try:
            events = events_of(await request.body())
        except ValueError:
            return _refused(400, "Send one event as JSON, or a JSON list of events.")
        for function in subscribed:
            self._accepted(deliver(function, events, self.invoker))
        return JSONResponse({"events": len(events), "functions": [function.name for function in subscribed]}, 202)

    async def _instance(self, request: Request) -> Response:
        asked = pb.GetInstanceRequest(instanceId=request.path_params["id"], getInputsAndOutputs=True)
        answer = self.backend.GetInstance(asked, None)
        if not answer.exists:
            return _refused(404, f"There is no orchestration '{asked.instanceId}'.")
        state = answer.orchestrationState
        return JSONResponse(_described_instance(state), 200 if state.HasField("completedTimestamp") else 202)

    def _event_functions(self) -> list[HostedFunction]:
        return [function for functions in self.hubs.values() for function in functions]

    def _accepted(self, work: Coroutine[Any, Any, None]) -> Response:
        self.background.start(work)
        return Response(status_code=202)


def _described_instance(state: pb.OrchestrationState) -> dict[str, object]:
    """Describe an orchestration as the platform's status endpoint does (azure.md 1.11)."""
    status = str(helpers.get_orchestration_status_str(state.orchestrationStatus))
    output = state.output.value or json.dumps(state.failureDetails.errorMessage or None)
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": status.title().replace("_", ""),
        "input": json.loads(state.input.value or "null"),
        "customStatus": json.loads(state.customStatus.value or "null"),
        "output": json.loads(output),
        "createdTime": state.createdTimestamp.ToJsonString(),
        "lastUpdatedTime": state.lastUpdatedTimestamp.ToJsonString(),
    }


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


async def _not_here(request: Request) -> Response:
    missing = f"{request.method} {request.url.path} is not part of the local host; use the durable client binding."
    return _refused(501, missing)
