"""The parts of the bench that compute: profiles, ceiling, arithmetic, documents. Nothing is timed here."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from linker.pages import PAGE_ROWS

from bench import ceiling, compare, documents, machine, portal, simulation, state
from bench.__main__ import save
from bench.ceiling import Rate
from bench.compare import CEILING, LINKER, Result
from bench.environment import Environment
from bench.figures import SDK, Figures, goals
from bench.machine import ImportTime, Machine
from bench.portal import PageTime
from bench.profiles import FULL, NORMAL, PROFILES, SHORT, Profile, Sizes
from bench.scale import Growth, Pass
from bench.spent import Spent, kind_of, sentence, spent
from bench.state import Store
from bench.writers import Work


def result(profile: str, competitor: str, rows_s: float, lost: int = 0) -> Result:
    return Result(profile, competitor, 1_000, (1_000 - lost) / rows_s, lost, 10, 0)


def growth(rows: int, **changes: object) -> Growth:
    one = Growth(
        rows,
        first=Pass(rows / 1_000, rows // 100, rows, "Successful"),
        unchanged=Pass(rows / 20_000, rows // 5_000 + 20, 0, "Successful"),
        changed=Pass(rows / 10_000, rows // 4_000 + 20, rows // 100, "Successful"),
        peak_mb=120.0, instances=6, most_events=900, sent_bytes=1, received_bytes=1, most_result_bytes=1,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


PAGES = (PageTime("Status", 9.0, 10.0, 4_000), PageTime("Timeline", 20.0, 80.0, 60_000))


def figures(*results: Result, sizes: tuple[Growth, ...] | None = None, pages: tuple[PageTime, ...] = PAGES) -> Figures:
    names = ("normal", "plug-in heavy")
    standard = [
        result(name, who, rate) for name in names for who, rate in ((CEILING, 2_000), (LINKER, 1_900), (SDK, 400))
    ]
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


# ---- profiles and ceiling ----


def test_the_documented_limits_sustain_four_seconds_of_work_a_second() -> None:
    assert NORMAL.busy_budget == 4.0
    assert NORMAL.budget_rows_s == 2_000


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        pytest.param("fast", [2, 4, 8, 16], id="rows that cost nothing use up nothing"),
        pytest.param("normal", [2, 4], id="above four the documented limits strike back"),
        pytest.param("throttled", [2], id="half the limit, half the width"),
        pytest.param("crowded", [2, 4, 8, 16], id="nothing is limited"),
    ],
)
def test_the_ceiling_tries_only_widths_that_a_profile_sustains(name: str, widths: list[int]) -> None:
    assert ceiling.widths_to_try(next(p for p in PROFILES if p.name == name)) == widths


def test_the_best_width_is_the_fastest_one() -> None:
    assert ceiling.best([Rate(1, 100, 2.0), Rate(4, 100, 0.5), Rate(8, 100, 0.6)]).width == 4


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
    assert SHORT.of(costly) == replace(SHORT, ceiling=5_000, search=2_000, bulk=1_000)
    assert SHORT.of(NORMAL) == SHORT


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
def test_pages_are_never_fuller_than_what_was_counted_for_one(rows: int) -> None:
    found = simulation.simulate(rows)
    assert found.page_rows <= max(PAGE_ROWS, simulation.COUNT_CAP)
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
        pytest.param(figures(result("normal", LINKER, 1_700)), "First link, normal, over the raw ceiling", id="slow"),
        pytest.param(figures(result("normal", SDK, 1_000)), f"First link, normal, over Microsoft's {SDK}", id="fast SDK"),
        pytest.param(
            figures(result("plug-in heavy", LINKER, 2_000, lost=1)), "Rows lost by this engine over all profiles", id="lost"
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(50.0, 220, 1, "")))),
            "Nothing changed, 1,000,000 rows: writes", id="a write too many",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(50.0, 280, 0, "")))),
            "Nothing changed, 1,000,000 rows: requests", id="requests",
        ),
        pytest.param(
            figures(sizes=(growth(100_000), growth(1_000_000, unchanged=Pass(61.0, 220, 0, "")))),
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
    text = documents.performance(figures(result("normal", LINKER, 1_000)))
    assert "| **this engine** |" in text
    assert "| raw ceiling |" in text
    assert "| First link, normal, over the raw ceiling | >= 0.90 | 0.50 | **no** |" in text
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
    assert Profile("p", 2.0, "", {"protection": False}).config() == {"ms_per_row": 2.0, "protection": False}


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
