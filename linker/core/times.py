"""Times as the state, the API, and Dataverse write them: ISO 8601 in UTC, and epoch seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(epoch_s: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Return a time such as '2026-11-23T20:15:00Z' in epoch seconds. Raises ValueError and OverflowError for another text."""
    return datetime.fromisoformat(text).timestamp()


def find_time(text: str | None) -> float:
    """Return a time of Customer Insights in epoch seconds, 0 when the text has none. Without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one time to another, both as ISO 8601."""
    return parse_time(end) - parse_time(start)
