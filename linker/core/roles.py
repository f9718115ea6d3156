"""Who calls, from where, and what for. Pure: headers in, a caller out. Here is also the session of the portal.

A browser sends no key along with a link, and a key in a link would stay in its history. So the key opens a session: a cookie
that this app has signed. It counts only where sign-in with Entra is off. A form carries a token of who it was given to.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from itsdangerous import BadSignature, Signer
from pydantic import BaseModel, ValidationError

PRINCIPAL = "x-ms-client-principal"  # names are lower case, as the request has them
PRINCIPAL_NAME = "x-ms-client-principal-name"
PRINCIPAL_ID = "x-ms-client-principal-id"
MAX_NAME = 200  # characters of a name that are kept
# App Service Authentication maps short claim names of Entra to long ones, or leaves them as they are.
_ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
_ENTRA = "aad"


class Role(StrEnum):
    """App roles of Entra, from the least to the most: each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Place in that order."""
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id` is Entra's object id, empty for the holder of a function key; no role means signed in, no more."""

    name: str
    id: str = ""
    role: Role | None = None

    def may(self, needed: Role) -> bool:
        """Whether the caller has a role that includes the needed one."""
        return self.role is not None and self.role.rank >= needed.rank


# The host has checked the key before the app gets the request, and does not say whose it is. What an admin may do asks
# for the master key.
KEY_HOLDER = Caller("holder of a function key", role=Role.ADMIN)


def authentication_is_on(environment: Mapping[str, str]) -> bool:
    """Whether App Service Authentication stands before the app and sets its headers: the platform says so in this variable,
    by which the Functions host itself switches it on. Anybody may send such headers to an app without it.
    """
    return environment.get("WEBSITE_AUTH_ENABLED", "").strip().lower() in ("true", "1")


def identify(headers: Mapping[str, str], *, authenticated: bool) -> Caller | None:
    """Return who sent these headers, None if not signed in. Without authentication they count for nothing; the key counts."""
    if not authenticated:
        return KEY_HOLDER
    principal = _principal(headers.get(PRINCIPAL, ""))
    if principal is None:
        return None
    object_id = headers.get(PRINCIPAL_ID, "")
    name = headers.get(PRINCIPAL_NAME, "") or object_id
    return Caller(name[:MAX_NAME], object_id[:MAX_NAME], _strongest(principal))


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Return whether the request is same-origin (Sec-Fetch-Site). Only browsers send the header; others are allowed."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    host = _host_of(origin)
    return host is not None and host == headers.get("host")


def opens_page(headers: Mapping[str, str]) -> bool:
    """Whether a person follows a link to a page of its own, from any site: no picture, frame or script asks for it."""
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")


def _host_of(origin: str) -> str | None:
    """Return the host and port of an Origin header, None when the header is not an address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


class _Claim(BaseModel):
    typ: str
    val: str


class _Principal(BaseModel):
    """The decoded header."""

    auth_typ: str
    claims: list[_Claim] = []


def _principal(header: str) -> _Principal | None:
    try:
        return _Principal.model_validate_json(base64.b64decode(header, validate=True))
    except (ValueError, ValidationError):
        return None


def _strongest(principal: _Principal) -> Role | None:
    if principal.auth_typ != _ENTRA:  # another provider's claim of that name is none of our app roles
        return None
    return max(_roles(principal.claims), key=lambda role: role.rank, default=None)


def _roles(claims: Iterable[_Claim]) -> list[Role]:
    given = {claim.val.lower() for claim in claims if claim.typ in _ROLE_CLAIMS}
    return [role for role in Role if role in given]


# ---- the session of the portal ----

COOKIE = "linker_session"
LIFETIME_S = 8 * 3_600
# The audit and everything that asks for the master key stay closed to it.
SESSION_HOLDER = Caller(KEY_HOLDER.name, role=Role.OPERATOR)


def issue_cookie(secret: bytes, nonce: str, now: float) -> str:
    """Return the value of the cookie of a new session. `now` is epoch s, `nonce` unique."""
    return _signer(secret, "session").sign(f"{int(now) + LIFETIME_S}.{nonce}").decode()


def is_valid(secret: bytes, value: str, now: float) -> bool:
    """Whether this app issued the cookie, and its time is not over."""
    try:
        claim = _signer(secret, "session").unsign(value).decode()
    except BadSignature:
        return False
    return now < int(claim.partition(".")[0])


def form_token(secret: bytes, who: str) -> str:
    """Return what a form of this person, or of this session, has to carry."""
    return _signer(secret, "form").get_signature(who).decode()


def is_own_form(secret: bytes, who: str, token: str) -> bool:
    """Whether a form with this token was given to this person."""
    return _signer(secret, "form").verify_signature(who, token)


def session_of(headers: Mapping[str, str]) -> str:
    """Return the session's cookie, empty when there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def cookie(value: str, *, path: str, secure: bool) -> str:
    """Return the Set-Cookie header of a session; an empty value ends it."""
    age = LIFETIME_S if value else 0
    return f"{COOKIE}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"


def _signer(secret: bytes, purpose: str) -> Signer:
    """The secret serves row hashes as well, so that each purpose has a key of its own, derived from it."""
    return Signer(secret, salt=f"portal {purpose}", key_derivation="hmac", digest_method=sha256)
