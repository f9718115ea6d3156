"""Answers of an environment, as the tests of verdicts make them."""

from __future__ import annotations

from typing import Any

from tests.live.probes.points import Point
from tests.live.probes.wire import Answer

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "0000000b-0000-4000-8000-0000000000ff"
POINT = Point("name", "1", "question", "switch", {"exact": "exact", "refused": "refuse"})
REFUSED = Answer(400, "0x80048d0b", "Link entities are not supported")


def page(*rows: dict[str, Any], **marks: Any) -> Answer:
    """Return a page of rows; `marks` are properties of the page, such as nextLink."""
    return Answer(200, body={"value": list(rows), **{f"@odata.{name}": value for name, value in marks.items()}})


def one(**row: Any) -> Answer:
    """Return an answer that holds one row."""
    return Answer(200, body=row)
