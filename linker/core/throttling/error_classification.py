"""What an answer of Dataverse asks of us (docs/reference/dataverse.md 13.4). Pure: status, code and text in, one word out.

Codes decide, because texts come in the language of the user. Where only a text says more, it is read for ids and for
names of privileges, which no language changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from linker.core.errors import DataverseError
from linker.core.throttling.allowance import Kind

SQL_TIMEOUT = "0x80044151"
SQL_ERROR = "0x80044150"  # its number says more: 1205 is a deadlock
CUSTOMIZATION_LOCK = "0x80071151"
# An elastic table's own refusal; service protection has codes of its own (docs/reference/elastic-tables.md)
TABLE_THROTTLE = "429"
NO_MEMBER = "0x80072560"  # the token is good, but its owner is not a user of the environment
PRIVILEGE = "0x80040220"  # of a table, or of one row
DENIED = frozenset({PRIVILEGE, "0x80048306", "0x80048405"})  # PrivilegeDenied, PrincipalPrivilegeDenied, AccessDenied
ROW_MISSING, TARGET_MISSING = "0x80040217", "0x80060891"
PAYLOAD = "0x80048d19"  # also what a server says that does not know a new column yet
_THROTTLES: dict[str, Kind] = {
    "0x80072321": "time",
    "0x80072322": "requests",
    "0x80072326": "concurrency",
    "0x80072327": "concurrency",
    "0x8005f103": "time",
}
# Dataverse refused before it began, or says that it took the transaction back.
_TAKEN_BACK = frozenset({CUSTOMIZATION_LOCK, "0x80040255", "0x8004a001", "0x80048544", "0x8004ed47", "0x80072324"})
# The server failed, not the request: an unexpected error, a database that is moved or cannot be reached.
_SERVER_FAULTS = frozenset(
    {
        SQL_ERROR, "0x80040216", "0x80044184", "0x80072323",
        "0x80048551", "0x80048553", "0x80048559", "0x80048561", "0x80073000",
    }
)  # fmt: skip
# What concerns the environment, the user, the table or the column: repeating it row by row would repeat the refusal.
_STOPS = frozenset(
    {
        PAYLOAD,
        NO_MEMBER,
        "0x80040225", "0x8004a113", "0x80044507",  # the user is disabled, or may not enter: administration mode, other tenant
        "0x80095ffe",  # IP firewall
        "0x8004f502", "0x8004f503", "0x8004f504", "0x8004f507",  # column security
        "0x80072325",  # the storage of the database is full
    }
)  # fmt: skip
# What a server says of a row, a name or a plug-in, also under status 500.
_REFUSALS = frozenset(
    {
        ROW_MISSING, TARGET_MISSING,
        "0x80040265", "0x80040224",  # a plug-in
        "0x80060882", "0x80040237", "0x80040333", "0x80060892",  # another version, duplicates
        "0x80044331", "0x8004431a",  # values
        "0x80060890", "0x8004432b", "0x80047013", "0x80060304", "0x80044363", "0x80072551",  # names that are taken
    }
)  # fmt: skip
_DEADLOCK = 1205
_FULL = frozenset({1101, 1105, 9002, 40544})  # the database takes no more
_OF_A_ROW = frozenset({515, 547, 2601, 2627, 2628, 8114, 8115, 8152})  # constraints and values
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_CODE = re.compile(r"(0x[0-9a-f]{1,8})?", re.IGNORECASE)
_NUMBER = re.compile(r"\b\d{3,5}\b")


_SECURED = (
    "Add the app's user to a column security profile with read and update permission for the lookup column, or remove column "
    "security from that column."
)
_ADVICE: Mapping[str, str] = {
    "0x80095ffe": "Allow the app's outbound addresses in the IP firewall of the environment.",
    "0x80040225": "Enable the app's user in the environment.",
    "0x8004a113": "The environment is in administration mode. End it, or give the app's user the role System Administrator.",
    "0x80072325": "Free storage of the environment, or add capacity.",
    **dict.fromkeys(("0x8004f502", "0x8004f503", "0x8004f504", "0x8004f507"), _SECURED),
}


class Answer(StrEnum):
    """The next step after a refused request."""

    WAIT = "wait"  # service protection: pause as long as Retry-After says, then repeat
    RETRY = "retry"  # a passing fault that left nothing behind: repeat after a backoff
    UNSURE = "unsure"  # a fault of the server: a write may still be committed; repeat after a backoff
    SHRINK = "shrink"  # too much at once: repeat with fewer rows
    ISOLATE = "isolate"  # something about a row: find it, write the others
    STOP = "stop"  # nothing about a row, and repeating changes nothing


def judge(status: int, code: str, text: str) -> Answer:  # noqa: PLR0911 - a table, the more certain lines first
    """Return what to do after an answer other than success."""
    code = code.lower()
    if code in _THROTTLES or (status == 429 and code != CUSTOMIZATION_LOCK):
        return Answer.WAIT
    if code == SQL_TIMEOUT or status == 413:
        return Answer.SHRINK
    if code in _TAKEN_BACK:
        return Answer.RETRY
    if code == SQL_ERROR and (known := _by_number(text)):
        return known
    if code in _STOPS or status < 400 or status in (401, 501):  # a redirect is about no row, and is not followed
        return Answer.STOP
    if status == 400 and code in ("", "0x0"):  # of the OData layer, which sees the request and no row
        return Answer.STOP
    if code in _REFUSALS:
        return Answer.ISOLATE
    if code in _SERVER_FAULTS or status >= 500 or status == 408:
        return Answer.UNSURE
    if status == 404 and not named_ids(text):  # neither row nor profile, so the address is wrong
        return Answer.STOP
    if code in DENIED and (named_privilege(text) or (code == PRIVILEGE and not named_ids(text))):
        return Answer.STOP
    return Answer.ISOLATE


def is_of_dataverse(status: int, code: str | None) -> bool:
    """Return whether an error is clearly an answer of Dataverse, None standing for a body that is not an error of OData.

    What stands before Dataverse answers with pages, or with words where Dataverse has codes. A 401, 413 or 429 refuses a
    request before anything comes of it, from any sender.
    """
    if status in (401, 413, 429):
        return True
    if code is None or not _CODE.fullmatch(code):
        return False
    return 400 <= status < 500 and status != 408 if code in ("", "0x0") else True


def is_about_no_row(error: DataverseError) -> bool:
    """Return whether a refusal is about no row: repeating it row by row would repeat it."""
    return judge(error.status, error.code, error.text) is Answer.STOP


def advice_on(code: str) -> str:
    """Return what ends a refusal with this code, empty when the code does not say."""
    return _ADVICE.get(code.lower(), "")


def may_be_unknown_name(status: int, code: str) -> bool:
    """Return whether an answer may say that a table has no column or lookup of a name: neither code nor text is sure."""
    return status == 400 and code.lower() in ("", "0x0", PAYLOAD, "0x80060888")


def is_about_missing(status: int, code: str) -> bool:
    """Return whether an answer says that a row or its profile is not there, or that another writer has changed the row."""
    return status in (404, 412) or code.lower() in (ROW_MISSING, TARGET_MISSING)


def throttle_kind(code: str) -> Kind:
    """Return which limit a throttle is about (docs/reference/dataverse.md 1.1); execution time when the code does not say."""
    return _THROTTLES.get(code.lower(), "time")


def named_ids(text: str) -> tuple[str, ...]:
    """Return the ids that an error text names, in lower case: of rows, profiles or users."""
    return tuple(dict.fromkeys(found.lower() for found in _GUID.findall(text)))


def named_privilege(text: str) -> str:
    """Return the privilege that an error text names (docs/reference/dataverse.md 2.6), empty when it names none."""
    found = re.search(r"\bprv[A-Z]\w+", text)
    return found[0] if found else ""


def _by_number(text: str) -> Answer | None:
    """Return what the number of an SQL error says, which stands last in its text; None when it says nothing."""
    numbers = [int(found) for found in _NUMBER.findall(text)]
    for known, answer in (({_DEADLOCK}, Answer.RETRY), (_FULL, Answer.STOP), (_OF_A_ROW, Answer.ISOLATE)):
        if any(number in known for number in numbers):
            return answer
    return None
