"""The Web API as Starlette routes, to be mounted at `/api/data/v9.2`."""

import gzip
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.environment import Environment
from sandbox.webapi.batch import answer_batch
from sandbox.webapi.errors import ApiError
from sandbox.webapi.messages import MAX_URL, ApiRequest, ApiResponse, error_answer
from sandbox.webapi.organization import seed
from sandbox.webapi.router import answer
from sandbox.webapi.urls import ROOT

_METHODS: Final = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def routes(environment: Environment) -> list[Route]:
    """Return the routes; an empty database gets its organization first.

    `scope["user"]` must hold the systemuser id of the bearer.
    """
    seed(environment)

    async def endpoint(request: Request) -> Response:
        api_request = await _read(request)
        if len(api_request.path) + len(api_request.query) > MAX_URL:
            return _response(error_answer(ApiError(414, "", "The request URI is too long.")))
        if api_request.path == "$batch":
            return _response(await answer_batch(environment, api_request))
        return _response(await answer(environment, api_request))

    return [Route("/{path:path}", endpoint, methods=_METHODS)]


async def _read(request: Request) -> ApiRequest:
    raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
    body = await request.body()
    return ApiRequest(
        method=request.method,
        path=ROOT.sub("", raw_path.decode("utf-8", "replace").partition("?")[0]).strip("/"),
        query=request.scope["query_string"].decode("utf-8", "replace"),
        headers=dict(request.headers),
        body=gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body,
        caller=str(request.scope["user"]),
    )


def _response(answered: ApiResponse) -> Response:
    return Response(answered.body, answered.status, {"OData-Version": "4.0", **answered.headers})
