"""When a timer ticks next."""

from datetime import UTC, datetime

import pytest

from linker.core.runs.signals import next_tick
from linker.settings import Settings

NOW = datetime(2026, 11, 30, 15, 2, 30, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("schedule", "tick"),
    [
        ("0 */5 * * * *", "2026-11-30T15:05:00"),
        ("* * * * * *", "2026-11-30T15:02:31"),
        ("0 * * * * *", "2026-11-30T15:03:00"),
        ("0 0 2 * * *", "2026-12-01T02:00:00"),
        ("0 30 3,15 * * *", "2026-11-30T15:30:00"),
        ("0 0 9-17/4 * * *", "2026-11-30T17:00:00"),
        ("0 0 0 1 1 *", "2027-01-01T00:00:00"),
        ("0 0 6 * * 0", "2026-12-06T06:00:00"),
        ("0 0 6 * * 1-5", "2026-12-01T06:00:00"),
        ("30 2 15 * * *", "2026-12-01T15:02:30"),
        ("0 0 6 * * MON", None),
        ("0 0 0 31 2 *", None),
        ("0 99 * * * *", None),
    ],
)
def test_a_timer_ticks_next_at(schedule: str, tick: str | None) -> None:
    found = next_tick(schedule, NOW.timestamp())
    assert found == (datetime.fromisoformat(f"{tick}+00:00").timestamp() if tick else None)


@pytest.mark.parametrize("field", ["poll_schedule", "verify_schedule", "purge_schedule", "watchdog_schedule"])
def test_every_schedule_of_the_app_can_be_read(field: str) -> None:
    assert next_tick(str(Settings.model_fields[field].default), NOW.timestamp())
