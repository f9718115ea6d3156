"""What an answer of Dataverse asks of us (dataverse.md 13.4). Pure: status, code and text in, one word out."""

from __future__ import annotations

import re
from enum import StrEnum

from linker.core.throttling.allowance import Kind

SQL_TIMEOUT = "0x80044151"
SQL_ERROR = "0x80044150"  # with 1205 in its text: deadlock
CUSTOMIZATION_LOCK = "0x80071151"
NO_MEMBER = "0x80072560"  # the token is good, but its owner is not a user of the environment
_THROTTLES: dict[str, Kind] = {
    "0x80072321": "time",
    "0x80072322": "requests",
    "0x80072326": "concurrency",
    "0x80072327": "concurrency",
    "0x8005f103": "time",
}
_TRANSIENT = frozenset(
    {CUSTOMIZATION_LOCK, "0x80040255", "0x8004a001", "0x80048544", "0x80048551", "0x80048553", "0x80048559", "0x80048561",
     "0x80073000", "0x8004ed47"}
)  # fmt: skip
# What cannot be a matter of one row: repeating it row by row would only repeat the refusal.
_STOPS = frozenset({"0x80048d19", "0x80040220"})
# A 404 for a row, or for the profile it is bound to; any other 404 says that the address is wrong.
_ROW_MISSING = frozenset({"0x80040217", "0x80060891"})
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Answer(StrEnum):
    """The next step after a refused request."""

    WAIT = "wait"  # service protection: pause as long as Retry-After says, then repeat
    RETRY = "retry"  # a passing fault: repeat after a backoff
    SHRINK = "shrink"  # too much at once: repeat with fewer rows
    ISOLATE = "isolate"  # something about a row: find it, write the others
    STOP = "stop"  # nothing about a row, and repeating changes nothing


def judge(status: int, code: str, text: str) -> Answer:
    """Return what to do after an answer other than success."""
    code = code.lower()
    if code in _THROTTLES or (status == 429 and code != CUSTOMIZATION_LOCK):
        return Answer.WAIT
    if code == SQL_TIMEOUT or status == 413:
        return Answer.SHRINK
    if code in _TRANSIENT or status in (408, 502, 503, 504) or (code == SQL_ERROR and "1205" in text):
        return Answer.RETRY
    if status == 500 and not code:
        return Answer.RETRY
    if status < 400 or status == 401 or code in _STOPS:  # a redirect is about no row, and is not followed
        return Answer.STOP
    if status == 404 and code not in _ROW_MISSING and not named_rows(text):
        return Answer.STOP
    return Answer.ISOLATE


def throttle_kind(code: str) -> Kind:
    """Return which limit a throttle is about (dataverse.md 1.1); execution time when the code does not say."""
    return _THROTTLES.get(code.lower(), "time")


def named_rows(text: str) -> tuple[str, ...]:
    """Return the row ids that an error text names, e.g. 'Contact With Ids = a, b Do Not Exist' (dataverse.md 2.6)."""
    listed = re.search(r"With Ids? = (.+?) Do(?:es)? Not Exist", text)
    return tuple(found.lower() for found in _GUID.findall(listed[1])) if listed else ()
