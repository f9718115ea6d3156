"""Tokens as Entra ID signs them: made with a key of the start, and verified for signature, audience and expiry."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.identity.accounts import TENANT_ID, ApplicationUser, find_identity

_ISSUER: Final = f"https://sts.windows.net/{TENANT_ID}/"


class InvalidTokenError(Exception):
    """The bearer token is missing, expired, foreign or for another audience: the answer is 401."""


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

        Raises InvalidTokenError if the bearer token is missing, expired, foreign or for another audience.
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
            "verify_exp": False,  # compared below with our own clock, so that tests don't have to wait
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
