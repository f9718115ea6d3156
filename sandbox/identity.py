"""The managed identity endpoint of App Service, and the check of the tokens that it hands out.

A client that runs in Azure App Service finds the endpoint through `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, so the
production credential code runs here unchanged. Tokens are real: signed with a key made at start, and verified on each
request for signature, audience and expiry.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TENANT_ID: Final = "72f988bf-0000-4000-8000-2d7cd011db47"
_ISSUER: Final = f"https://sts.windows.net/{TENANT_ID}/"
_API_VERSION: Final = "2019-08-01"


class InvalidTokenError(Exception):
    """The bearer token is missing, expired, foreign or for another audience: the answer is 401."""


@dataclass(frozen=True, slots=True)
class ApplicationUser:
    """A Dataverse application user (dataverse.md 11) and the managed identity behind it. Ids are guid texts."""

    name: str
    client_id: str
    object_id: str
    systemuser_id: str
    full_name: str
    domain_name: str


LINKER: Final = ApplicationUser(
    name="linker",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1001",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2001",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3001",
    full_name="# Customer Profile Linker",
    domain_name="linker@contoso.onmicrosoft.com",
)
VENDOR: Final = ApplicationUser(
    name="insightsappsplatform",
    client_id="99ff962b-6252-4b98-8478-0c65a3ea1925",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2002",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3002",
    full_name="# InsightsAppsPlatform",
    domain_name="InsightsAppsPlatform@onmicrosoft.com",
)
"""The account of Customer Insights - Data, with the application id that it has in every tenant."""
ADMIN: Final = ApplicationUser(
    name="admin",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1003",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2003",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3003",
    full_name="# Sandbox Administrator",
    domain_name="admin@contoso.onmicrosoft.com",
)
APPLICATION_USERS: Final = (LINKER, VENDOR, ADMIN)
NEWCOMER: Final = ApplicationUser(
    name="newcomer",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1004",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2004",
    systemuser_id="",
    full_name="# Newcomer",
    domain_name="newcomer@contoso.onmicrosoft.com",
)
"""An identity that is not a user of the environment until a systemuser with its application ID exists."""


_NAMED_BY: Final = {
    "client_id": "client_id",
    "principal_id": "object_id",
    "object_id": "object_id",
    "mi_res_id": "name",
}
"""How App Service is asked for a user-assigned identity, and the field meant; a resource id ends with the name."""


def find_identity(wanted: str, by: str = "client_id") -> ApplicationUser | None:
    """Return who has an id or a name, in any case."""
    users = (*APPLICATION_USERS, NEWCOMER)
    return next((user for user in users if wanted.lower() in (getattr(user, by), user.name)), None)


def asked_identity(query: Mapping[str, str]) -> ApplicationUser | None:
    """Return whom a token request means, None for an unknown identity; without a name the linker, as system-assigned."""
    for parameter, by in _NAMED_BY.items():
        if parameter in query:
            return find_identity(query[parameter].rpartition("/")[2], by)
    return LINKER


def plain_audience(resource: str) -> str:
    """Return a resource without `/.default` and trailing slashes: all its spellings name the same API."""
    return resource.removesuffix("/.default").rstrip("/").lower()


def audiences_of(base_url: str) -> frozenset[str]:
    """Return the audiences of the sandbox's address, which has two names on one machine."""
    address = plain_audience(base_url)
    return frozenset({address, address.replace("//127.0.0.1", "//localhost")})


@dataclass(frozen=True, slots=True)
class TokenAuthority:
    """Signs and verifies tokens. `now_s` is wall-clock seconds since 1970."""

    now_s: Callable[[], float] = time.time
    key: rsa.RSAPrivateKey = field(default_factory=lambda: kept_key(None), repr=False)

    def issue(self, user: ApplicationUser, resource: str, lifetime_s: float) -> dict[str, str]:
        """Return the App Service answer for one token; `expires_on` is seconds since 1970 as text."""
        now = int(self.now_s())
        expires = int(now + lifetime_s)
        audience = resource.removesuffix("/.default")
        claims = {
            "aud": audience,
            "iss": _ISSUER,
            "iat": now,
            "nbf": now,
            "exp": expires,
            "appid": user.client_id,
            "oid": user.object_id,
            "tid": TENANT_ID,
            "ver": "1.0",
        }
        return {
            "access_token": jwt.encode(claims, self.key, algorithm="RS256"),
            "expires_on": str(expires),
            "resource": audience,
            "token_type": "Bearer",
            "client_id": user.client_id,
        }

    def verify(self, authorization: str | None, audiences: frozenset[str]) -> ApplicationUser:
        """Return who sent the `Authorization` header. `audiences` are plain (see `plain_audience`).

        Raises InvalidTokenError if there is no bearer token or it is expired, foreign or for another audience.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidTokenError("no bearer token")
        claims = self._claims(token)
        if plain_audience(str(claims["aud"])) not in audiences:
            raise InvalidTokenError(f"audience {claims['aud']} is not this API")
        user = find_identity(str(claims["appid"]))
        if user is None:
            raise InvalidTokenError(f"no application user for {claims['appid']}")
        return user

    def _claims(self, token: str) -> Mapping[str, object]:
        options: jwt.types.Options = {
            "require": ["aud", "exp", "appid"],
            "verify_aud": False,  # compared by `verify`, which knows that a trailing slash means nothing
            "verify_exp": False,  # compared below with our own clock, so that tests need not wait
            "verify_nbf": False,
            "verify_iat": False,
        }
        try:
            claims: dict[str, object] = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], issuer=_ISSUER, options=options
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        if float(str(claims["exp"])) <= self.now_s():
            raise InvalidTokenError("token expired")
        return claims


def kept_key(pem: str | None) -> rsa.RSAPrivateKey:
    """Return the key of a PEM text; a new one without it."""
    if pem is None:
        return rsa.generate_private_key(65537, 2048)
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("The kept signing key is not an RSA key.")
    return key


def pem_of(key: rsa.RSAPrivateKey) -> str:
    """Return a key as PEM text."""
    no_password = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password).decode()


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
