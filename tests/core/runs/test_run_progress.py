"""How far a run is and how long it still takes: it follows rows, includes what comes after, and never promises 0 s."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.model import Counts, Mode, Progress, Run, Status, TableRun, Touches
from linker.core.runs.activity_values import Report
from linker.core.runs.history import TOUCHES_A_SECOND, linking_progress, standing, touching_progress

NOW = "2026-11-24T03:00:00Z"
TABLES = (TableRun("contact", "crm", Status.REFRESHING, rows_total=20_000), TableRun("lead", "crm", Status.REFRESHING))


def test_the_time_left_follows_rows_and_not_parts() -> None:
    news = Report("r", Counts(5_000, unchanged=5_000), pages_total=8, pages_done=7, seconds=10.0)
    progress = linking_progress(news, TABLES, 0.0, 0)
    assert (progress.rows_done, progress.rows_total, progress.eta_seconds) == (5_000, 20_000, 30.0)


@pytest.mark.parametrize(
    ("paused_s", "linked", "max_touches", "left"),
    [
        pytest.param(0.0, 5_000, 0, 30.0, id="nothing else"),
        pytest.param(20.0, 5_000, 0, 50.0, id="a pause"),
        pytest.param(0.0, 5_000, 20_000, 30.0 + 20_000 / TOUCHES_A_SECOND, id="the touch of profiles"),
        pytest.param(0.0, 5_000, 19_999, 30.0, id="more profiles than are touched"),
    ],
)
def test_the_time_left_includes_what_is_still_to_come(
    paused_s: float, linked: int, max_touches: int, left: float
) -> None:
    news = Report("r", Counts(5_000, linked), 8, 2, seconds=10.0, paused_s=paused_s)
    assert linking_progress(news, TABLES, 0.0, max_touches).eta_seconds == left


@given(
    st.integers(0, 50_000),
    st.integers(0, 8),
    st.floats(0, 1e5),
    st.floats(0, 600),
    st.integers(0, 40_000),
    st.booleans(),
)
def test_no_time_left_is_promised_that_is_below_a_second(
    rows: int, parts: int, seconds: float, paused_s: float, total: int, linked: bool
) -> None:
    counts = Counts(rows, linked=rows if linked else 0, unchanged=0 if linked else rows)
    tables = (TableRun("contact", "crm", Status.REFRESHING, rows_total=total),)
    progress = linking_progress(Report("r", counts, 8, parts, seconds=seconds, paused_s=paused_s), tables, 0.0, 5_000)
    assert progress.eta_seconds is None or progress.eta_seconds >= 1
    run = Run("r", Mode.FULL, Status.REFRESHING, started_at=NOW, last_updated=NOW, progress=progress)
    shown = standing(run, NOW)
    assert shown is not None
    assert shown.seconds_left is None or shown.seconds_left >= 1
    assert (shown.percent == 100) <= (parts == 8)


def run_at(progress: Progress | None, touches: Touches | None = None) -> Run:
    return Run("r", Mode.FULL, Status.REFRESHING, started_at=NOW, last_updated=NOW, progress=progress, touches=touches)


LINKING = Progress(8, 2, rows_total=1_000, rows_done=300, eta_seconds=30.0)


@pytest.mark.parametrize(
    ("run", "phase", "percent", "left"),
    [
        pytest.param(run_at(None), "Preparing", None, None, id="before rows are linked"),
        pytest.param(run_at(LINKING), "Linking rows", 30.0, 30.0, id="linking"),
        pytest.param(
            replace(run_at(LINKING), status=Status.RETRYING), "Linking rows", 30.0, None, id="not answered by Dataverse"
        ),
        pytest.param(
            run_at(replace(LINKING, rows_done=1_000)), "Linking rows", 99.0, 30.0, id="the last part is not done"
        ),
        pytest.param(
            run_at(replace(LINKING, pages_done=8, eta_seconds=None)),
            "Finishing: removed links and checks",
            100.0,
            None,
            id="finishing",
        ),
        pytest.param(
            run_at(replace(LINKING, pages_done=8, profiles_total=200), Touches(50, 50)),
            "Touching profiles",
            25.0,
            30.0,
            id="touching",
        ),
    ],
)
def test_a_run_that_works_says_what_it_does(run: Run, phase: str, percent: float | None, left: float | None) -> None:
    shown = standing(run, NOW)
    assert shown is not None
    assert (shown.phase, shown.percent, shown.seconds_left) == (phase, percent, left)


def test_time_passes_also_between_two_reports() -> None:
    left = [standing(run_at(LINKING), f"2026-11-24T03:00:{second:02}Z") for second in (0, 20, 30, 50)]
    assert [one.seconds_left if one else 0 for one in left] == [30.0, 10.0, None, None]


def test_a_run_that_is_over_or_waits_has_no_progress() -> None:
    assert standing(replace(run_at(LINKING), ended_at=NOW), NOW) is None
    assert standing(replace(run_at(None), started_at=None), NOW) is None


def test_the_touch_says_how_long_it_takes() -> None:
    began = "1970-01-01T00:00:00Z"
    progress = touching_progress(replace(LINKING, profiles_total=200), Touches(50, 50), began, 10.0, 5.0)
    assert progress.eta_seconds == 35.0
    assert touching_progress(progress, Touches(200, 200), began, 40.0, 0.0).eta_seconds is None
    assert touching_progress(progress, Touches(), began, 0.0, 0.0).eta_seconds is None
