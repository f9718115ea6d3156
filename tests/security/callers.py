"""Headers of callers, as App Service Authentication sets them."""

from __future__ import annotations

from tests.fakes.principal import headers

FORGED = headers(("roles", "admin"))


def signed_in(role: str) -> dict[str, str]:
    """Return the headers of a user with this role; no role, no headers."""
    return headers(("roles", role)) if role else {}
