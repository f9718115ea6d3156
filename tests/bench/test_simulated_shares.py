"""The pace in the profiles of the bench, in virtual time: what part of the optimum it leaves to the rest of the engine.

The least shares are about what the pace reaches today. Those of the throttled profile, beside a noisy neighbor, and of a
million rows under normal are below the goals. The neighbor here never pauses, and it crowds the server as in the bench.
"""

from dataclasses import replace

import pytest

from bench import optimum
from bench.neighbor import LANES
from bench.profiles import (
    BURST,
    BURST_FAST,
    CROWDED,
    FOUR_SERVERS,
    NEIGHBOR,
    NORMAL,
    PLUGINS,
    THREE_WINDOWS,
    THROTTLED,
    TWO_SERVERS,
    Profile,
)
from tests.bench.simulated_losses import CAUSES, MeteredService
from tests.core.throttling.simulated_world import World

UNSCALED = replace(THREE_WINDOWS, ms_per_row=10.0, switches={"dop_hint": 48})
HALF = 0.5  # of the budget, spent by the neighbor
NEVER_S = 100_000.0


def world_of(profile: Profile) -> World:
    config = profile.sandbox()
    return World(
        seed=1,
        hint=config.dop_hint,
        row_s=optimum.row_s(config),
        request_s=0.0,
        knee=config.dop_hint,
        growth=config.latency_growth,
        noise=0.1,
        servers=config.servers,
        window_s=optimum.window_s(config),
        execution_s=config.limit_execution_ms / 1000 / config.time_scale if config.protection else 1e9,
        requests=config.limit_requests,
        concurrency=config.limit_concurrency,
        neighbor=HALF if profile.neighbor else 0.0,
        others=LANES if profile.neighbor else 0,
        others_from_s=0.0,
        seconds=NEVER_S,
    )


def play(profile: Profile, rows: int) -> tuple[float, MeteredService]:
    """Return the share of the optimum that a run reaches, and the run."""
    service = MeteredService(world_of(profile), optimum.width(profile.sandbox()))
    outcome = service.run(rows)
    assert outcome.grown == 0
    request_rows = optimum.engine_request_rows(profile.sandbox())
    least_s = optimum.least_s(profile, outcome.rows, request_rows, HALF if profile.neighbor else 0.0)
    assert least_s is not None
    return least_s / (service.now_s - service.start_s), service


@pytest.mark.parametrize(
    ("profile", "rows", "least"),
    [
        pytest.param(BURST, 100_000, 0.90, id="burst, 10 ms"),
        pytest.param(BURST_FAST, 100_000, 0.69, id="burst, 2 ms"),
        pytest.param(THREE_WINDOWS, 100_000, 0.92, id="burst then sustained, fewer rows"),
        pytest.param(THREE_WINDOWS, 108_000, 0.92, id="burst then sustained"),
        pytest.param(THREE_WINDOWS, 116_000, 0.92, id="burst then sustained, more rows"),
        pytest.param(UNSCALED, 360_000, 0.94, id="burst then sustained, unscaled"),
        pytest.param(NORMAL, 60_000, 0.92, id="normal"),
        pytest.param(PLUGINS, 60_000, 0.92, id="plug-in heavy"),
        pytest.param(NORMAL, 1_000_000, 0.93, id="normal, 1 M rows"),
        pytest.param(PLUGINS, 1_000_000, 0.95, id="plug-in heavy, 1 M rows"),
        pytest.param(THROTTLED, 60_000, 0.77, id="throttled"),
        pytest.param(CROWDED, 60_000, 0.90, id="crowded"),
        pytest.param(NEIGHBOR, 40_000, 0.70, id="noisy neighbor"),
        pytest.param(TWO_SERVERS, 60_000, 0.93, id="two servers"),
        pytest.param(FOUR_SERVERS, 60_000, 0.88, id="four servers"),
    ],
)
def test_the_pace_keeps_its_share_of_the_optimum(profile: Profile, rows: int, least: float) -> None:
    share, service = play(profile, rows)
    causes = ", ".join(f"{service.seconds[cause]:.1f} {cause}" for cause in CAUSES)
    print(f"{profile.name}, {rows:,} rows: {share:.3f}; seconds: {causes}; {service.outcome.refused} refused")
    assert least <= share <= 1.0
    assert sum(service.seconds.values()) == pytest.approx(service.now_s - service.start_s)


@pytest.mark.parametrize("profile", [THROTTLED, THREE_WINDOWS, UNSCALED], ids=["throttled", "scaled", "unscaled"])
def test_a_limit_that_is_known_is_not_met_again(profile: Profile) -> None:
    """The first refusal shows the limit: for three windows nothing else is refused."""
    config = profile.sandbox()
    _, service = play(profile, int(3 * optimum.budget_s(config) / optimum.row_s(config)))
    assert service.outcome.refused == 1
