"""One host, many spellings: web addresses compared by scheme, host and port."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_PORTS: Final = {"https": 443, "http": 80}
# An environment answers under both names: contoso.crm4.dynamics.com and contoso.api.crm4.dynamics.com.
_API_HOST: Final = re.compile(r"^([^.]+)\.api\.(crm[0-9]*\.)")


class Origin(NamedTuple):
    """Scheme, host in lower case, and port, None where it is the one of the scheme."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")


def origin_of(url: str) -> Origin:
    """Return the normalized origin of a web address; path, query and fragment do not matter.

    Raises ValueError for what is not an http or https address, or carries a user name.
    """
    parts = urlsplit(url)
    scheme, port = parts.scheme.lower(), parts.port
    if scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("it is not a web address")
    host = _API_HOST.sub(r"\1.\2", parts.hostname.lower().removesuffix("."))
    return Origin(scheme, host, None if port == _PORTS[scheme] else port)


def normalize_address(url: str) -> str:
    """Return a web address with its origin normalized and without a slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{origin_of(url)}{parts.path.rstrip('/')}{query}"


def is_same_origin(one: str, other: str) -> bool:
    """Whether both are web addresses of one origin."""
    try:
        return origin_of(one) == origin_of(other)
    except ValueError:
        return False


def is_same_environment(one: str, other: str) -> bool:
    """Whether two addresses name the same host and port; one may lack its scheme."""
    try:
        first, second = (origin_of(url if "//" in url else f"https://{url}") for url in (one, other))
    except ValueError:
        return False
    return first[1:] == second[1:]


def path_of(url: str) -> str:
    """Return path and query of an address, from its first slash."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
