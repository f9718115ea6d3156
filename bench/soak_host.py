"""The local Functions host for a soak: `python -m bench.soak_host`. Its clock can be set forward."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linker import bootstrap
from sandbox.host import host as host_module
from sandbox.host.admin import Admin
from sandbox.host.backend import Backend
from sandbox.host.main import run

PURGE = "purge_old"
HOUR_S, DAY_S = 3_600, 86_400


@dataclass(slots=True)
class Clock:
    """Real time, and what it was set forward by."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Return epoch seconds."""
        return time.time() + self.ahead_s


CLOCK = Clock()


class ClockedBackend(Backend):
    """A task hub whose orchestrations begin by the same clock as the app's runs: both age together."""

    def _begin_execution(self, instance_id: str) -> None:
        super()._begin_execution(instance_id)
        self._instances[instance_id].created_at = datetime.fromtimestamp(CLOCK(), UTC)

    def size(self) -> dict[str, int]:
        """Return how many orchestrations are kept, and the events and bytes of their histories."""
        with self._lock:
            events = [event for instance in self._instances.values() for event in instance.history]
            return {
                "orchestrations": len(self._instances),
                "events": len(events),
                "bytes": sum(event.ByteSize() for event in events),
            }


class SoakAdmin(Admin):
    """Endpoints of the host, and two for the soak."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            *super().routes(),
            Route("/admin/soak/size", self._size),
            Route("/admin/soak/hours/{hours:int}", self._pass, methods=["POST"]),
        ]

    async def _size(self, _: Request) -> Response:
        return JSONResponse(self.backend.size() if isinstance(self.backend, ClockedBackend) else {})

    async def _pass(self, request: Request) -> Response:
        """Set the clock forward; where a new day begins the purge ticks, as its timer would once a day."""
        before = CLOCK()
        CLOCK.ahead_s += request.path_params["hours"] * HOUR_S
        if CLOCK() // DAY_S > before // DAY_S:
            await self.timers[PURGE].tick()
        return Response(status_code=204)


if __name__ == "__main__":
    bootstrap.time = SimpleNamespace(time=CLOCK)  # type: ignore[assignment, attr-defined]  # the app's one source of time
    host_module.Backend = ClockedBackend  # type: ignore[attr-defined]  # the host builds both by these names
    host_module.Admin = SoakAdmin  # type: ignore[attr-defined]
    run(0, keys=False, app_dir=Path())
