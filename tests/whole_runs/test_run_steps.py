"""A run of the whole app shows when each of its steps began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from linker.core.model import Status
from linker.core.runs.lifecycle import STEPS
from tests.fakes.app import FakeApp


def test_a_run_goes_through_its_steps_in_their_order(make_app: Callable[..., FakeApp]) -> None:
    app = make_app(declared=("R2", "R5"))
    clock = app.world.clock
    app.world.store.hooks.append(lambda *_: clock.pass_s(1))
    run = app.run()
    assert run.status is Status.SUCCESSFUL
    assert tuple(run.steps) == STEPS
    assert [*run.steps.values(), run.ended_at] == sorted([*run.steps.values(), run.ended_at or ""])
    assert len({*run.steps.values()}) == len(STEPS)
    for table in run.tables:
        moments = [run.steps["prepare"], table.started_at or "", table.ended_at or "", run.ended_at or ""]
        assert moments == sorted(moments)
        assert "" not in moments


def test_a_run_without_tables_to_link_checks_and_ends(make_app: Callable[..., FakeApp]) -> None:
    app = make_app()
    app.world.deps = replace(app.world.deps, insights=None)  # R2 and R5 are unknown
    run = app.run()
    assert [table.status for table in run.tables] == [Status.SKIPPED]
    assert run.status is Status.SKIPPED
    assert tuple(run.steps) == ("settle", "check")
