"""The session of a user who signed in with a function key, and the tokens that the page's own forms carry. Pure.

A browser sends no key along with a link, and a key in a link would stay in its history. So the key opens a session: a cookie
that this app has signed. It counts only where sign-in with Entra is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadSignature, Signer

from linker.core.roles import KEY_HOLDER, Caller, Role

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
