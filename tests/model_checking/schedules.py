"""Schedules that break the page model when one of its rules is taken back."""

from __future__ import annotations

from functools import cache

from tests.model_checking import scan_model
from tests.model_checking.page_model import Model

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
_TWO_LOOKS = [f"two: {step}" for step in ("empties", "load", "read", "decide", "unlink", "absent", "look")]
_BEFORE = ["mapping -> 1", "one starts", "one: empties", "one: load", "one: read", "mapping -> 0", "one: decide"]
_BOTH = [*_BEFORE, *_ONE_INTENDS, "one expires", "two starts", *_TWO_LOOKS]

BREAKING = {
    "fence": [*_BOTH, "one: send"],
    "if-match": [
        "mapping -> 1",
        "one starts",
        *(f"one: {step}" for step in ("empties", "load", "read", "decide", "resolve")),
        "two starts",
        "two: empties",
        "two: load",
        "one: intend",
        "one: send is dropped",
        "one: read back",
        "one starts",
        "one: empties",
        "one: load",
        "two: read",
        "mapping -> 0",
        *(f"one: {step}" for step in ("read", "decide", "unlink", "absent")),
        "two: decide",
        "two: resolve",
        "two: intend",
        "one: look",
        "two: send",
    ],
    "late-bit": [*_BOTH, "one: send, frozen since its check", "one: read back", "one: late"],
}

# ---- scanning ----

# Changes of the world that it takes to break the promise of scanning with one run at a time.
SCAN_CHANGES = {
    "segments-first": 1,
    "watermark-late": 1,
    "watermark-old": 1,
    "overlap": 1,
    "revisit": 2,
    "open": 1,
    "absence": 2,
    "began": 1,
    "ended": 0,
}
AFTER_AN_END = ("began", "ended")  # a run has to die or give up first


@cache
def search_scan(rule: str) -> tuple[list[str], str]:
    """Return the shortest schedule that breaks the promise of scanning without the rule, and how."""
    _, schedule, broken = scan_model.Model(rule, SCAN_CHANGES[rule], crashes=rule in AFTER_AN_END, runs=1).search()
    return schedule, broken


SCAN_BREAKING = {
    "current": [
        "one opens a full scan",
        "one.a reads",
        "one.a stages",
        "one.a commits",
        "mapping -> 2",
        "time passes",
        "two opens a delta scan",
        "two.a reads",
        "two.a stages",
        "two.a commits",
        "two links",
        "two closes",
        "one links",
    ],
}
