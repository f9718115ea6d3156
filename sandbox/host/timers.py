"""Timer triggers: NCRONTAB schedules with six fields, in UTC (docs/reference/azure.md 4.1)."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from azure.functions.timer import TimerRequest
from croniter import croniter

from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import HostedFunction
from sandbox.host.worker import Invoker

_LOG = logging.getLogger(__name__)


class Timer:
    """One timer function; `schedule` is a checked one.

    Its ticks never overlap, also manual ones; a tick that overran is not made up for.
    """

    def __init__(self, function: HostedFunction, schedule: str, invoker: Invoker) -> None:
        self._function = function
        self._schedule = schedule
        self._invoker = invoker
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Tick for ever, first at once if the decorator says run_on_startup."""
        due = datetime.now(UTC)
        if getattr(self._function.trigger, "run_on_startup", None):
            await self.tick()
        while True:
            now = datetime.now(UTC)
            # not before the tick just made: sleep may end a moment early
            due = next_tick(self._schedule, max(now, due))
            await asyncio.sleep((due - now).total_seconds())
            await self.tick()

    async def tick(self) -> None:
        """Run the function once. A failure is logged; as on the platform, the next tick is the retry."""
        async with self._one_at_a_time:
            try:
                await self._invoker.call(self._function, TimerRequest(past_due=False))
            except Exception:
                _LOG.exception("Timer '%s' failed.", self._function.name)


def checked_schedule(name: str, schedule: str) -> str:
    """Return `schedule`, or raise StartRefusedError if it is not an NCRONTAB expression with six fields."""
    if len(schedule.split()) != 6 or not _ever_ticks(schedule):
        raise StartRefusedError(
            f"Timer '{name}': '{schedule}' is not an NCRONTAB schedule with six fields, seconds first."
        )
    return schedule


def next_tick(schedule: str, after: datetime) -> datetime:
    """Return the first moment later than `after` that `schedule` names.

    Day of month and day of week must both match: NCRONTAB knows no "or" between them, unlike cron.
    """
    ticks = croniter(schedule, after, second_at_beginning=True, day_or=False, ret_type=datetime)
    return ticks.get_next(datetime)


def _ever_ticks(schedule: str) -> bool:
    try:
        next_tick(schedule, datetime.now(UTC))
    except ValueError:  # croniter's own errors are ValueErrors
        return False
    return True
