"""When mapping and profiles may be read."""

from dataclasses import replace

import pytest

from linker.adapters.storage import TaskState
from linker.core.runs.signals import CONFIRM_S, SETTLED, Awaited, Look, Marks, SettleRules, look_again, next_wait
from linker.core.serialization import dumps, loads

MINUTE = 60.0
NOW = 1_000_000.0
RULES = SettleRules(rest_s=10 * MINUTE, arrival_s=30 * MINUTE, most_s=120 * MINUTE)
OLD, SEEN = NOW - 600 * MINUTE, Marks(NOW - 600 * MINUTE, NOW - 610 * MINUTE)
JOB = Awaited(for_job=True, job_start=NOW - 20 * MINUTE, last=SEEN)
UNTOLD = replace(JOB, job_start=0.0)
NO_JOB = Awaited(last=SEEN)


EARLIER = NOW - 2 * MINUTE  # when an earlier look saw the same


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
        pytest.param(None, NO_JOB, 0, 10, "does not say", id="Dataverse does not say: a fixed wait"),
        pytest.param(None, NO_JOB, 4, 6, "does not say", id="the fixed wait continues"),
        pytest.param(None, NO_JOB, 10, 0, "", id="the fixed wait is over"),
        pytest.param(ago(600), JOB, 0, 30, "first changes", id="nothing newer than the job"),
        pytest.param(ago(600), JOB, 20, 10, "first changes", id="nothing newer still"),
        pytest.param(ago(600), JOB, 30, 0, "", id="a unification that changes nothing"),
        pytest.param(ago(19), JOB, 0, 0, "", id="newer than the job, and rested"),
        pytest.param(ago(2), JOB, 0, 8, "rested", id="newer than the job, and still changing"),
        pytest.param(None, JOB, 0, 10, "does not say", id="a job where Dataverse does not say"),
        pytest.param(SEEN, UNTOLD, 0, 30, "first changes", id="start unknown: nothing since the last run"),
        pytest.param(ago(400), UNTOLD, 0, 0, "", id="start unknown: changed since the last run"),
        pytest.param(
            SEEN._replace(mapping_version=8), UNTOLD, 0, 0, "", id="start unknown: changed in the same second"
        ),
        pytest.param(ago(400), replace(UNTOLD, last=None), 0, 0, "", id="start unknown: no run before"),
    ],
)
def test_waits(marks: Marks | None, awaited: Awaited, waited_min: float, wait_min: float, what: str) -> None:
    wait = next_wait(Look(marks, EARLIER), awaited, RULES, now=NOW, waited_s=waited_min * MINUTE)
    assert wait.seconds == pytest.approx(wait_min * MINUTE)
    assert what in wait.detail
    assert bool(wait.detail) is bool(wait_min)


@pytest.mark.parametrize(
    ("same_s", "waited_s", "wait_s"),
    [
        pytest.param(0.0, 0.0, CONFIRM_S, id="the first look"),
        pytest.param(20.0, 20.0, CONFIRM_S - 20, id="too soon for a second one"),
        pytest.param(CONFIRM_S, CONFIRM_S, 0.0, id="two looks saw the same"),
        pytest.param(86_400.0, 0.0, 0.0, id="the timer saw the same before"),
        pytest.param(0.0, RULES.most_s - 5, 5.0, id="not beyond the longest wait"),
        pytest.param(0.0, RULES.most_s, 0.0, id="waited long enough"),
    ],
)
@pytest.mark.parametrize("awaited", [NO_JOB, replace(JOB, job_start=NOW - 700 * MINUTE)], ids=["no job", "job"])
def test_a_single_look_decides_nothing(awaited: Awaited, same_s: float, waited_s: float, wait_s: float) -> None:
    wait = next_wait(Look(ago(600), NOW - same_s), awaited, RULES, now=NOW, waited_s=waited_s)
    assert wait.seconds == pytest.approx(wait_s)
    assert ("second look" in wait.detail) is bool(wait_s)


def test_a_clock_of_dataverse_that_is_ahead_does_not_hold_a_run_up() -> None:
    ahead = Marks(NOW + 60 * MINUTE, NOW)
    assert next_wait(Look(ahead, NOW - 10 * MINUTE), NO_JOB, RULES, now=NOW, waited_s=0.0) == SETTLED
    assert next_wait(Look(ahead, NOW - 4 * MINUTE), NO_JOB, RULES, now=NOW, waited_s=0.0).seconds == 6 * MINUTE


@pytest.mark.parametrize(
    ("before", "marks", "since"),
    [
        pytest.param(None, SEEN, NOW, id="the first look"),
        pytest.param(Look(SEEN, OLD), SEEN, OLD, id="the same again"),
        pytest.param(Look(SEEN, OLD), SEEN._replace(profiles_version=1), NOW, id="another change of that second"),
        pytest.param(Look(SEEN, OLD), None, NOW, id="Dataverse does not say any more"),
        pytest.param(Look(None, OLD), None, OLD, id="Dataverse still does not say"),
        pytest.param(Look(SEEN, NOW + 1), SEEN, NOW, id="a clock that went back"),
    ],
)
def test_since_when_every_look_saw_the_same(before: Look | None, marks: Marks | None, since: float) -> None:
    look = look_again(before, marks, NOW)
    assert look == Look(marks, since)
    assert loads(Look, dumps(look)) == look


@pytest.mark.parametrize(
    ("left_s", "text"), [(20.0, "at most 1 minute."), (60.0, "at most 1 minute."), (61.0, "at most 2 minutes.")]
)
def test_what_is_left_is_reported_in_whole_minutes_and_never_as_none(left_s: float, text: str) -> None:
    waited_s = RULES.arrival_s - left_s
    assert next_wait(Look(SEEN, EARLIER), JOB, RULES, now=NOW, waited_s=waited_s).detail.endswith(text)


def test_no_rest_asked_for_waits_for_nothing() -> None:
    assert next_wait(Look(SEEN, EARLIER), JOB, replace(RULES, rest_s=0.0), now=NOW, waited_s=0.0) == SETTLED


def test_the_longest_wait_bounds_the_first_one_too() -> None:
    short = replace(RULES, most_s=5 * MINUTE)
    assert next_wait(Look(SEEN, EARLIER), JOB, short, now=NOW, waited_s=0.0).seconds == 5 * MINUTE
    assert next_wait(Look(SEEN, EARLIER), JOB, short, now=NOW, waited_s=5 * MINUTE) == SETTLED


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
