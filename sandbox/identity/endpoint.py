"""The managed identity endpoint of App Service.

A client that runs in Azure App Service finds it through `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, so the production
credential code runs here unchanged.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.identity.accounts import LINKER, ApplicationUser, find_identity
from sandbox.identity.tokens import TokenAuthority

_API_VERSION: Final = "2019-08-01"
_NAMED_BY: Final = {
    "client_id": "client_id",
    "principal_id": "object_id",
    "object_id": "object_id",
    "mi_res_id": "name",
}
"""How App Service is asked for a user-assigned identity, and the field meant; a resource id ends with the name."""


def asked_identity(query: Mapping[str, str]) -> ApplicationUser | None:
    """Return whom a token request means, None for an unknown identity; without a name the linker, as system-assigned."""
    for parameter, by in _NAMED_BY.items():
        if parameter in query:
            return find_identity(query[parameter].rpartition("/")[2], by)
    return LINKER


@dataclass(frozen=True, slots=True)
class IdentityEndpoint:
    """`GET {identityEndpoint}?api-version=2019-08-01&resource=...` with the header X-IDENTITY-HEADER."""

    authority: TokenAuthority
    lifetime_s: Callable[[], float]
    header: str = field(default_factory=lambda: secrets.token_hex(16))

    async def answer(self, request: Request) -> Response:
        """Answer one token request, or the refusal that App Service would send."""
        query = request.query_params
        resource = query.get("resource")
        given = request.headers.get("x-identity-header", "").encode("latin-1")
        if not secrets.compare_digest(given, self.header.encode()):
            return _refusal(403, "The X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != _API_VERSION:
            return _refusal(400, f"The api-version must be {_API_VERSION}.")
        if not resource:
            return _refusal(400, "The resource is missing.")
        user = asked_identity(query)
        if user is None:
            return _refusal(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        return JSONResponse(self.authority.issue(user, resource, self.lifetime_s()))


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "message": message}, status_code=status)
