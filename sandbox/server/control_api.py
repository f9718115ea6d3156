"""The admin API under `/sandbox`: counters, switches, unifications, the truth. No authentication: loopback only."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.customer_insights.unification import BusyError, InvalidRequestError, Simulator, read_request, second_writer
from sandbox.customer_insights.workflow_jobs import Workflow
from sandbox.database.documents import Document, Documents
from sandbox.database.unification import expected_links
from sandbox.faults import Faults, InvalidFaultError, arm_all
from sandbox.middleware.service_protection import ServiceProtection
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import InvalidConfigError, at_start

type Handler = Callable[[Request], Awaitable[Response]]

_LINES: Final = 1000  # of the truth sent in one piece


class AdminError(Exception):
    """The request does not fit; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Answers of the admin API."""

    environment: Environment
    documents: Documents
    workflow: Workflow
    protection: ServiceProtection
    simulator: Simulator
    faults: Faults
    requests: Counter[str]

    def routes(self) -> list[Route]:
        """Return the routes below `/sandbox`."""
        return [
            _route("GET", "/health", self.health),
            _route("GET", "/counters", self.counters),
            _route("POST", "/counters/reset", self.reset_counters),
            _route("GET", "/config", self.config),
            _route("POST", "/config", self.change_config),
            _route("GET", "/faults", self.list_faults),
            _route("POST", "/faults", self.arm_faults),
            _route("DELETE", "/faults", self.disarm_faults),
            _route("DELETE", "/faults/{id:int}", self.disarm_faults),
            _route("GET", "/environment", self.instance),
            _route("POST", "/environment", self.patch_instance),
            _route("POST", "/unifications", self.unify),
            _route("GET", "/unifications", self.unifications),
            _route("GET", "/events", self.events),
            _route("GET", "/second-writer", self.second_writer),
            _route("POST", "/second-writer", self.switch_second_writer),
            _route("POST", "/second-writer/runs", self.run_second_writer),
            _route("GET", "/truth", self.truth),
        ]

    async def health(self, request: Request) -> Response:
        """Say that the sandbox serves."""
        del request
        return JSONResponse({"status": "ok"})

    async def counters(self, request: Request) -> Response:
        """Return what a real environment would have suffered since the last reset."""
        del request
        counters = self.environment.counters
        tables = {name: _camel(asdict(counted)) for name, counted in counters.tables.items()}
        fired = counters.automation
        totals = replace(fired, by_name=Counter())  # asdict takes no Counter that counts anything
        automation = _camel(asdict(totals)) | {"byName": dict(fired.by_name)}
        return JSONResponse({"requests": dict(self.requests), "tables": tables, "automation": automation})

    async def reset_counters(self, request: Request) -> Response:
        """Start counting from zero; `?protection=true` also forgets what the limits have counted."""
        self.environment.counters.reset()
        self.requests.clear()
        if request.query_params.get("protection") == "true":
            self.protection.reset()
        return Response(status_code=204)

    async def config(self, request: Request) -> Response:
        """Return all switches."""
        del request
        return JSONResponse(asdict(self.environment.config))

    async def change_config(self, request: Request) -> Response:
        """Change the switches that the body names."""
        document = await _document(request)
        fixed = sorted(at_start(SandboxConfig) & document.keys())
        if fixed:
            raise AdminError(
                f"{fixed[0]}: this switch shapes the stored tables. Choose it at the start, with --switch."
            )
        self.environment.configure(changed(self.environment.config, document))
        return await self.config(request)

    async def list_faults(self, request: Request) -> Response:
        """Return the armed faults and all that fired."""
        del request
        return JSONResponse(self.faults.listed())

    async def arm_faults(self, request: Request) -> Response:
        """Arm one fault or a list of them."""
        return JSONResponse({"ids": arm_all(await _json(request), self.faults, self.simulator)}, status_code=201)

    async def disarm_faults(self, request: Request) -> Response:
        """Disarm one fault, or all of them and forget those that fired."""
        return JSONResponse({"disarmed": self.faults.disarm(request.path_params.get("id"))})

    async def instance(self, request: Request) -> Response:
        """Return the instance metadata of the Customer Insights API."""
        del request
        return JSONResponse(self.documents.get("instance"))

    async def patch_instance(self, request: Request) -> Response:
        """Merge-patch (RFC 7396) the instance metadata."""
        self.documents.put("instance", merge_patch(self.documents.get("instance"), await _document(request)))
        return await self.instance(request)

    async def unify(self, request: Request) -> Response:
        """Run a unification: 200 when it has ended, 202 while it still writes."""
        wanted = read_request(await _document(request))
        gradual = wanted.completed(self.environment.config).duration_s > 0
        return JSONResponse(await self.simulator.run(wanted), status_code=202 if gradual else 200)

    async def unifications(self, request: Request) -> Response:
        """Return recent jobs with their tasks, newest first."""
        del request
        return JSONResponse(self.workflow.jobs())

    async def events(self, request: Request) -> Response:
        """Return the Event Hubs messages that Azure Monitor would have sent, oldest first."""
        del request
        return JSONResponse(self.workflow.events())

    async def second_writer(self, request: Request) -> Response:
        """Return whether the vendor's own task links rows after each unification."""
        del request
        return JSONResponse({"enabled": False, **self.documents.get("second_writer")})

    async def switch_second_writer(self, request: Request) -> Response:
        """Switch the vendor's own task: `{"enabled": true}`."""
        document = await _document(request)
        if document.keys() != {"enabled"} or not isinstance(document["enabled"], bool):
            raise AdminError('The body must be {"enabled": true} or {"enabled": false}.')
        self.documents.put("second_writer", document)
        return await self.second_writer(request)

    async def run_second_writer(self, request: Request) -> Response:
        """Let the vendor's own task link all rows now; returns rows by table."""
        del request
        return JSONResponse({"linked": second_writer.fill_links(self.environment)})

    async def truth(self, request: Request) -> Response:
        """Return the expected links of `?table=` as NDJSON: id, customerId, profileId (null if it is missing)."""
        table = request.query_params.get("table", "")
        if table not in self.environment.database.schema.tables:
            raise AdminError(f"Table '{table}' does not exist. Name it as ?table=contact.")
        return StreamingResponse(self._truth_lines(table), media_type="application/x-ndjson")

    async def _truth_lines(self, table: str) -> AsyncIterator[bytes]:
        # Read to the end before the first piece leaves: a cursor must not stay open while others write.
        links = [
            orjson.dumps({"id": link.key, "customerId": link.customer_id, "profileId": link.profile_id})
            for link in expected_links(self.environment.database, table)
        ]
        for start in range(0, len(links), _LINES):
            yield b"\n".join(links[start : start + _LINES]) + b"\n"


def merge_patch(document: Document, patch: Mapping[str, Any]) -> Document:
    """Return a document changed as RFC 7396 says: null removes, objects merge, all else replaces."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            inner = merged.get(name)
            merged[name] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def _route(method: str, path: str, handler: Handler) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except (AdminError, InvalidConfigError, InvalidFaultError, InvalidRequestError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except BusyError as error:
            return JSONResponse({"error": str(error)}, status_code=409)

    return Route(path, answer, methods=[method])


async def _json(request: Request) -> object:
    try:
        return orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise AdminError(f"The body is not JSON: {error}.") from error


async def _document(request: Request) -> Document:
    document = await _json(request)
    if not isinstance(document, dict):
        raise AdminError("The body must be a JSON object.")
    return document


def _camel(document: Mapping[str, object]) -> Document:
    return {_camel_name(name): value for name, value in document.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
