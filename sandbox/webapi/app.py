"""The Web API as Starlette routes, to be mounted at `/api/data/v9.2`."""

import gzip
import zlib
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.runtime import Environment
from sandbox.webapi.batch import answer_batch
from sandbox.webapi.protocol.errors import ApiError, payload_error
from sandbox.webapi.protocol.languages import error_language
from sandbox.webapi.protocol.messages import MAX_URL, ApiRequest, ApiResponse, error_answer, joined_headers
from sandbox.webapi.protocol.urls import ROOT
from sandbox.webapi.router import answer
from sandbox.webapi.security.organization import seed

_METHODS: Final = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def routes(environment: Environment) -> list[Route]:
    """Return the routes; an empty database gets its organization first.

    `scope["user"]` must hold the systemuser id of the bearer.
    """
    seed(environment)

    async def endpoint(request: Request) -> Response:
        error_language.set(environment.config.error_language)
        try:
            api_request = await _read(request)
        except ApiError as error:
            return _response(error_answer(error))
        if len(f"{environment.api_url_at(api_request.address)}/{api_request.path}?{api_request.query}") > MAX_URL:
            return _response(error_answer(ApiError(414, "", "The request URI is too long.")))
        if unquote(api_request.path) == "$batch":
            return _response(await answer_batch(environment, api_request))
        return _response(await answer(environment, api_request))

    return [Route("/{path:path}", endpoint, methods=_METHODS)]


async def _read(request: Request) -> ApiRequest:
    raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
    return ApiRequest(
        method=request.method,
        path=ROOT.sub("", raw_path.decode("utf-8", "replace").partition("?")[0]).strip("/"),
        query=request.scope["query_string"].decode("utf-8", "replace"),
        headers=joined_headers(request.headers.items()),
        body=_body(await request.body(), request.headers.get("content-encoding", "")),
        caller=str(request.scope["user"]),
        address=_address(request),
        server=int(request.scope.get("server_number", 0)),
    )


def _address(request: Request) -> str:
    """Return scheme and host as the client sent them, "" without a Host header."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if host else ""


def _body(sent: bytes, encoding: str) -> bytes:
    """Return a body as it was before it was compressed. Raises the 400 answer if it was not."""
    if encoding.lower() != "gzip":
        return sent
    try:
        return gzip.decompress(sent)
    except (OSError, EOFError, zlib.error) as error:
        raise payload_error(f"System.IO.InvalidDataException: {error}") from None


def _response(answered: ApiResponse) -> Response:
    return Response(answered.body, answered.status, {"OData-Version": "4.0", **answered.headers})
