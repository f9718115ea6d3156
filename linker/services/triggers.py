"""What starts runs in this app, and when the timers tick next."""

from __future__ import annotations

from linker.core.runs.schedule import Trigger, next_tick
from linker.core.times import iso
from linker.settings import Settings


def triggers_of(settings: Settings, now: float) -> tuple[Trigger, ...]:
    """Return every trigger, on or off, at `now` (epoch s)."""
    return (
        Trigger("events", bool(settings.events_namespace), "LINKER_EVENTS__fullyQualifiedNamespace"),
        Trigger("webhook", settings.webhook, "LINKER_WEBHOOK"),
        _timer("timer", settings.poll, "LINKER_POLL", settings.poll_schedule, now),
        _timer("verify timer", settings.verify, "LINKER_VERIFY", settings.verify_schedule, now),
        Trigger("on request", settings.start_by_api, "LINKER_START_BY_API"),
    )


def _timer(name: str, is_on: bool, setting: str, schedule: str, now: float) -> Trigger:
    tick = next_tick(schedule, now) if is_on else None
    return Trigger(name, is_on, setting, iso(tick) if tick else None, schedule)
