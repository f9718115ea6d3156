"""Pages of a list: how many, and from where on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, Field

from linker.entrypoints.http.messages import from_continuation


class PageQuery(BaseModel):
    """Which page of a list."""

    top: Annotated[int, Field(ge=1, le=100, description="Most entries of one page.")] = 20
    continuation: Annotated[
        str,
        Field(
            max_length=1_000,
            description="From the page before; without it, the first page.",
            json_schema_extra={"format": "continuation"},
        ),
    ] = ""

    @property
    def after(self) -> str:
        """Key of the last entry of the page before. Raises ProblemError for any other text."""
        return from_continuation(self.continuation)


async def first_of[T](entries: AsyncIterator[T], most: int) -> tuple[list[T], bool]:
    """Return up to `most` entries, and whether there are more."""
    found: list[T] = []
    async for entry in entries:
        if len(found) == most:
            return found, True
        found.append(entry)
    return found, False
