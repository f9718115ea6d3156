"""The report of the probes, in a form that can be pasted below the facts it settles (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.live.probes.asking import Asked
from tests.live.probes.binding import WritingProbe
from tests.live.probes.points import Result
from tests.live.tables import as_table

PAGE = "docs/reference/elastic-tables.md"


def settled_and_open(asked: Iterable[Asked]) -> tuple[list[tuple[Asked, Result]], list[tuple[Asked, Result]]]:
    """Return the points that have an answer, and those that stay open."""
    pairs = [(one, result) for one in asked for result in one.results]
    return [pair for pair in pairs if pair[1].settled], [pair for pair in pairs if not pair[1].settled]


def facts(asked: Sequence[Asked], place: str, day: str, not_asked: Sequence[WritingProbe]) -> str:
    """Return the section that goes into the reference.

    `place` says of which kind the environment is, `day` when it was asked. `not_asked` are the probes that would write; ()
    says that they were asked.
    """
    settled, still_open = settled_and_open(asked)
    written = (
        "Nothing was written: only GET requests were sent." if not_asked else "What was made for it was removed again."
    )
    return "\n".join(
        [
            f"## Seen in a real environment on {day}",
            place,
            f"{len(settled)} points settled, {len(still_open)} still open.",
            written,
            *describe_throttling(asked),
            "",
            "### Settled",
            *as_table(
                ("Fact", "Question", "Answer", "Evidence", "Certainty", "Probe", "Sandbox"),
                (_settled_row(one, result, day) for one, result in settled),
            ),
            "",
            "### Still open",
            *as_table(
                ("Fact", "Question", "Why", "Probe"),
                (
                    (result.point.fact, result.point.question, result.evidence, one.probe.name)
                    for one, result in still_open
                ),
            ),
            *_not_asked(not_asked),
            "",
            "### Requests and answers",
            *(line for one in asked for line in _exchanges(one)),
        ]
    )


def _settled_row(asked: Asked, result: Result, day: str) -> tuple[str, ...]:
    point = result.point
    probe = f"{asked.probe.name} {point.name}"
    return point.fact, point.question, result.answer, result.evidence, f"seen {day}", probe, describe_setting(result)


def describe_throttling(asked: Iterable[Asked]) -> list[str]:
    """Return a sentence on answers with status 429 and their Retry-After, nothing where none came."""
    waits = [wait for one in asked for wait in one.throttles]
    kinds = {
        "without Retry-After" if wait is None else "with Retry-After in seconds" if wait.isdecimal() else "with a date"
        for wait in waits
    }
    return [f"{len(waits)} answers had status 429, {' and '.join(sorted(kinds))}."] if waits else []


def describe_setting(result: Result) -> str:
    """Return the switch of the sandbox that plays an answer, or that the sandbox has none for it."""
    if result.is_unknown_to_the_sandbox:
        return f"no value of {result.point.switch} plays this"
    return f"`{result.setting}`" if result.setting else ""


def _not_asked(probes: Sequence[WritingProbe]) -> list[str]:
    """Return what `--disposable` would ask and write, as lines of Markdown."""
    rows = ((one.name, one.title, one.writes) for one in probes)
    title = "### Not asked: what --disposable would write"
    return ["", title, *as_table(("Probe", "Title", "What it writes and removes"), rows)] if probes else []


def _exchanges(asked: Asked) -> list[str]:
    title = f"#### {asked.probe.name} {asked.probe.title}"
    if not asked.exchanges:
        return ["", title, "The first look answered this: its requests stand below the first probe."]
    rows = ((f"`{one.asked}`", str(one.status), one.code, one.text, one.shape) for one in asked.exchanges)
    return ["", title, *as_table(("Request", "Status", "Code", "Text", "Shape"), rows)]


def documents(asked: Iterable[Asked]) -> list[dict[str, object]]:
    """Return the probes as JSON values."""
    return [
        {
            "probe": one.probe.name,
            "title": one.probe.title,
            "points": [_point(result) for result in one.results],
            "requests": [
                {"asked": e.asked, "status": e.status, "code": e.code, "text": e.text, "shape": e.shape}
                for e in one.exchanges
            ],
        }
        for one in asked
    ]


def _point(result: Result) -> dict[str, object]:
    point = result.point
    return {
        "point": point.name,
        "fact": f"{PAGE} {point.fact}",
        "question": point.question,
        "settled": result.settled,
        "answer": result.answer,
        "evidence": result.evidence,
        "switch": point.switch,
        "setting": result.setting,
    }
