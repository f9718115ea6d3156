"""Schedules, and that ticks never overlap."""

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func
import pytest

from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import host_functions, of_kind
from sandbox.host.timers import Timer, checked_schedule, next_tick
from sandbox.host.worker import Invoker


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        pytest.param("*/5 * * * * *", "2026-11-23T12:00:01", "2026-11-23T12:00:05", id="seconds come first"),
        pytest.param("*/5 * * * * *", "2026-11-23T12:00:05", "2026-11-23T12:00:10", id="strictly later"),
        pytest.param("0 30 9 * * 1-5", "2026-11-20T10:00:00", "2026-11-23T09:30:00", id="weekdays"),
        pytest.param("0 0 12 13 * 5", "2026-11-23T00:00:00", "2027-08-13T12:00:00", id="day and weekday both match"),
    ],
)
def test_next_tick(schedule: str, after: str, expected: str) -> None:
    assert next_tick(schedule, moment(after)) == moment(expected)


@pytest.mark.parametrize("schedule", ["*/5 * * * *", "00:00:30", "every day", "61 * * * * *", "0 0 0 31 2 *", ""])
def test_what_is_not_a_schedule_with_six_fields_is_refused(schedule: str) -> None:
    with pytest.raises(StartRefusedError, match="NCRONTAB"):
        checked_schedule("poll", schedule)


async def test_ticks_of_one_timer_never_overlap() -> None:
    app = df.DFApp()
    ticks = running = most = 0

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    async def poll(timer: func.TimerRequest) -> None:
        nonlocal ticks, running, most
        ticks, running = ticks + 1, running + 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        raise RuntimeError("a failed tick leaves the next one alone")

    (function,) = of_kind(host_functions(app), "timerTrigger")
    timer = Timer(function, "0 0 0 1 1 *", Invoker("{}"))
    await asyncio.gather(timer.tick(), timer.tick(), timer.tick())
    assert (ticks, most) == (3, 1)
