"""Schedules that break the page model when one of its rules is taken back."""

from __future__ import annotations

from functools import cache

from tests.model.page_model import Model

# Changes of the world that it takes to break the promise with one attempt at a time; fewer make the search short.
CHANGES = {
    "intent": 2,
    "old-entry": 3,
    "empties": 2,
    "keep-departed": 2,
    "absence": 3,
    "etag": 3,
    "ours": 3,
    "read-back": 2,
}


@cache
def search(rule: str) -> tuple[list[str], str]:
    """Return the shortest schedule that breaks the promise without the rule, and how."""
    _, schedule, broken = Model(rule, CHANGES[rule], max_crashes=0, attempts=1).search()  # no crash is needed
    return schedule, broken


_ONE_INTENDS = ["one: resolve", "one: intend"]
_TWO_LOOKS = [f"two: {step}" for step in ("empties", "take", "read", "decide", "unlink", "absent", "look")]
_BEFORE = ["mapping -> 1", "one starts", "one: empties", "one: take", "one: read", "mapping -> 0", "one: decide"]
_BOTH = [*_BEFORE, *_ONE_INTENDS, "one expires", "two starts", *_TWO_LOOKS]

BREAKING = {
    "fence": [*_BOTH, "one: send"],
    "if-match": [
        "mapping -> 1",
        "one starts",
        "one: empties",
        "one: take",
        "one expires",
        "two starts",
        "two: empties",
        "two: take",
        "two: read",
        "mapping -> 2",
        "one: read",
        "one: decide",
        "one: resolve",
        "one: intend",
        "one: send, frozen since its check",
        "two: decide",
        "two: resolve",
        "two: intend",
        "one: read back",
        "two: send",
    ],
    "late-bit": [*_BOTH, "one: send, frozen since its check", "one: read back", "one: late"],
}
