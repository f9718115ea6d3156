"""Profiles, the optimum that limits leave, and what a run of any size plans."""

import json
from dataclasses import replace

import pytest

from bench import ceiling, compare, optimum, simulation, state
from bench.environment import Environment
from bench.profiles import FULL, NORMAL, PROFILES, SHORT, Profile, Sizes
from bench.writers import Work
from linker.core.linking.shards import SHARD_ROWS
from sandbox.middleware.service_protection import Work as SandboxWork
from sandbox.middleware.service_protection import cost_ms


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


def test_what_others_write_takes_its_part_of_the_server() -> None:
    """Half of the budget is 2 s of work in each second, of the 4 s that a hint of four stands for."""
    alone = Profile("p", 2.0, "", {"limit_window_s": 20.0, "limit_execution_ms": 80_000.0})
    assert optimum.least_s(alone, 10_000, 1, 0.5) == pytest.approx(20_000 / 2_000)
    roomy = Profile("p", 2.0, "", {"dop_hint": 4, "servers": 2})
    assert optimum.lanes_left(roomy.sandbox(), 0.5) == 4  # the other server has room for both


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


@pytest.fixture
def environment() -> Environment:
    return Environment({"dataverse": "https://sandbox"}, 5, None)  # type: ignore[arg-type]  # no request is made


def test_a_profile_sends_its_cost_and_its_switches() -> None:
    sent = Profile("p", 2.0, "", {"protection": False}).config()
    assert sent == {"ms_per_row": 2.0, "protection": False, "latency_growth": 0.25}
