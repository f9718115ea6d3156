"""One running app: its functions, task hub, timers and HTTP routes put together."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from sandbox.host.admin import Admin
from sandbox.host.backend import Backend
from sandbox.host.background_tasks import Tasks
from sandbox.host.config import HostConfig
from sandbox.host.durable import DurableHost
from sandbox.host.functions import EVENT_HUB, HTTP, TIMER, HostedFunction, of_kind
from sandbox.host.http import function_routes
from sandbox.host.keys import Keys
from sandbox.host.timers import Timer, checked_schedule
from sandbox.host.worker import Invoker
from sandbox.middleware.local_only import LocalOnly

type Resolve = Callable[[str, str], str]  # text with %NAME%, whose binding -> text

_LARGEST_MESSAGE = 2**31 - 1  # what gRPC takes for "unlimited" where a positive number is asked for


class Host:
    """Runs one app. Must be built on the running event loop. Raises StartRefusedError for bindings it cannot serve."""

    def __init__(
        self, functions: list[HostedFunction], config: HostConfig, url: str, resolve: Resolve, keys: Keys | None
    ) -> None:
        schedules = timer_schedules(functions, resolve)
        hubs = event_hubs(functions, resolve)
        self.backend = Backend(config)
        self.invoker = Invoker(durable_client(config, self.backend.start(), url))
        self.durable = DurableHost(self.backend, functions, self.invoker, config)
        self.timers = {f.name: Timer(f, schedules[f.name], self.invoker) for f in of_kind(functions, TIMER)}
        self._background = Tasks()
        admin = Admin(
            functions, self.timers, hubs, self.backend, self.invoker, keys, self._background, config.route_prefix
        )
        routes = function_routes(of_kind(functions, HTTP), config.route_prefix, self.invoker, keys)
        self.web = Starlette(
            routes=[*admin.routes(), *routes],
            exception_handlers=dict.fromkeys((404, 405), _no_such_route),
            middleware=[Middleware(LocalOnly, guarded=("/admin", "/runtime"))],
        )
        self._ticking: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take orchestrations and start the clocks. Call it once HTTP is served: functions may call their own app."""
        self.durable.start()
        self._ticking = [asyncio.create_task(timer.run()) for timer in self.timers.values()]

    def refuse_work(self) -> None:
        """Stop the clocks and take no further work from the task hub."""
        for task in self._ticking:
            task.cancel()
        self.durable.refuse_work()

    async def stop(self) -> None:
        """End what runs, or abandon it after a moment."""
        self.refuse_work()
        await self._background.stop(0)
        await self.durable.stop()
        self.invoker.close()


def durable_client(config: HostConfig, rpc_address: str, url: str) -> str:
    """Return what a durable client binding receives: the JSON text that the real host sends."""
    management = f"{url}/runtime/webhooks/durabletask"
    return json.dumps(
        {
            "taskHubName": config.hub_name,
            "rpcBaseUrl": f"http://{rpc_address}",
            "httpBaseUrl": management,
            "baseUrl": management,
            "requiredQueryStringParameters": "",
            "maxGrpcMessageSizeInBytes": _LARGEST_MESSAGE,
        }
    )


def timer_schedules(functions: list[HostedFunction], resolve: Resolve) -> dict[str, str]:
    """Return the checked schedule of each timer by function name."""
    return {
        timer.name: checked_schedule(
            timer.name, resolve(getattr(timer.trigger, "schedule", ""), f"timer '{timer.name}'")
        )
        for timer in of_kind(functions, TIMER)
    }


def event_hubs(functions: list[HostedFunction], resolve: Resolve) -> dict[str, list[HostedFunction]]:
    """Return the event functions by the name of the hub that they subscribe to."""
    hubs: defaultdict[str, list[HostedFunction]] = defaultdict(list)
    for function in of_kind(functions, EVENT_HUB):
        name = getattr(function.trigger, "event_hub_name", "")
        hubs[resolve(name, f"event function '{function.name}'")].append(function)
    return dict(hubs)


async def _no_such_route(_: Request, __: Exception | HTTPException) -> Response:
    """Another method is another route to the real host, so it says 404 where Starlette says 405."""
    return Response(status_code=404)
