"""Which step a run is in, derived from what it shows."""

from dataclasses import replace

import pytest

from linker.core.model import Mode, Progress, Run, Status, TableRun, Touches
from linker.core.runs.lifecycle import STEPS, WAITING, steps_of, with_times

T = "2026-11-23T21:00:00Z"
QUEUED = TableRun("contact", "crm", Status.QUEUED)
WORKING = replace(QUEUED, status=Status.REFRESHING, mode=Mode.FULL)
DONE = replace(WORKING, status=Status.SUCCESSFUL)
SKIPPED = TableRun("loyalty", "csv", Status.SKIPPED)
BEGUN = Run("r", Mode.FULL, Status.REFRESHING, started_at=T)


@pytest.mark.parametrize(
    ("run", "step"),
    [
        pytest.param(Run("r", Mode.FULL, Status.QUEUED, status_detail=WAITING), None, id="behind another run"),
        pytest.param(Run("r", Mode.FULL, Status.QUEUED), "settle", id="not settled"),
        pytest.param(BEGUN, "check", id="no tables yet"),
        pytest.param(replace(BEGUN, tables=(SKIPPED,)), "check", id="nothing may be linked"),
        pytest.param(replace(BEGUN, tables=(QUEUED, SKIPPED)), "prepare", id="tables wait"),
        pytest.param(replace(BEGUN, tables=(WORKING, QUEUED)), "prepare", id="one table is ready"),
        pytest.param(replace(BEGUN, tables=(WORKING, SKIPPED)), "link", id="all tables are ready"),
        pytest.param(
            replace(BEGUN, tables=(WORKING, QUEUED), progress=Progress(9, 1)), "link", id="one could not be prepared"
        ),
        pytest.param(replace(BEGUN, tables=(DONE, WORKING), progress=Progress(9, 9)), "finish", id="a table ended"),
        pytest.param(replace(BEGUN, tables=(DONE,), touches=Touches()), "touch", id="profiles are touched"),
        pytest.param(replace(BEGUN, tables=(DONE,), ended_at=T), None, id="over"),
    ],
)
def test_the_step_that_a_run_is_in_begins_now(run: Run, step: str | None) -> None:
    assert steps_of(run, T) == ({step: T} if step else {})


@pytest.mark.parametrize("step", STEPS)
def test_a_step_begins_once(step: str) -> None:
    run = replace(BEGUN, tables=(WORKING,), steps={step: "before"})
    expected = {step: "before"} if STEPS.index("link") <= STEPS.index(step) else {step: "before", "link": T}
    assert steps_of(run, T) == expected


@pytest.mark.parametrize(
    ("before", "after", "times"),
    [
        pytest.param(QUEUED, QUEUED, (None, None), id="waits"),
        pytest.param(QUEUED, SKIPPED, (None, None), id="is skipped"),
        pytest.param(QUEUED, WORKING, (T, None), id="begins"),
        pytest.param(replace(WORKING, started_at="before"), WORKING, ("before", None), id="continues"),
        pytest.param(replace(WORKING, started_at="before"), DONE, ("before", T), id="ends"),
        pytest.param(replace(DONE, started_at="a", ended_at="b"), DONE, ("a", "b"), id="has ended"),
    ],
)
def test_a_table_has_the_times_when_the_run_began_and_ended_to_work_on_it(
    before: TableRun, after: TableRun, times: tuple[str | None, str | None]
) -> None:
    old, new = replace(BEGUN, tables=(before,)), replace(BEGUN, tables=(after,))
    shown = with_times(new, old, T)
    assert [(table.started_at, table.ended_at) for table in shown.tables] == [times]
    assert (shown.last_updated, shown.steps) == (T, steps_of(new, T))
