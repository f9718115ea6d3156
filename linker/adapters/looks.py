"""Looks at Dataverse for people and programs: shared, kept for seconds, and within a budget of their own.

Each look costs requests of the budget that Dataverse gives the app's user, which the runs need. So one process makes one
look of a kind at a time, every caller gets its answer for some seconds, and all looks together stay below a tenth of the
6,000 requests in five minutes that a user has (docs: service protection API limits).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from linker.core.errors import BusyError, LinkerError

PREFLIGHT_COST, INSIGHTS_COST, ROW_COST = 64, 20, 5  # requests of one look, about
KEPT_S: Final = 20.0  # a preflight serves every caller for so long
ROW_KEPT_S: Final = 3.0  # what is read of one row, which people look at while a run works
REFUSED_S: Final = 5.0  # a refusal too
MAX_COST: Final = 600.0  # of all looks in WINDOW_S
WINDOW_S: Final = 300.0
MAX_KEPT: Final = 100  # answers


@dataclass(slots=True)
class _Look:
    """One kind of look: its last answer or refusal, and until when it serves (epoch s)."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = 0.0
    answer: Any = None
    error: LinkerError | None = None


class Looks:
    """The looks of one process."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._left, self._at = MAX_COST, 0.0

    async def once[T](
        self, kind: str, cost: int, now: float, work: Callable[[], Awaitable[T]], *, kept_s: float = KEPT_S
    ) -> T:
        """Return what `work` returns, or what it returned to another caller some seconds ago.

        `cost` is about how many requests it sends, `now` epoch seconds, `kept_s` how long the answer serves. Raises BusyError
        when the budget is used up, and what `work` raises.
        """
        look = self._looks.setdefault(kind, _Look())
        async with look.turn:
            if now >= look.until:
                self._spend(cost, now)
                await self._renew(look, now, work, kept_s)
                self._keep_few(now)
        if look.error is not None:
            raise look.error
        answer: T = look.answer
        return answer

    def forget(self) -> None:
        """Look again next time: something was decided."""
        for look in self._looks.values():
            look.until = 0.0

    async def _renew(self, look: _Look, now: float, work: Callable[[], Awaitable[Any]], kept_s: float) -> None:
        look.answer, look.error = None, None
        try:
            look.answer, look.until = await work(), now + kept_s
        except LinkerError as error:
            look.error, look.until = error, now + REFUSED_S

    def _spend(self, cost: int, now: float) -> None:
        passed_s = max(now - self._at, 0.0)
        self._left, self._at = min(MAX_COST, self._left + passed_s * MAX_COST / WINDOW_S), now
        if self._left < cost:
            wait_s = (cost - self._left) * WINDOW_S / MAX_COST
            raise BusyError(
                "Too many looks at Dataverse were asked for. Nothing was read. Ask again later.", wait_s=wait_s
            )
        self._left -= cost

    def _keep_few(self, now: float) -> None:
        if len(self._looks) > MAX_KEPT:
            self._looks = {kind: look for kind, look in self._looks.items() if look.until > now or look.turn.locked()}
