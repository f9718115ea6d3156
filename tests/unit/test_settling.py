"""When mapping and profiles may be read."""

from dataclasses import replace

import pytest

from linker.settling import SETTLED, Awaited, Marks, SettleRules, next_wait
from linker.state import TaskState
from linker.wire import dumps, loads

MINUTE = 60.0
NOW = 1_000_000.0
RULES = SettleRules(rest_s=10 * MINUTE, arrival_s=30 * MINUTE, most_s=120 * MINUTE)
OLD, SEEN = NOW - 600 * MINUTE, Marks(NOW - 600 * MINUTE, NOW - 610 * MINUTE)
JOB = Awaited(for_job=True, job_start=NOW - 20 * MINUTE, last=SEEN)
UNTOLD = replace(JOB, job_start=0.0)
NO_JOB = Awaited(last=SEEN)


def ago(minutes: float) -> Marks:
    """Marks of which the newer one is so old."""
    return Marks(NOW - minutes * MINUTE, NOW - (minutes + 5) * MINUTE)


@pytest.mark.parametrize(
    ("marks", "awaited", "waited_min", "wait_min", "what"),
    [
        pytest.param(ago(600), NO_JOB, 0, 0, "", id="rested"),
        pytest.param(ago(4), NO_JOB, 0, 6, "rested", id="changed lately"),
        pytest.param(ago(0), NO_JOB, 118, 2, "rested", id="not beyond the longest wait"),
        pytest.param(ago(0), NO_JOB, 120, 0, "", id="waited long enough"),
        pytest.param(None, NO_JOB, 0, 10, "rested", id="the columns do not tell: a fixed wait"),
        pytest.param(None, NO_JOB, 4, 6, "rested", id="the fixed wait goes on"),
        pytest.param(None, NO_JOB, 10, 0, "", id="the fixed wait is over"),
        pytest.param(ago(600), JOB, 0, 30, "first changes", id="nothing newer than the job"),
        pytest.param(ago(600), JOB, 20, 10, "first changes", id="nothing newer still"),
        pytest.param(ago(600), JOB, 30, 0, "", id="a unification that changes nothing"),
        pytest.param(ago(19), JOB, 0, 0, "", id="newer than the job, and rested"),
        pytest.param(ago(2), JOB, 0, 8, "rested", id="newer than the job, and still changing"),
        pytest.param(None, JOB, 0, 10, "rested", id="a job where the columns do not tell"),
        pytest.param(SEEN, UNTOLD, 0, 30, "first changes", id="start unknown: nothing since the last run"),
        pytest.param(ago(400), UNTOLD, 0, 0, "", id="start unknown: changed since the last run"),
        pytest.param(
            SEEN._replace(mapping_version=8), UNTOLD, 0, 0, "", id="start unknown: changed in the same second"
        ),
        pytest.param(ago(400), replace(UNTOLD, last=None), 0, 0, "", id="start unknown: no run before"),
    ],
)
def test_waits(marks: Marks | None, awaited: Awaited, waited_min: float, wait_min: float, what: str) -> None:
    wait = next_wait(marks, awaited, RULES, now=NOW, waited_s=waited_min * MINUTE)
    assert wait.seconds == pytest.approx(wait_min * MINUTE)
    assert what in wait.detail
    assert bool(wait.detail) is bool(wait_min)


@pytest.mark.parametrize(
    ("left_s", "text"), [(20.0, "at most 1 minute."), (60.0, "at most 1 minute."), (61.0, "at most 2 minutes.")]
)
def test_what_is_left_is_told_in_whole_minutes_and_never_as_none(left_s: float, text: str) -> None:
    waited_s = RULES.arrival_s - left_s
    assert next_wait(SEEN, JOB, RULES, now=NOW, waited_s=waited_s).detail.endswith(text)


def test_no_rest_asked_for_waits_for_nothing() -> None:
    assert next_wait(SEEN, JOB, replace(RULES, rest_s=0.0), now=NOW, waited_s=0.0) == SETTLED


def test_the_longest_wait_bounds_the_first_one_too() -> None:
    short = replace(RULES, most_s=5 * MINUTE)
    assert next_wait(SEEN, JOB, short, now=NOW, waited_s=0.0).seconds == 5 * MINUTE
    assert next_wait(SEEN, JOB, short, now=NOW, waited_s=5 * MINUTE) == SETTLED


@pytest.mark.parametrize(
    ("marks", "kept"),
    [
        pytest.param(Marks(5.0, 6.0), "[5.0,6.0]", id="as they were kept before there were versions"),
        pytest.param(Marks(5.0, 6.0, 7, 0), "[5.0,6.0,7,0]", id="a version is known"),
    ],
)
def test_marks_are_kept_and_read_again(marks: Marks, kept: str) -> None:
    text = dumps(TaskState(marks=marks))
    assert f'"marks":{kept}' in text
    assert loads(TaskState, text).marks == marks
