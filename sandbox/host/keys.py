"""The keys of a function app, as the platform distinguishes them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

type Level = Literal["function", "admin", "system"]


@dataclass(frozen=True, slots=True)
class Keys:
    """A key of a function opens that function; the host key opens every function below level admin; the system key opens the
    webhooks of Durable Functions; the master key opens everything.
    """

    master: str
    host: str
    system: str
    functions: Mapping[str, str]

    def allow(self, request: Request, level: Level, function: str = "") -> bool:
        """Whether the key of a request is one for this level, given as ?code= or x-functions-key."""
        given = request.headers.get("x-functions-key") or request.query_params.get("code", "")
        accepted = {
            "function": (self.master, self.host, self.functions.get(function, "")),
            "admin": (self.master,),
            "system": (self.master, self.system),
        }[level]
        return bool(given) and any(secrets.compare_digest(given.encode(), key.encode()) for key in accepted)

    def described(self) -> dict[str, object]:
        """Return the keys as the ready line shows them; `key` is the one for callers of the app."""
        kinds = {
            "master": self.master,
            "host": self.host,
            "durabletask": self.system,
            "functions": dict(self.functions),
        }
        return {"key": self.host, "keys": kinds}


def make_keys(functions: Iterable[str], settings: Mapping[str, str]) -> Keys:
    """Return keys: those that LOCAL_MASTER_KEY, LOCAL_FUNCTION_KEY and LOCAL_SYSTEM_KEY give, and new ones otherwise."""
    master, host, system = (
        settings.get(f"LOCAL_{kind}_KEY") or secrets.token_urlsafe(32) for kind in ("MASTER", "FUNCTION", "SYSTEM")
    )
    return Keys(master, host, system, {name: secrets.token_urlsafe(32) for name in functions})
