"""Goals that figures meet or miss, and what is saved."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench import compare, documents, machine, portal
from bench.__main__ import Partly, _jobs, longest_first, save
from bench.compare import CEILING, LINKER, Result
from bench.figures import SDK, Figures, goals
from bench.machine import ImportTime, Machine
from bench.portal import PageTime
from bench.profiles import FULL, NORMAL, PROFILES, SHORT
from bench.recovery import Recovery
from bench.scale import Costly, Growth, Pass
from bench.state import Store


def result(profile: str, competitor: str, rows_s: float, lost: int = 0) -> Result:
    return Result(profile, competitor, 1_000, (1_000 - lost) / rows_s, lost, 10, 0)


def shared(profile: str, share: float) -> Result:
    return replace(result(profile, LINKER, 1_900), rows=60_000, seconds=30.0, least_s=30.0 * share)


def growth(rows: int, **changes: object) -> Growth:
    one = Growth(
        rows,
        first=Pass(rows / 1_000, rows // 100, rows, "Successful"),
        unchanged=Pass(rows / 40_000, rows // 500 + 20, 0, "Successful"),
        changed=Pass(rows / 13_000, rows // 4_000 + 20, rows // 100, "Successful"),
        delta_unchanged=Pass(4.0, 20, 0, "Successful"),
        delta_changed=Pass(rows / 90_000, 300, rows // 100, "Successful"),
        costly=tuple(
            Costly(ms, Pass(rows * ms / 330_000, 300, rows // 100, "Successful"), rows * ms / 400_000) for ms in (2, 10)
        ),
        peak_mb=120.0, instances=6, most_events=900, sent_bytes=1, received_bytes=1, most_result_bytes=1,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


PAGES = (PageTime("Status", 9.0, 10.0, 4_000), PageTime("Timeline", 20.0, 80.0, 60_000))


def figures(*results: Result, sizes: tuple[Growth, ...] | None = None, pages: tuple[PageTime, ...] = PAGES) -> Figures:
    names = ("normal", "plug-in heavy")
    standard = [result(name, who, rate) for name in names for who, rate in ((CEILING, 2_000), (SDK, 400))]
    standard += [shared(name, 0.95) for name in names]
    given = {(r.profile, r.competitor): r for r in (*standard, *results)}
    return Figures(
        Machine("2026-01-01 00:00 UTC", "CPU", 2, 8.0, "3.13.0", 1.2), full=False, seconds=60.0,
        profiles=tuple(profile for profile in PROFILES if profile.name in names), results=tuple(given.values()),
        touched=result("normal", LINKER, 1_000),
        growth=sizes or (growth(100_000), growth(1_000_000)), packed=Store(100, 1.0, 1.0), single=Store(10, 1.0, 1.0),
        imports=ImportTime(0.9, {"linker": 180.0}), portal=pages,
    )  # fmt: skip


def missed(found: Figures) -> list[str]:
    return [goal.what for goal in goals(found) if goal.met is False]


def test_good_figures_meet_every_goal() -> None:
    assert missed(figures()) == []


@pytest.mark.parametrize(
    ("bad", "goal"),
    [
        pytest.param(figures(shared("normal", 0.80)), "First link, normal, share of the optimum", id="slow"),
        pytest.param(
            figures(shared("plug-in heavy", 1.01)), "Largest share of the optimum in any measurement", id="too fast"
        ),
        pytest.param(
            figures(replace(shared("normal", 0.95), requests=1_000, throttled=20)),
            "Requests refused after settling, the worst profile", id="refused",
        ),
        pytest.param(figures(result("normal", SDK, 1_000)), f"First link, normal, over Microsoft's {SDK}", id="fast SDK"),
        pytest.param(
            figures(result("plug-in heavy", LINKER, 2_000, lost=1)), "Rows lost by this engine over all profiles", id="lost"
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(29.0, 2_020, 1, "")))),
            "Nothing changed, 1,000,000 rows: writes", id="a write too many",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(29.0, 2_280, 0, "")))),
            "Nothing changed, 1,000,000 rows: requests", id="requests",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(31.0, 2_020, 0, "")))),
            "Nothing changed, 1,000,000 rows: seconds", id="half a minute and more",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, delta_unchanged=Pass(4.0, 20, 1, "")))),
            "Nothing changed, delta scan, 1,000,000 rows: writes", id="a delta scan that writes",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, delta_unchanged=Pass(4.0, 26, 0, "")))),
            "Nothing changed, delta scan, 1,000,000 rows: requests", id="a delta scan of many requests",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, delta_unchanged=Pass(5.1, 20, 0, "")))),
            "Nothing changed, delta scan, 1,000,000 rows: seconds", id="a slow delta scan",
        ),
        pytest.param(
            figures(
                sizes=(growth(100_000), growth(1_000_000, costly=(Costly(2, Pass(6.6, 300, 10_000, "Successful"), 5.0),)))
            ),
            "1 % changed, delta scan, 1,000,000 rows, 2 ms a row, over its writes alone", id="slow changes",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, peak_mb=150.0))),
            "Peak memory, 1,000,000 over 100,000 rows", id="memory grows",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, most_events=2_000))),
            "History events of an orchestration", id="history",
        ),
        pytest.param(
            figures(pages=(PageTime("Status", 9.0, 10.0, 1), PageTime("Timeline", 20.0, 100.0, 1))),
            "Slowest page (Timeline) with 1,000 runs stored, ms", id="a slow page",
        ),
    ],
)  # fmt: skip
def test_a_missed_goal_is_reported(bad: Figures, goal: str) -> None:
    assert missed(bad) == [goal]


@pytest.mark.parametrize(
    ("recovery", "missed_goals"),
    [
        pytest.param(Recovery(50.0, 145.0, 0, "Successful"), 0, id="in time"),
        pytest.param(Recovery(61.0, 145.0, 0, "Successful"), 1, id="the next write too late"),
        pytest.param(Recovery(50.0, 151.0, 0, "Successful"), 1, id="the last shard too late"),
    ],
)
def test_a_killed_host_has_so_long(recovery: Recovery, missed_goals: int) -> None:
    found = replace(figures(), recoveries=(recovery,))
    assert len(missed(found)) == missed_goals
    assert f"| {recovery.continues_s:.2f} |" in documents.performance(found)


def test_a_measurement_that_breaks_off_is_made_again_and_then_shown_with_its_reason(tmp_path: Path) -> None:
    tries = list[str]()

    def breaks_off() -> Result:
        raise RuntimeError("did not start")

    found = compare.measured((NORMAL, LINKER, breaks_off), tries.append)
    assert "did not start" in found.told
    assert found.lost == found.rows  # no goal takes it for a success
    assert len([one for one in tries if one == f"normal: {LINKER}"]) == 2
    text = documents.performance(figures(replace(found, competitor=LINKER)))
    assert "did not start" in text
    Partly(tmp_path / "partial.json")(found)
    assert "did not start" in (tmp_path / "partial.json").read_text()


def test_a_profile_without_a_ceiling_shows_no_ratio() -> None:
    found = figures()
    alone = replace(found, results=tuple(one for one in found.results if one.competitor != CEILING))
    assert alone.ratio("normal", LINKER) is None
    assert "| **this engine** |" in documents.performance(alone)


def test_every_profile_is_measured_once_and_the_short_version_leaves_ceilings_out() -> None:
    jobs = [*_jobs(SHORT, waits=False), *_jobs(SHORT, waits=True)]
    assert sorted(profile.name for profile, name, _ in jobs if name == LINKER) == sorted(p.name for p in PROFILES)
    assert {p.name for p, name, _ in jobs if name == CEILING} == {p.name for p in PROFILES if p.ceiling}
    with_ceiling = [p for p in PROFILES if not p.waits and p.processes == 1]
    assert sum(name == CEILING for _, name, _ in _jobs(FULL, waits=False)) == len(with_ceiling)


def test_of_the_measurements_that_run_at_once_the_longest_begins_first() -> None:
    order = [profile.name for profile, _, _ in longest_first(_jobs(SHORT, waits=True), SHORT)]
    assert (order[0], order[-1]) == ("burst then sustained", "noisy neighbor")
    assert sorted(order) == sorted(profile.name for profile, _, _ in _jobs(SHORT, waits=True))


def test_seconds_at_a_smaller_size_are_neither_met_nor_missed() -> None:
    found = figures(sizes=(growth(1_000), growth(10_000)))
    assert next(goal.met for goal in goals(found) if goal.what.endswith("seconds")) is None


def test_lost_rows_do_not_count_for_the_rate() -> None:
    assert Result("p", "c", 1_000, 2.0, 400, 1, 0).rows_s == 300


def test_stored_runs_lie_in_the_days_that_the_pages_show_newest_first() -> None:
    runs = portal.past_runs(portal.MANY)
    asked = [run.requested_at for run in runs]
    assert (len({run.id for run in runs}), asked) == (portal.MANY, sorted(asked, reverse=True))
    first = datetime.fromisoformat(asked[-1])
    assert timedelta(0) < datetime.now(UTC) - first < timedelta(days=portal.DAYS)


def test_what_is_saved_can_be_read_again(tmp_path: Path) -> None:
    save(figures(), tmp_path / "results.json", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert {result["competitor"] for result in found["results"]} == {CEILING, LINKER, SDK}
    assert all(goal["met"] for goal in found["goals"])
    assert (tmp_path / "scale.md").read_text().startswith("# Scale")


def test_import_time_is_the_cumulative_time_of_the_app_and_the_own_time_of_packages() -> None:
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:      1000 |       1000 |   linker.pages\n"
        "import time:      3000 |       4000 |   linker\n"
        "import time:       500 |       4500 | function_app\n"
        "a warning of some package\n"
    )
    assert machine.read_import_time(text) == ImportTime(0.0045, {"linker": 4.0, "function_app": 0.5})


def test_the_machine_is_described_without_names_or_paths() -> None:
    found = machine.describe()
    assert found.cores >= 1
    assert "/" not in found.cpu
