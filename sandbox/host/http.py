"""HTTP triggers: the app's routes, with function keys where they are asked for."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable

import azure.functions as func
from azure.functions.decorators.core import AuthLevel
from azure.functions.http import HttpRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import HostedFunction
from sandbox.host.keys import Keys, Level
from sandbox.host.worker import Invoker

_LOG = logging.getLogger(__name__)

_PARAMETER = re.compile(r"\{(?P<rest>\*?)(?P<name>\w+)(?::(?P<constraint>\w+))?(?P<optional>\??)\}")
_CONVERTERS = {None: "str", "int": "int", "long": "int", "guid": "uuid"}


def function_routes(
    functions: Iterable[HostedFunction], prefix: str, invoker: Invoker, keys: Keys | None
) -> list[Route]:
    """Return the routes of HTTP functions, literal segments before parameters, as ASP.NET routing ranks them."""
    routes = [route for function in functions for route in _routes(function, prefix, invoker, keys)]
    return sorted(routes, key=lambda route: _rank(route.path))


def local_paths(template: str, prefix: str) -> list[str]:
    """Translate a route template of Functions into paths of Starlette; a last part that may be absent makes two.

    Raises StartRefusedError for a constraint that is not known here.
    """
    path = "/" + "/".join(part for part in (prefix, template.strip("/")) if part)
    shorter = re.sub(r"/\{(\*\w+|\w+(:\w+)?\?)\}$", "", path)
    return [_PARAMETER.sub(_parameter, each) or "/" for each in dict.fromkeys((path, shorter))]


def function_request(request: Request, body: bytes) -> HttpRequest:
    """Build what the worker hands to a function. Repeated query values are joined, empty ones absent, as by the host."""
    query = request.query_params
    return HttpRequest(
        method=request.method,
        url=str(request.url),
        headers=dict(request.headers),
        params={name: joined for name in query if (joined := ",".join(query.getlist(name)))},
        route_params={name: str(value) for name, value in request.path_params.items()},
        body_type="bytes",
        body=body,
    )


def http_response(result: object) -> Response:
    """Turn a function's result into a response. Raises TypeError for what the worker does not take either."""
    if result is None:
        return Response(status_code=204)
    answer = func.HttpResponse(result) if isinstance(result, str) else result
    if not isinstance(answer, func.HttpResponse):
        raise TypeError(f"An HTTP function must return an HttpResponse or a str, not {type(result).__name__}.")
    response = Response(answer.get_body(), answer.status_code)
    for name, value in answer.headers.items():
        response.headers.append(name, value)
    if "content-type" not in answer.headers:
        response.headers["content-type"] = _content_type(answer)
    return response


def _routes(function: HostedFunction, prefix: str, invoker: Invoker, keys: Keys | None) -> list[Route]:
    template = getattr(function.trigger, "route", None) or function.name
    methods = [str(method) for method in getattr(function.trigger, "methods", None) or ()]
    paths = local_paths(template, prefix)
    return [_route(path, _endpoint(function, invoker, keys), methods) for path in paths]


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: list[str]) -> Route:
    route = Route(path, endpoint, methods=methods or None)
    route.methods = set(methods) or None  # no HEAD beside GET, and every method where none is named
    return route


def _endpoint(
    function: HostedFunction, invoker: Invoker, keys: Keys | None
) -> Callable[[Request], Awaitable[Response]]:
    wanted = getattr(function.trigger, "auth_level", None)
    level: Level = "admin" if wanted == AuthLevel.ADMIN else "function"
    asked_for = None if wanted == AuthLevel.ANONYMOUS else keys

    async def answer(request: Request) -> Response:
        if asked_for and not asked_for.allow(request, level, function.name):
            return Response(status_code=401)
        try:
            asked = function_request(request, await request.body())
            return http_response(await invoker.call(function, asked))
        except asyncio.CancelledError:  # the host stops
            return Response(status_code=503)
        except Exception:
            _LOG.exception("HTTP function '%s' failed.", function.name)
            return Response(status_code=500)

    return answer


def _parameter(match: re.Match[str]) -> str:
    constraint = match["constraint"]
    if constraint not in _CONVERTERS:
        raise StartRefusedError(f"Route constraint '{constraint}' in {match[0]} is not known to the local host.")
    return f"{{{match['name']}:{'path' if match['rest'] else _CONVERTERS[constraint]}}}"


def _rank(path: str) -> list[int]:
    return [_segment_rank(segment) for segment in path.split("/")]


def _segment_rank(segment: str) -> int:
    if "{" not in segment:
        return 0
    return 3 if ":path" in segment else 2 if ":str" in segment else 1


def _content_type(answer: func.HttpResponse) -> str:
    text = answer.mimetype.startswith("text/")
    return f"{answer.mimetype}; charset={answer.charset}" if text else answer.mimetype
