"""The last runs side by side: how each compares with the one before it of the same kind (docs/dev/proofs.md D28)."""

from dataclasses import replace

import pytest

from linker.core.model import Counts, Mode, Run, Status
from linker.core.runs.history import Change, history

ENDED = {"started_at": "2026-11-23T21:00:00Z", "ended_at": "2026-11-23T21:01:40Z"}
OLD = Run("1", Mode.INCREMENTAL, Status.SUCCESSFUL, counts=Counts(rows_read=1_000, linked=10), **ENDED)
NEW = replace(
    OLD, id="9", ended_at="2026-11-23T21:01:15Z", counts=Counts(rows_read=1_010, linked=25), requested_tables=()
)


def test_a_run_shows_what_changed_in_per_cent_of_the_one_before() -> None:
    (past,) = history([NEW, OLD], 1)
    assert past.seconds == 75.0
    assert past.change == Change("1", seconds=-25.0, rows_read=1.0, linked=150.0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OLD, mode=Mode.FULL), id="another mode"),
        pytest.param(replace(OLD, dry_run=True), id="a dry run"),
        pytest.param(replace(OLD, requested_tables=("contact",)), id="other tables"),
        pytest.param(replace(OLD, status=Status.FAILED), id="failed"),
        pytest.param(replace(OLD, status=Status.CANCELED), id="canceled"),
        pytest.param(replace(OLD, status=Status.SKIPPED), id="skipped"),
    ],
)
def test_a_run_is_held_against_completed_runs_of_its_own_kind_alone(other: Run) -> None:
    assert history([NEW, other], 1)[0].change is None
    shown = history([NEW, other, replace(OLD, id="0")], 1)[0].change
    assert shown is not None
    assert shown.run == "0"


def test_tables_compare_in_any_order() -> None:
    runs = [replace(NEW, requested_tables=("a", "b")), replace(OLD, requested_tables=("b", "a"))]
    assert history(runs, 1)[0].change is not None


@pytest.mark.parametrize("status", [Status.QUEUED, Status.REFRESHING, Status.FAILED])
def test_a_run_that_is_not_completed_is_held_against_none(status: Status) -> None:
    assert history([replace(NEW, status=status), OLD], 1)[0].change is None


def test_figures_that_were_zero_have_no_per_cent() -> None:
    before = replace(OLD, counts=Counts(), ended_at=OLD.started_at)
    assert history([NEW, before], 1)[0].change == Change("1", None, None, None)


def test_a_run_that_never_began_has_no_duration() -> None:
    assert history([replace(NEW, started_at=None)], 1)[0].seconds is None


def test_runs_behind_the_page_serve_for_comparison_and_are_not_shown() -> None:
    shown = history([NEW, replace(NEW, id="8"), OLD], 2)
    assert [past.id for past in shown] == ["9", "8"]
    assert [past.change and past.change.run for past in shown] == ["8", "1"]
