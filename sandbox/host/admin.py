"""Endpoints of the host itself: state, functions, running one now, event hubs, status of an orchestration."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.host.backend import Backend
from sandbox.host.background_tasks import Tasks
from sandbox.host.events import deliver, events_of
from sandbox.host.functions import HTTP, HostedFunction
from sandbox.host.keys import Keys, Level
from sandbox.host.status import RETRY_AFTER_S, describe, status_code
from sandbox.host.timers import Timer
from sandbox.host.worker import Invoker

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
    keys: Keys | None
    background: Tasks
    route_prefix: str

    def routes(self) -> list[Route]:
        """Return the routes; the ping alone is open. `/admin` asks for the master key, webhooks for the system key."""
        return [
            Route("/admin/host/ping", _pong, methods=["GET", "POST"]),
            Route("/admin/host/status", self._guarded(self._state, "admin")),
            Route("/admin/functions", self._guarded(self._list, "admin")),
            Route("/admin/functions/{name}", self._guarded(self._one, "admin"), methods=["GET"]),
            Route("/admin/functions/{name}", self._guarded(self._run, "admin"), methods=["POST"]),
            Route("/admin/eventhubs/{hub}", self._guarded(self._publish, "admin"), methods=["POST"]),
            Route("/runtime/webhooks/durabletask/instances/{id}", self._guarded(self._instance, "system")),
            Route(
                "/runtime/webhooks/{rest:path}", self._guarded(_not_here, "system"), methods=["GET", "POST", "DELETE"]
            ),
        ]

    def _guarded(self, endpoint: Endpoint, level: Level) -> Endpoint:
        async def answer(request: Request) -> Response:
            allowed = self.keys is None or self.keys.allow(request, level)
            return await endpoint(request) if allowed else Response(status_code=401)

        return answer

    async def _state(self, _: Request) -> Response:
        return JSONResponse({"id": f"local-{os.getpid()}", "state": "Running", "version": _VERSION})

    async def _list(self, request: Request) -> Response:
        return JSONResponse([self._described(function, request) for function in self.functions])

    def _described(self, function: HostedFunction, request: Request) -> dict[str, object]:
        route = str(getattr(function.trigger, "route", "")).strip("/")
        path = "/".join(part for part in (self.route_prefix, route) if part)
        return {
            "name": function.name,
            "language": "python",
            "isDisabled": False,
            "href": str(request.url.replace(path=f"/admin/functions/{function.name}", query="")),
            "invoke_url_template": f"{request.base_url}{path}" if function.kind == HTTP else None,
            "config": {"bindings": [json.loads(binding) for binding in function.bindings]},
        }

    async def _one(self, request: Request) -> Response:
        function = self._named(request)
        return JSONResponse(self._described(function, request)) if function else Response(status_code=404)

    async def _run(self, request: Request) -> Response:
        """Run a function now. As on the platform, an empty body is refused and an unknown name gets 404."""
        function = self._named(request)
        if function is None:
            return Response(status_code=404)
        try:
            body = json.loads(await request.body())
            given = body.get("input") or ""
        except (ValueError, AttributeError):
            return _refused(400, 'Send a JSON object: {} for a timer, {"input": "..."} with the event as JSON text.')
        if timer := self.timers.get(function.name):
            return self._accepted(timer.tick())
        if function not in self._event_functions():
            return _refused(
                501,
                f"'{function.name}' is neither a timer nor an event function: the local host runs only those by hand.",
            )
        try:
            events = events_of(str(given).encode())
        except ValueError:
            return _refused(400, 'Send {"input": "..."} with the event as JSON text.')
        return self._accepted(deliver(function, events, self.invoker))

    def _named(self, request: Request) -> HostedFunction | None:
        return next((function for function in self.functions if function.name == request.path_params["name"]), None)

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
            return Response(status_code=404)
        described = describe(answer.orchestrationState, self.backend.history(asked.instanceId), request.query_params)
        code = status_code(described, request.query_params)
        polled = {"Location": str(request.url), "Retry-After": str(RETRY_AFTER_S)} if code == 202 else {}
        return JSONResponse(described, code, polled)

    def _event_functions(self) -> list[HostedFunction]:
        return [function for functions in self.hubs.values() for function in functions]

    def _accepted(self, work: Coroutine[Any, Any, None]) -> Response:
        self.background.start(work)
        return Response(status_code=202)


async def _pong(_: Request) -> Response:
    return Response(status_code=200)


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


async def _not_here(request: Request) -> Response:
    missing = f"{request.method} {request.url.path} is not part of the local host; use the durable client binding."
    return _refused(501, missing)
