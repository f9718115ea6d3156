"""Middleware of the Customer Insights API: it answers, refuses, moves away or is not there (switch `insights_api`).

Microsoft still documents the API; whether it answers in a tenant of today is not proved.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.middleware.http_protocol import reset_connection
from sandbox.runtime import Environment

NO_ADDRESS: Final = "https://insights.invalid/v1"
"""An address that no name server knows: `.invalid` is reserved for that (RFC 2606)."""
_SIGN_IN: Final = "https://login.invalid/common/oauth2/authorize"
_TEXTS: Final = {
    "401": "Access denied due to invalid subscription key or wrong API endpoint.",
    "403": "The caller does not have permission to perform the action.",
    "404": "Resource not found",
    "410": "The requested resource is no longer available.",
}


@dataclass(frozen=True, slots=True)
class InsightsFront:
    """ASGI middleware in front of the API."""

    app: ASGIApp
    environment: Environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API answer, or answer in its place."""
        how = self.environment.config.insights_api
        if how == "answers":
            await self.app(scope, receive, send)
        elif how == "no_address":
            await Request(scope, receive).body()
            await reset_connection(scope, receive)
        else:
            await _refusal(how)(scope, receive, send)


def _refusal(how: str) -> Response:
    if how == "redirect":
        return RedirectResponse(_SIGN_IN, 302)
    headers = {"WWW-Authenticate": "Bearer"} if how == "401" else None
    return JSONResponse({"statusCode": int(how), "message": _TEXTS[how]}, int(how), headers)
