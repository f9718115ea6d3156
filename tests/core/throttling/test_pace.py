"""The pace by its rules: where it starts, what moves it, and what it never does. The whole law: test_pace_simulation."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.throttling import pace as law
from linker.core.throttling.pace import (
    MAX_SHARDS,
    SPARE,
    Load,
    Pace,
    after_throttle,
    after_timeout,
    after_write,
    first_control,
    hold_s,
    next_pace,
    report,
    shards_in_flight,
    width_at,
    with_hint,
)
from linker.core.throttling.width import ENOUGH, FEW, LARGEST, MAX_WIDTH, SMALLEST, TARGET_S, Control, Write
from tests.core.throttling.writes import NOW, written


@pytest.mark.parametrize(
    ("most", "hint", "width"),
    [
        pytest.param(0, 0, 4, id="without a hint, what the documented limits allow for ever"),
        pytest.param(2, 0, 2, id="LINKER_WIDTH bounds it without a hint, too"),
        pytest.param(0, 48, 48, id="the hint"),
        pytest.param(8, 48, 8, id="LINKER_WIDTH bounds the hint"),
        pytest.param(8, 2, 2, id="the hint bounds LINKER_WIDTH"),
        pytest.param(0, 500, MAX_WIDTH, id="what a process can do bounds both"),
    ],
)
def test_the_width_starts_at_the_hint(most: int, hint: int, width: int) -> None:
    assert first_control(most, hint).width == width


@pytest.mark.parametrize(
    ("width", "before", "hint", "after"),
    [
        pytest.param(16, 16, 6, 6, id="down at once"),
        pytest.param(16, 16, 32, 32, id="up at once from the ceiling"),
        pytest.param(9, 16, 32, 9, id="a width below the ceiling was measured, and stays"),
        pytest.param(9, 16, 12, 9, id="a ceiling that is still above changes nothing"),
        pytest.param(16, 16, 0, 16, id="a response without a hint changes nothing"),
    ],
)
def test_a_hint_that_changes_takes_effect_with_its_response(width: int, before: int, hint: int, after: int) -> None:
    control = replace(first_control(0, before), width=width)
    assert with_hint(control, hint).width == after


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("hint", [1, 4, 48])
def test_all_processes_together_respect_the_hint(hint: int, processes: int) -> None:
    pace = Pace(hint, hint=hint)
    for number in range(processes):
        pace = next_pace(pace, Load(Pace(hint, hint=hint, at_s=NOW + number, process=f"p{number}")))
    assert pace.processes == processes
    widths = [
        law.adopt_pace(replace(first_control(0, hint), process=f"p{number}"), pace, NOW).width
        for number in range(processes)
    ]
    assert sum(widths) <= max(hint, processes)  # each has one at least


def test_a_process_that_reports_no_more_gives_its_share_back() -> None:
    pace = next_pace(Pace(), Load(Pace(24, hint=48, at_s=NOW, process="gone")))
    pace = next_pace(pace, Load(Pace(24, hint=48, at_s=NOW + 1, process="here")))
    assert pace.processes == 2
    pace = next_pace(pace, Load(Pace(24, hint=48, at_s=NOW + law.PEER_S + 1, process="here")))
    assert pace.processes == 1


def test_a_pause_of_one_process_holds_for_the_others() -> None:
    other = replace(first_control(0, 8), process="other", at_s=NOW)
    held = after_throttle(replace(first_control(0, 8), process="one"), NOW, 60.0, "time", 8)
    assert width_at(law.adopt_pace(other, report(held, NOW), NOW), NOW + 59) == 0


@pytest.mark.parametrize("ahead_s", [-3_600.0, 0.0, 90.0, 3_600.0, 86_400.0])
def test_a_pause_lasts_no_longer_for_the_others_when_the_clock_of_its_process_is_wrong(ahead_s: float) -> None:
    """The pace of a process that died is given out again and again: its pause is over once for all."""
    throttled = after_throttle(replace(first_control(0, 8), process="one"), NOW + ahead_s, 60.0, "time", 8)
    pace, other = report(throttled, NOW + ahead_s), replace(first_control(0, 8), process="other", at_s=NOW)
    for seconds in range(0, 61, 5):
        other = law.adopt_pace(other, pace, NOW + seconds)
    assert width_at(other, NOW + 60) > 0


def test_a_process_that_the_orchestrator_does_not_know_counts_itself() -> None:
    pace = next_pace(Pace(), Load(Pace(48, hint=48, at_s=NOW, process="one")))
    assert law.adopt_pace(replace(first_control(0, 48), process="two"), pace, NOW).width == 24
    assert law.adopt_pace(replace(first_control(0, 48), process="one"), pace, NOW).width == 48


def test_an_older_pace_only_teaches_a_process_how_many_share() -> None:
    own = replace(first_control(0, 16), at_s=NOW, process="one", batch=700)
    adopted = law.adopt_pace(own, Pace(3, 50, hint=3, at_s=NOW - 1, process="two", processes=2), NOW)
    assert (adopted.batch, adopted.hint, adopted.width) == (700, 16, 8)


# ---- throttles and timeouts ----


def test_nothing_is_sent_until_retry_after_has_passed() -> None:
    control = after_throttle(first_control(0, 8), NOW, 37.0, "time", 8)
    assert (width_at(control, NOW + 36.9), hold_s(control, NOW)) == (0, 37.0)
    assert width_at(control, NOW + 37.1) > 0


@given(st.floats(0, 1e9), st.integers(1, 600))
def test_a_pause_is_never_a_moment_too_short(at_s: float, wait_s: int) -> None:
    assert after_throttle(first_control(0, 8), at_s, float(wait_s), "time", 8).held_until_s >= at_s + wait_s


def test_refusals_from_before_the_first_one_only_move_the_end_of_the_pause() -> None:
    first = after_throttle(first_control(0, 8), NOW, 2.0, "concurrency", 8)
    second = after_throttle(first, NOW + 0.5, 3.0, "concurrency", 8)
    assert second.width == first.width
    assert hold_s(second, NOW) == 3.5


@pytest.mark.parametrize(("under_way", "width"), [(48, 38), (10, 8), (1, 1)])
def test_a_concurrency_throttle_leads_below_what_was_under_way(under_way: int, width: int) -> None:
    assert after_throttle(first_control(0, 48), NOW, 2.0, "concurrency", under_way).width == width


def test_a_timeout_narrows_the_width_once_and_halves_the_batch_each_time() -> None:
    control = replace(first_control(0, 12), batch=800)
    control = after_timeout(control, NOW, 12)
    assert (control.width, control.batch) == (8, 400)
    control = after_timeout(control, NOW + 0.1, 7)  # it was under way at the same time
    assert (control.width, control.batch) == (8, 200)
    assert after_timeout(control, NOW + 60, 8).width == 5


def throttled(hint: int, row_s: float) -> Control:
    """Return the state after a burst at the hint that a refusal ended, of a budget that sustains half of it at most."""
    control, now_s = first_control(0, hint), NOW
    for _ in range(200):
        seconds = control.batch * row_s
        now_s += seconds / control.width
        control = law.after_request(control, now_s, seconds)
        control = after_write(control, Write(now_s, seconds, control.batch, control.width))
    return after_throttle(control, now_s, 60.0, "time", hint)


@pytest.mark.parametrize("hint", [8, 16, 48])
@pytest.mark.parametrize(
    ("cheaper", "returns"),
    [
        pytest.param(1.0, True, id="a row costs as much at any width"),
        pytest.param(0.5, False, id="a row costs half as much at the narrower one"),
    ],
)
def test_after_a_throttle_the_width_is_the_widest_at_which_a_row_costs_little(
    hint: int, cheaper: float, *, returns: bool
) -> None:
    control = throttled(hint, 0.01)
    assert control.width < hint
    control = written(control, 0.01 * cheaper, writes=FEW, at_s=control.held_until_s)
    assert (control.width == hint) is returns


def test_reads_wait_for_a_budget_that_was_overdrawn() -> None:
    """Dataverse would refuse them. A budget that is only used up to the reserve holds writes alone."""
    control = throttled(48, 0.01)
    assert hold_s(control, control.held_until_s, writes=False) == 0
    overdrawn = law.after_request(control, control.held_until_s, 2_000.0)
    assert hold_s(overdrawn, overdrawn.held_until_s, writes=False) > 1


# ---- rows in a write ----


@pytest.mark.parametrize(
    ("row_s", "batch"),
    [
        pytest.param(0.004, 500, id="a write takes about its target"),
        pytest.param(0.0001, LARGEST, id="never above the largest"),
        pytest.param(0.03, 100, id="no fewer than Microsoft advises, as long as they take some seconds"),
        pytest.param(1.0, SMALLEST, id="never below the smallest"),
    ],
)
def test_the_batch_is_what_a_write_of_the_target_holds(row_s: float, batch: int) -> None:
    control = first_control(0, 4)
    for number in range(30):
        control = after_write(control, Write(NOW + number, control.batch * row_s, control.batch, 4))
    assert control.batch == batch


def test_one_fast_write_at_most_doubles_the_batch() -> None:
    control = first_control(0, 4)
    after = after_write(control, Write(NOW, 0.001, control.batch, 4))
    assert after.batch == 2 * control.batch


# ---- what the orchestrator does with it ----


@pytest.mark.parametrize(
    ("width", "shards"),
    [
        pytest.param(1, 3, id="two read while one writes"),
        pytest.param(4, 6, id="the same at any width"),
        pytest.param(48, MAX_SHARDS, id="as many as the platform runs"),
    ],
)
def test_shards_in_flight_write_and_read_at_once(width: int, shards: int) -> None:
    assert shards_in_flight(Pace(width, hint=width)) == shards


def test_a_report_after_a_throttle_names_the_width_after_the_pause() -> None:
    control = after_throttle(first_control(0, 8), NOW, 60.0, "time", 8)
    assert report(control, NOW).width == control.width
    assert SPARE + control.width >= shards_in_flight(report(control, NOW))


# ---- whatever happens ----

events = st.one_of(
    st.tuples(st.just("write"), st.floats(1e-12, 200), st.integers(1, LARGEST)),
    st.tuples(st.just("clock"), st.floats(-7_200, 7_200), st.just(0)),
    st.tuples(st.sampled_from(["time", "requests", "concurrency"]), st.floats(0, 1_000), st.integers(0, 64)),
    st.tuples(st.just("timeout"), st.floats(0.001, 200), st.integers(0, 64)),
    st.tuples(st.just("hint"), st.just(0.0), st.integers(0, 500)),
)


@given(st.lists(events, max_size=60), st.integers(1, 64), st.integers(1, 5), st.sampled_from([0, 48]))
def test_width_and_batch_stay_within_their_bounds(
    felt: list[tuple[str, float, int]], most: int, processes: int, hint: int
) -> None:
    control, now_s = law.share_control(first_control(most, hint), processes), NOW
    for kind, seconds, number in felt:
        now_s += 1.0
        if kind == "clock":
            now_s += seconds
        elif kind == "write":
            control = law.after_request(control, now_s, seconds)
            control = after_write(control, Write(now_s, seconds, number, control.width))
        elif kind == "timeout":
            control = after_timeout(control, now_s, number)
        elif kind == "hint":
            control = with_hint(control, number)
        else:
            control = after_throttle(control, now_s, seconds, kind, number)  # type: ignore[arg-type]
        assert 1 <= control.width <= control.ceiling <= max(1, most // processes)
        assert SMALLEST <= control.batch <= LARGEST
        assert 0 <= width_at(control, now_s) <= control.width
        held_s = hold_s(control, now_s)
        assert width_at(control, now_s + held_s + 0.02) >= 1, "a pause ends"


def test_a_clock_that_is_set_back_leaves_room_for_writes() -> None:
    control = after_throttle(law.after_request(first_control(4, 4), NOW, 1.0), NOW - 3_600, 30.0, "time", 1)
    assert width_at(control, NOW - 3_600 + 31) >= 1


def test_the_target_leaves_room_before_dataverse_gives_up() -> None:
    assert TARGET_S * 10 < 120
    assert ENOUGH >= 12


def test_the_first_writes_of_a_wide_run_do_not_end_all_at_once() -> None:
    """Else a used-up budget refuses a whole round of them."""
    control = first_control(0, 48)
    rows = [law.rows_of_write(control, number) for number in range(control.width)]
    assert len(set(rows)) == control.width
    assert SMALLEST <= min(rows) < max(rows) == control.batch


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(first_control(0, 8), id="narrow"),
        pytest.param(replace(first_control(0, 48), row_s=0.01, batch=200), id="what a row costs is known"),
    ],
)
def test_all_other_writes_are_as_large_as_the_pace_says(control: Control) -> None:
    assert {law.rows_of_write(control, number) for number in range(60)} == {control.batch}
