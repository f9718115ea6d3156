"""In front of the Web API: who asks (401), whether service protection lets them (429), and what it costs."""

import asyncio
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.data.generator import digest
from sandbox.database import scan
from sandbox.identity.accounts import TENANT_ID, ApplicationUser
from sandbox.identity.tokens import InvalidTokenError, TokenAuthority, audiences_of
from sandbox.middleware.service_protection import Refusal, ServiceProtection, Work
from sandbox.runtime import Environment
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.languages import error_language
from sandbox.webapi.protocol.messages import error_answer
from sandbox.webapi.security.organization import ORGANIZATION_ID

_AFFINITY: Final = "ARRAffinity"
_ALWAYS: Final = {
    "Cache-Control": "no-cache",
    "Allow": "OPTIONS,GET,HEAD,POST",
    "Public": "OPTIONS,GET,HEAD,POST",
    "Expires": "-1",
    "Vary": "Accept-Encoding",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "CRM.ServiceId": "framework",
    "X-Source": "0",
}
"""Headers of every answer in a recording of `WhoAmI` (Microsoft's quick start for PowerShell)."""
_NO_MEMBER: Final = ApiError(403, "0x80072560", "The user is not member of the organization.")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request that was let in: whose it is, which virtual web server has it, and what it does there."""

    user: ApplicationUser
    server: int
    work: Work = field(default_factory=Work)


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")


@dataclass(slots=True)
class Gate:
    """ASGI middleware. The Web API behind it finds the systemuser id of the bearer in `scope["user"]`."""

    app: ASGIApp
    environment: Environment
    authority: TokenAuthority
    protection: ServiceProtection
    requests: Counter[str] = field(default_factory=Counter)
    in_flight: dict[int, Exchange] = field(default_factory=dict)
    """What is being served and has not been answered, by identity."""
    _turn: "count[int]" = field(default_factory=count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 429, or let the request pass and make it wait for what it costs."""
        error_language.set(self.environment.config.error_language)
        headers = Headers(scope=scope)
        self.requests.update(("total", scope["method"]))
        try:
            user = self.authority.verify(headers.get("authorization"), audiences_of(self.environment.base_url))
        except InvalidTokenError as error:
            await self._unauthorized(error)(scope, receive, self._counted(send))
            return
        member = self._member(user)
        if member is None:
            await _response(_NO_MEMBER)(scope, receive, self._counted(send))
            return
        scope["user"] = member
        exchange = Exchange(user, self._server(headers))
        refusal = self.protection.admit(user.client_id, exchange.server)
        if refusal is None:
            scope["server_number"] = exchange.server
            await self._serve(exchange, scope, receive, send)
        else:
            await self._refuse(exchange, refusal, scope, receive, send)

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        current_exchange.set(exchange)
        self.in_flight[id(exchange)] = exchange
        spent_ms = 0.0

        async def send_after_cost(message: Message) -> None:
            nonlocal spent_ms
            if message["type"] == "http.response.start":
                spent_ms = self.protection.cost_ms(exchange.server, exchange.work)
                await asyncio.sleep(spent_ms / 1000 / self.environment.config.time_scale)
                self._add_headers(exchange, scope, message)
            await send(message)

        try:
            await self.app(scope, receive, self._counted(send_after_cost))
        finally:
            del self.in_flight[id(exchange)]
            self.protection.release(exchange.user.client_id, exchange.server, spent_ms)

    async def _refuse(self, exchange: Exchange, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(exchange, scope, message)
            await send(message)

        await throttled(refusal)(scope, receive, self._counted(send_with_headers))

    def _member(self, user: ApplicationUser) -> str | None:
        """Return the systemuser id behind an identity, None when it is not a user here or a disabled one."""
        where = {"applicationid": user.client_id, "isdisabled": False}
        found = next(scan(self.environment.database, "systemuser", ["systemuserid"], where), None)
        return str(found[0]) if found else None

    def _server(self, headers: Headers) -> int:
        """Return the virtual web server: the one that the affinity cookie names, else the next in turn."""
        named = cookie_parser(headers.get("cookie", "")).get(_AFFINITY)
        servers = self.environment.config.servers
        for server in range(servers):
            if named == affinity(server):
                return server
        return next(self._turn) % servers

    def _add_headers(self, exchange: Exchange, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        left = self.protection.remaining(exchange.user.client_id, exchange.server)
        request_id = str(uuid4())
        headers.update(_ALWAYS)
        headers["x-ms-ratelimit-burst-remaining-xrm-requests"] = str(left.requests)
        headers["x-ms-ratelimit-time-remaining-xrm-requests"] = f"{left.execution_s:,.2f}"
        headers["x-ms-dop-hint"] = str(self.environment.config.dop_hint)
        headers["REQ_ID"] = request_id
        headers["AuthActivityId"] = str(uuid4())
        for one in (request_id, str(uuid4())):  # the front end and the web server each add theirs
            headers.append("x-ms-service-request-id", one)
        for cookie in (
            f"{_AFFINITY}={affinity(exchange.server)}",
            f"ReqClientId={uuid4()}",
            f"orgId={ORGANIZATION_ID}",
        ):
            headers.append("set-cookie", f"{cookie}; path=/; HttpOnly{_secure(scope)}")

    def _counted(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.requests[str(message["status"])] += 1
            await send(message)

        return counted

    def _unauthorized(self, error: InvalidTokenError) -> Response:
        url = self.environment.base_url
        challenge = f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT_ID}/oauth2/authorize, "
        challenge += f'resource_id={url}/, error="invalid_token", error_description="{error}"'
        return Response(status_code=401, headers={"WWW-Authenticate": challenge})


def affinity(server: int) -> str:
    """Return the opaque cookie value that stands for a virtual web server."""
    return digest(0, "server", server)


def refusal_error(refusal: Refusal) -> ApiError:
    """Return a 429 of service protection as the Web API's error."""
    return ApiError(429, refusal.code, refusal.message, {"Retry-After": str(refusal.retry_after_s)})


def throttled(refusal: Refusal) -> Response:
    """Return the HTTP answer of a refusal."""
    return _response(refusal_error(refusal))


def _response(error: ApiError) -> Response:
    answer = error_answer(error)
    return Response(answer.body, answer.status, {**answer.headers, "OData-Version": "4.0"})


def _secure(scope: Scope) -> str:
    return "; secure; SameSite=None" if scope["scheme"] == "https" else ""
