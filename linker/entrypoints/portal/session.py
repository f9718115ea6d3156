"""The session of a user who signed in with a function key, and the tokens that the page's own forms carry. Pure.

A browser sends no key along with a link, and a key in a link would stay in its history. So the key opens a session: a cookie
that this app has signed. It counts only where sign-in with Entra is off.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from linker.core.roles import KEY_HOLDER, Caller, Role

COOKIE = "linker_session"
LIFETIME_S = 8 * 3_600
# The audit and everything that asks for the master key stay closed to it.
SESSION_HOLDER = Caller(KEY_HOLDER.name, role=Role.OPERATOR)


def issued(secret: bytes, nonce: str, now: float) -> str:
    """Return the value of the cookie of a new session. `now` is epoch s, `nonce` unique."""
    claim = f"{int(now) + LIFETIME_S}.{nonce}"
    return f"{claim}.{_signature(secret, 'session', claim)}"


def is_valid(secret: bytes, value: str, now: float) -> bool:
    """Whether this app issued the cookie, and its time is not over."""
    claim, _, signature = value.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(secret, "session", claim).encode()):
        return False
    return now < int(claim.partition(".")[0])


def form_token(secret: bytes, who: str) -> str:
    """Return what a form of this person, or of this session, has to carry."""
    return _signature(secret, "form", who)


def is_own_form(secret: bytes, who: str, token: str) -> bool:
    """Whether a form with this token was given to this person."""
    return hmac.compare_digest(token.encode(), form_token(secret, who).encode())


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


def _signature(secret: bytes, purpose: str, text: str) -> str:
    """The secret serves row hashes as well, so that each purpose has a key of its own, derived from it."""
    key = hmac.digest(secret, f"portal {purpose}".encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
