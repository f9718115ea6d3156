"""Service protection with a fake clock: docs/reference/dataverse.md 1.1, 1.2, 1.4."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.middleware.service_protection import Refusal, ServiceProtection, Work, cost_ms
from sandbox.switches.config import SandboxConfig


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Bench:
    """One sandbox with a clock that a test moves."""

    config: SandboxConfig
    clock: Clock
    limits: ServiceProtection

    def request(self, spent_ms: float = 0.0, user: str = "linker", server: int = 0) -> Refusal | None:
        refused = self.limits.admit(user, server)
        if refused is None:
            self.limits.release(user, server, spent_ms)
        return refused


def bench(**switches: object) -> Bench:
    config, clock = SandboxConfig(**switches), Clock()  # type: ignore[arg-type]
    return Bench(config, clock, ServiceProtection(lambda: config, clock))


def refused_waits(sandbox: Bench, times: int, *, every_s: float) -> list[int]:
    """Push on so many times, and return the waits in seconds that the refusals ask for."""
    waits = []
    for _ in range(times):
        refused = sandbox.request()
        assert refused is not None
        waits.append(refused.retry_after_s)
        sandbox.clock.now_s += every_s
    return waits


@pytest.mark.parametrize(
    ("switches", "limit", "code", "message"),
    [
        pytest.param(
            {"limit_requests": 1},
            "requests",
            "0x80072322",
            "Number of requests exceeded the limit of 1 over time window of 300 seconds.",
            id="requests",
        ),
        pytest.param(
            {"limit_execution_ms": 1_200_000},
            "execution",
            "0x80072321",
            "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of "
            "300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again "
            "later.",
            id="execution time",
        ),
    ],
)
def test_a_window_limit_refuses_with_its_code_and_text(
    switches: dict[str, object], limit: str, code: str, message: str
) -> None:
    sandbox = bench(**switches)
    assert sandbox.request(spent_ms=1_200_000 if limit == "execution" else 0) is None
    refused = sandbox.request()
    assert refused == Refusal(code, message, 300)


def test_the_concurrency_limit_refuses_at_once_and_frees_with_the_slot() -> None:
    sandbox = bench(limit_concurrency=2)
    assert [sandbox.limits.admit("linker", 0) for _ in range(2)] == [None, None]
    refused = sandbox.limits.admit("linker", 0)
    assert refused is not None
    assert (refused.code, refused.message) == ("0x80072326", "Number of concurrent requests exceeded the limit of 2.")
    sandbox.limits.release("linker", 0, 0)
    assert sandbox.limits.admit("linker", 0) is None


def test_the_window_slides() -> None:
    sandbox = bench(limit_requests=2)
    sandbox.request()
    sandbox.clock.now_s += 299
    sandbox.request()
    sandbox.clock.now_s += 1
    assert sandbox.request() is None  # the first request has left the window, the second has not
    assert sandbox.request() is not None


def test_a_user_who_waits_for_retry_after_is_served() -> None:
    sandbox = bench(limit_requests=10)
    for _ in range(10):
        sandbox.request()
        sandbox.clock.now_s += 1
    refused = sandbox.request()
    assert refused is not None
    sandbox.clock.now_s += refused.retry_after_s
    assert sandbox.request() is None


@given(st.integers(0, 2_000), st.integers(5, 300))
def test_a_wait_that_is_exactly_as_long_as_asked_for_is_served(start: int, tenths: int) -> None:
    """Sums of tenths of a second are not exact: that must not look like a request that came too soon."""
    sandbox = bench(limit_requests=10)
    sandbox.clock.now_s += start / 10
    for _ in range(10):
        sandbox.request()
        sandbox.clock.now_s += tenths / 100
    refused = sandbox.request()
    assert refused is not None
    sandbox.clock.now_s += refused.retry_after_s
    assert sandbox.request() is None


def test_a_refusal_for_concurrency_does_not_shorten_the_wait_for_a_window() -> None:
    sandbox = bench(limit_requests=2, limit_concurrency=1)
    sandbox.limits.admit("linker", 0)
    assert sandbox.request() is not None  # no slot
    sandbox.limits.release("linker", 0, 0)
    sandbox.request()
    refused = sandbox.request()
    assert refused is not None
    sandbox.clock.now_s += refused.retry_after_s
    assert sandbox.request() is None


def test_retry_after_grows_for_a_user_who_does_not_wait() -> None:
    sandbox = bench(limit_requests=100, limit_window_s=3000.0)
    for _ in range(100):
        sandbox.request()
        sandbox.clock.now_s += 10
    ends = []
    for _ in range(4):
        refused = sandbox.request()
        assert refused is not None
        ends.append(sandbox.clock.now_s + refused.retry_after_s)
        sandbox.clock.now_s += 5
    assert ends == sorted(set(ends))


def test_after_a_burst_retry_after_itself_grows_up_to_two_windows_and_the_wait_still_ends() -> None:
    sandbox = bench(limit_requests=5)
    for _ in range(5):
        sandbox.request()
    waits = refused_waits(sandbox, 6, every_s=2)
    assert waits[:5] == sorted(set(waits[:5]))
    assert (waits[0], waits[-1]) == (300, 600)
    sandbox.clock.now_s += 598
    assert sandbox.request() is None


def test_pushing_on_until_the_window_is_empty_does_not_shorten_the_wait() -> None:
    sandbox = bench(limit_requests=1)
    sandbox.request()
    ends = []
    for _ in range(40):
        refused = sandbox.request()
        assert refused is not None
        ends.append(sandbox.clock.now_s + refused.retry_after_s)
        sandbox.clock.now_s += 10
    assert ends == sorted(ends)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.7])
def test_a_clock_with_fractions_costs_no_second_more(fraction: float) -> None:
    sandbox = bench(limit_requests=1)
    sandbox.clock.now_s = 1e6 + fraction
    sandbox.request()
    refused = sandbox.request()
    assert refused is not None
    assert refused.retry_after_s == 300


def test_a_reset_forgets_earlier_refusals() -> None:
    sandbox = bench(limit_requests=1)
    waits = []
    for _ in range(2):
        sandbox.request()
        refused = sandbox.request()
        assert refused is not None
        waits.append(refused.retry_after_s)
        sandbox.limits.reset()
    assert waits == [300, 300]


@pytest.mark.parametrize(("time_scale", "wait_s"), [(1.0, 300), (60.0, 5)])
def test_requests_already_on_their_way_do_not_make_the_wait_longer(time_scale: float, wait_s: int) -> None:
    sandbox = bench(limit_requests=1, time_scale=time_scale)
    sandbox.request()
    waits = refused_waits(sandbox, 50, every_s=0.01)
    assert set(waits) == {wait_s}


@pytest.mark.parametrize(
    ("scope", "user", "server", "served"),
    [
        pytest.param("user", "admin", 0, True, id="another user"),
        pytest.param("user", "linker", 1, False, id="another server, limits of the user"),
        pytest.param("server", "linker", 1, True, id="another server, limits of each server"),
    ],
)
@pytest.mark.parametrize("limit", ["limit_requests", "limit_concurrency"])
def test_whose_limits_count(scope: str, user: str, server: int, served: bool, limit: str) -> None:
    sandbox = bench(**{limit: 1, "protection_scope": scope})
    assert sandbox.limits.admit("linker", 0) is None
    assert sandbox.limits.admit("linker", 0) is not None
    assert (sandbox.limits.admit(user, server) is None) == served


def test_each_part_of_a_batch_counts_as_a_request() -> None:
    sandbox = bench(limit_requests=3)
    sandbox.limits.admit("linker", 0)
    answers = [sandbox.limits.count("linker", 0) for _ in range(3)]
    assert [refused is None for refused in answers] == [True, True, False]


def test_remaining_shows_requests_and_seconds() -> None:
    sandbox = bench()
    sandbox.request(spent_ms=1500)
    left = sandbox.limits.remaining("linker", 0)
    assert (left.requests, left.execution_s) == (5999, 1198.5)


def test_time_scale_makes_the_window_pass_sooner_and_retry_after_real() -> None:
    sandbox = bench(limit_requests=1, time_scale=60.0)
    sandbox.request()
    refused = sandbox.request()
    assert refused is not None
    assert refused.retry_after_s == 5
    sandbox.clock.now_s += 5
    assert sandbox.request() is None


def test_switched_off_it_refuses_nothing() -> None:
    sandbox = bench(limit_requests=1, limit_concurrency=1, protection=False)
    assert [sandbox.limits.admit("linker", 0) for _ in range(5)] == [None] * 5


@pytest.mark.parametrize(
    ("work", "in_flight", "expected_ms"),
    [
        pytest.param(Work(), 1, 5.0, id="a request"),
        pytest.param(Work(rows_written=100), 1, 205.0, id="rows written"),
        pytest.param(Work(rows_read=5000), 1, 55.0, id="rows read"),
        pytest.param(Work(parts=10), 1, 50.0, id="parts of a batch"),
        pytest.param(Work(extra_ms=7), 1, 12.0, id="a synchronous step"),
        pytest.param(Work(), 4, 5.0, id="as many as the hint"),
        pytest.param(Work(), 6, 10.0, id="two more than the hint"),
    ],
)
def test_cost(work: Work, in_flight: int, expected_ms: float) -> None:
    config = SandboxConfig(ms_per_request=5, ms_per_row=2, ms_per_row_read=0.01, latency_growth=0.5, dop_hint=4)
    assert cost_ms(config, work, in_flight) == pytest.approx(expected_ms)
