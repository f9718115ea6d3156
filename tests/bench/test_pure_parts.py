"""The parts of the bench that compute: profiles, ceiling, arithmetic, documents. Nothing is timed here."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench import ceiling, compare, documents, machine, optimum, portal, simulation, state
from bench.__main__ import Partly, _jobs, save
from bench.compare import CEILING, LINKER, Result
from bench.environment import Environment
from bench.figures import SDK, Figures, goals
from bench.machine import ImportTime, Machine
from bench.portal import PageTime
from bench.profiles import FULL, NORMAL, PROFILES, SHORT, Profile, Sizes
from bench.recovery import Recovery
from bench.scale import Growth, Pass
from bench.spent import Spent, kind_of, sentence, spent
from bench.state import Store
from bench.writers import Work
from linker.core.linking.shards import SHARD_ROWS
from sandbox.protection import Work as SandboxWork
from sandbox.protection import cost_ms


def result(profile: str, competitor: str, rows_s: float, lost: int = 0) -> Result:
    return Result(profile, competitor, 1_000, (1_000 - lost) / rows_s, lost, 10, 0)


def shared(profile: str, share: float) -> Result:
    return replace(result(profile, LINKER, 1_900), rows=60_000, seconds=30.0, least_s=30.0 * share)


def growth(rows: int, **changes: object) -> Growth:
    one = Growth(
        rows,
        first=Pass(rows / 1_000, rows // 100, rows, "Successful"),
        unchanged=Pass(rows / 20_000, rows // 500 + 20, 0, "Successful"),
        changed=Pass(rows / 10_000, rows // 4_000 + 20, rows // 100, "Successful"),
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


# ---- profiles and optimum ----


@pytest.mark.parametrize(
    ("profile", "rows", "request_rows", "seconds"),
    [
        pytest.param(Profile("p", 2.0, ""), 60_000, 500, 30.0, id="the hint of four uses the budget up exactly"),
        pytest.param(Profile("p", 10.0, "", {"dop_hint": 48}), 100_000, 200, 1_000 / 48, id="a burst in one window"),
        pytest.param(
            Profile("p", 10.0, "", {"dop_hint": 48}), 360_000, 1, 600 + (3_600 - 2 * 1_200.48) / 48,
            id="three windows: budget and what is under way, twice, and the rest",
        ),
        pytest.param(
            Profile("p", 10.0, "", {"dop_hint": 48, "time_scale": 10.0}), 360_000, 1, 60 + (360 - 2 * 120.048) / 48,
            id="ten times as fast",
        ),
        pytest.param(
            Profile("p", 2.0, "", {"dop_hint": 8, "servers": 2, "protection_scope": "server"}), 60_000, 500, 15.0,
            id="two servers that count by themselves",
        ),
        pytest.param(
            Profile("p", 2.0, "", {"dop_hint": 8, "servers": 2, "limit_window_s": 10.0, "limit_execution_ms": 40_000.0}),
            60_000, 1, 20 + (120 - 2 * 40.016) / 8, id="two servers that count together",
        ),
        pytest.param(Profile("p", 2.0, "", {"protection": False}), 60_000, 500, 30.0, id="no limits, the width alone"),
        pytest.param(Profile("p", 0.0, ""), 60_000, 500, None, id="rows that cost nothing"),
    ],
)  # fmt: skip
def test_the_optimum_is_what_the_limits_leave(
    profile: Profile, rows: int, request_rows: int, seconds: float | None
) -> None:
    found = optimum.least_s(profile, rows, request_rows)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_what_others_spend_leaves_less() -> None:
    profile = Profile("p", 2.0, "", {"limit_window_s": 20.0, "limit_execution_ms": 80_000.0})
    assert optimum.sustained_rows_s(profile) == pytest.approx(2_000)
    assert optimum.sustained_rows_s(profile, 0.5) == pytest.approx(1_000)
    assert (optimum.least_s(profile, 60_000, 1, 0.5) or 0) > (optimum.least_s(profile, 60_000, 1) or 0)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_above_its_hint_a_server_writes_no_more(profile: Profile) -> None:
    config = profile.sandbox()
    at_hint = cost_ms(config, SandboxWork(rows_written=100), config.dop_hint) / config.dop_hint
    for more in (config.dop_hint + 1, 2 * config.dop_hint, 52):
        assert cost_ms(config, SandboxWork(rows_written=100), more) / more >= at_hint * (1 - 1e-9)


def test_prepared_requests_hold_every_row_once_with_key_and_bind_alone(environment: Environment) -> None:
    work = Work(environment, "msdynci_Link", {f"row-{n}": f"profile-{n}" for n in range(5)})
    targets = [json.loads(body)["Targets"] for body in ceiling.prepared(work, batch=2)]
    assert [len(rows) for rows in targets] == [2, 2, 1]
    assert [row["contactid"] for rows in targets for row in rows] == list(work.links)
    assert set(targets[0][0]) == {"@odata.type", "contactid", "msdynci_Link@odata.bind"}


@pytest.mark.parametrize("sizes", [SHORT, FULL], ids=["short", "full"])
def test_the_engine_gets_at_least_as_many_rows_as_any_peer(sizes: Sizes) -> None:
    assert sizes.engine >= max(sizes.bulk, sizes.patch, sizes.ceiling)


def test_where_a_row_costs_much_all_but_the_engine_get_half_as_many() -> None:
    costly = next(profile for profile in PROFILES if profile.name == "plug-in heavy")
    assert SHORT.of(costly) == replace(SHORT, ceiling=10_000, bulk=1_000)
    assert SHORT.of(NORMAL) == SHORT
    assert SHORT.of(replace(NORMAL, rows=7)).engine == 7


def test_one_row_in_a_thousand_is_bad_and_always_the_same() -> None:
    links = {f"{n:04}": "p" for n in range(2_000)}
    bad = compare.bad_rows(links, 0.001)
    assert len(bad) == 2
    assert bad == compare.bad_rows(dict(reversed(links.items())), 0.001)


def test_each_bad_row_is_refused_in_bulk_and_alone() -> None:
    faults = compare.faults_for({"a"})
    assert {fault["operation"]: fault.get("body") or fault.get("path") for fault in faults} == {
        "UpdateMultiple": "a",
        "Update": "a",
    }


# ---- arithmetic ----


@pytest.mark.parametrize("rows", [1, 4_999, 5_000, 70_000, 1_000_000, 10_000_000])
def test_shards_hold_no_more_rows_than_are_planned_for_one(rows: int) -> None:
    found = simulation.simulate(rows)
    assert found.shard_rows <= SHARD_ROWS
    assert found.read_requests >= rows / simulation.PAGE_ROWS_READ


@pytest.mark.parametrize("rows", simulation.SIZES)
def test_histories_stay_below_two_thousand_events_at_every_size(rows: int) -> None:
    found = simulation.simulate(rows)
    assert max(found.generation_events, found.departing_events) < 2_000


def test_single_and_packed_stores_are_given_the_same_sorts_of_keys() -> None:
    some = list(state.entries(1_000))
    assert len({key for key, _ in some}) == 1_000
    assert all(len(key) == 16 and value % 2 == 0 and value < 2**64 for key, value in some)


def test_an_entity_holds_any_hash_as_a_signed_number() -> None:
    assert state.entity(bytes(16), 2**64 - 2)["h"].value == -2


# ---- goals ----


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
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(50.0, 2_020, 1, "")))),
            "Nothing changed, 1,000,000 rows: writes", id="a write too many",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(50.0, 2_280, 0, "")))),
            "Nothing changed, 1,000,000 rows: requests", id="requests",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(61.0, 2_020, 0, "")))),
            "Nothing changed, 1,000,000 rows: seconds", id="a minute and more",
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
def test_a_missed_goal_is_told(bad: Figures, goal: str) -> None:
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
    assert sum(name == CEILING for _, name, _ in _jobs(FULL, waits=False)) == sum(not p.waits for p in PROFILES)


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


# ---- documents and machine ----


def test_the_page_shows_every_competitor_and_every_missed_goal() -> None:
    text = documents.performance(figures(shared("normal", 0.5)))
    assert "| **this engine** |" in text
    assert "| raw ceiling |" in text
    assert "| First link, normal, share of the optimum | >= 0.92 at 60,000 rows | 0.50 | **no** |" in text
    assert "2026-01-01 00:00 UTC" in text
    assert "load average 1.2" in text


def test_tables_have_as_many_cells_in_every_line() -> None:
    lines = [line for line in documents.scale([10_000, 1_000_000]).splitlines() if line.startswith("|")]
    assert len(lines) > 10
    assert {line.count("|") for line in lines} == {4}


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


@pytest.fixture
def environment() -> Environment:
    return Environment({"dataverse": "https://sandbox"}, 5, None)  # type: ignore[arg-type]  # no request is made


def test_a_profile_sends_its_cost_and_its_switches() -> None:
    sent = Profile("p", 2.0, "", {"protection": False}).config()
    assert sent == {"ms_per_row": 2.0, "protection": False, "latency_growth": 0.25}


# ---- where the time went ----


def test_the_time_of_a_run_is_told_by_whether_a_write_was_under_way() -> None:
    requests = [
        ("all else", 9.0, 10.5),
        ("mapping", 10.5, 11.0),
        ("writes", 11.0, 13.0),
        ("writes", 12.0, 14.0),
        ("profiles and read-back", 14.0, 15.0),
        ("writes", 15.0, 16.0),
    ]
    found = spent(requests, 10.0, 18.0)
    assert found is not None
    assert (found.before, found.writing, found.between, found.after) == (1.0, 4.0, 1.0, 2.0)
    assert found.at_once == pytest.approx(5 / 4)
    assert found.requests == {"writes": 5.0, "profiles and read-back": 1.0, "mapping": 0.5, "all else": 1.5}
    assert "1.0 passed before the first write" in sentence(found, 8.0)


def test_a_run_that_wrote_nothing_has_no_such_account() -> None:
    assert spent([("mapping", 1.0, 2.0), ("writes", 5.0, 6.0)], 0.0, 4.0) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", "writes"),
        ("$batch", "profiles and read-back"),
        ("msdynci_alternatekeys?$select=x", "mapping"),
        ("WhoAmI", "all else"),
    ],
)
def test_a_request_is_known_by_its_path(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_the_page_says_where_the_rest_went() -> None:
    ours = replace(result("normal", LINKER, 1_900), spent=Spent(0.1, 0.3, 0.05, 0.05, 3.5, {"writes": 1.0}))
    assert "0.1 passed before the first write, 0.3 with writes under way (3.5 at once)" in documents.performance(
        figures(ours)
    )
