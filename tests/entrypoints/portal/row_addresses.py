"""Addresses of the Rows page."""

from __future__ import annotations

from tests.fakes.world import contact_id

ROWS = "/api/portal/rows"


def row(number: int, **query: str) -> str:
    return f"{ROWS}?table=contact&row={contact_id(number)}" + "".join(
        f"&{name}={value}" for name, value in query.items()
    )
