"""Steps and tables of a run over time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Status
from linker.entrypoints.portal.views.timeline_view import gantt_of
from tests.entrypoints.portal.views.stored_runs import CONTACT, LEAD, NOW, STEPS, run_of


def test_a_step_ends_where_the_next_begins_and_the_last_one_continues() -> None:
    gantt = gantt_of(run_of("a", Status.REFRESHING, steps=STEPS), NOW)
    assert gantt is not None
    assert [(step.title, step.seconds, step.is_current, step.start, step.width) for step in gantt.steps] == [
        ("Wait until data settles", 600, False, 0, 16.67),
        ("Check requirements", 30, False, 16.67, 0.83),
        ("Link rows", 2_970, True, 17.5, 82.5),
    ]
    assert gantt.ticks == ("2026-11-24T02:00:00Z", "2026-11-24T02:30:00Z", NOW)


def test_the_last_step_of_a_run_that_is_over_ends_with_it() -> None:
    gantt = gantt_of(run_of("a", steps=STEPS, ended_at="2026-11-24T02:11:00Z"), NOW)
    assert gantt is not None
    assert (gantt.steps[-1].seconds, gantt.steps[-1].is_current) == (30, False)


def test_tables_are_drawn_on_the_scale_of_the_steps() -> None:
    done = replace(CONTACT, started_at="2026-11-24T02:10:15Z", ended_at="2026-11-24T02:15:00Z")
    working = replace(LEAD, status=Status.REFRESHING, started_at="2026-11-24T02:30:00Z")
    gantt = gantt_of(run_of("a", Status.REFRESHING, done, working, replace(LEAD, table="csv"), steps=STEPS), NOW)
    assert gantt is not None
    assert [(bar.title, bar.look, bar.seconds, bar.is_current, bar.start, bar.width) for bar in gantt.tables] == [
        ("contact", "good", 285, False, 17.08, 7.92),
        ("lead", "busy", 1_800, True, 50, 50),
    ]


@pytest.mark.parametrize("began", ["2026-11-24T01:59:00Z", "2026-11-24T03:30:00Z"])
def test_a_bar_never_leaves_the_chart(began: str) -> None:
    run = run_of("a", Status.REFRESHING, replace(CONTACT, started_at=began), steps=STEPS)
    gantt = gantt_of(run, NOW)
    assert gantt is not None
    (bar,) = gantt.tables
    assert 0 <= bar.start <= bar.start + bar.width <= 100


def test_a_run_before_its_first_step_has_nothing_over_time() -> None:
    assert gantt_of(run_of("a", Status.QUEUED), NOW) is None
