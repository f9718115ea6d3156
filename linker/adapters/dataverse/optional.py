"""Reads that a run can do without: one that fails alone, hangs, or is refused is a reason in the report and ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.shared_reads import answer_limit
from linker.core.errors import DataverseError, LinkerError, ThrottledError, TransientError

OPTIONAL_S = 20.0  # from the question to its last answer; a read that a run needs may take READ_LIMIT_S


@dataclass(frozen=True, slots=True)
class Unread:
    """Why an optional question has no answer. `refusal` is Dataverse's own, None when it gave none."""

    reason: str
    refusal: DataverseError | None = None


async def ask_optional[T](
    dataverse: Dataverse, ask: Callable[[Dataverse], Awaitable[T]], seconds: float = OPTIONAL_S
) -> T | Unread:
    """Return an answer, or why there is none. The question shares no request with others, so that they do not wait for it.

    See answer_or_reason.
    """
    alone = Dataverse(dataverse.connection, dataverse.meter)
    return await answer_or_reason(alone, lambda: ask(alone), seconds)


async def answer_or_reason[T](
    dataverse: Dataverse, ask: Callable[[], Awaitable[T]], seconds: float = OPTIONAL_S
) -> T | Unread:
    """Return an answer, or why there is none after `seconds` at most, pauses that Dataverse asks for not counted.

    When Dataverse answers nothing else either, it is away: TransientError is raised, and the step tries again later. Raises
    ThrottledError as well.
    """
    try:
        async with dataverse.connection.optional_room:
            return await _within(seconds, ask)
    except ThrottledError:
        raise
    except DataverseError as error:
        return Unread(str(error)[:300], error)
    except (LinkerError, TimeoutError) as error:
        found = Unread(str(error)[:300] or f"Dataverse did not answer within {seconds:g} s.")
    try:
        await _within(seconds, dataverse.user)
    except TimeoutError:
        raise TransientError(found.reason) from None
    return found


async def _within[T](seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(seconds) as limit:
        outer = answer_limit.set(limit)
        try:
            return await ask()
        finally:
            answer_limit.reset(outer)
