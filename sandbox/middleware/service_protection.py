"""Service protection limits (docs/reference/dataverse.md 1): three limits per user, and what a request costs.

Microsoft's page says that each web server counts by itself; a report of 2026 from a real environment says that they
count together (switch `protection_scope`).

Everything here counts in simulated seconds, `time_scale` of which pass in one real second. Only configured costs count
as execution time, never the time that the sandbox itself needs: figures then depend on the switches alone.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.switches.config import SandboxConfig

_FREE_SHARE: Final = 0.1
"""Share of a used-up limit that must be free again when Retry-After ends; else the next request is refused at once."""
_FIRST_CONCURRENCY_WAIT_S: Final = 2.0
_ROUNDING_S: Final = 1e-6
"""Differences of times are this exact: they must cost neither a whole second more nor a refusal when the wait is over."""
_GROWTH: Final = 1.25
"""How much longer Retry-After gets when a request does not wait for the end of the one before."""
_MAX_WINDOWS: Final = 2.0
"""What Retry-After grows to, in windows: even after a burst, whose first wait is a window, it is seen to grow."""
_ON_THEIR_WAY_S: Final = 1.0
"""Requests that come this soon (in real seconds) after a refusal were sent before it could be read: no offence."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429 of service protection (docs/reference/dataverse.md 1.2). `retry_after_s` is in real, whole seconds."""

    code: str
    message: str
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a user's limits on one server: requests, and seconds of execution time."""

    requests: int
    execution_s: float


@dataclass(slots=True)
class Work:
    """What one HTTP request did, filled in while it is served. `parts` are the operations of a $batch."""

    parts: int = 0
    rows_written: int = 0
    rows_read: int = 0
    extra_ms: float = 0.0
    """Cost beside requests and rows, as of a synchronous plug-in step (docs/reference/dataverse.md 1.1)."""
    written: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Table and ids of the rows that it has written."""


def cost_ms(config: SandboxConfig, work: Work, in_flight: int) -> float:
    """Return the simulated duration of a request when `in_flight` requests, itself included, share its server."""
    crowd = max(0, in_flight - config.dop_hint)
    own = max(1, work.parts) * config.ms_per_request + work.rows_written * config.ms_per_row
    own += work.rows_read * config.ms_per_row_read + work.extra_ms
    return own * (1 + config.latency_growth * crowd)


@dataclass(slots=True)
class _Window:
    """What one user did on one server recently."""

    entries: deque[tuple[float, int, float]] = field(default_factory=deque)
    requests: int = 0
    execution_ms: float = 0.0
    in_flight: int = 0
    blocked_until: float = 0.0
    blocked_by: str = ""
    asked_for: str = ""
    asked_at: float = -math.inf
    asked_until: float = 0.0
    ignored: int = 0

    def forget_before(self, time_s: float) -> None:
        while self.entries and self.entries[0][0] <= time_s:
            _, requests, execution_ms = self.entries.popleft()
            self.requests -= requests
            self.execution_ms -= execution_ms
        if not self.entries:
            self.execution_ms = 0.0  # sums of fractions drift

    def add(self, now_s: float, requests: int, execution_ms: float) -> None:
        self.entries.append((now_s, requests, execution_ms))
        self.requests += requests
        self.execution_ms += execution_ms


class ServiceProtection:
    """Admits or refuses requests. `clock_s` is real monotonic time in seconds."""

    def __init__(self, config: Callable[[], SandboxConfig], clock_s: Callable[[], float]) -> None:
        self._config = config
        self._clock_s = clock_s
        self._windows: defaultdict[tuple[str, int], _Window] = defaultdict(_Window)
        self._in_flight: defaultdict[int, int] = defaultdict(int)

    def admit(self, user: str, server: int) -> Refusal | None:
        """Take a slot and count one request, or say why not. Who is admitted must `release`."""
        config, window, now = self._config(), self._window(user, server), self._now()
        busy = config.protection and window.in_flight >= config.limit_concurrency
        refused = _refuse(config, window, "concurrency", now) if busy else self.count(user, server)
        if refused is None:
            window.ignored = 0
            window.in_flight += 1
            self._in_flight[server] += 1
        return refused

    def count(self, user: str, server: int) -> Refusal | None:
        """Count one request, or one operation of a $batch (docs/reference/dataverse.md 1.6), or say why not."""
        config, window, now = self._config(), self._window(user, server), self._now()
        exceeded = _exceeded(config, window, now) if config.protection else None
        if exceeded is not None:
            return _refuse(config, window, exceeded, now)
        window.add(now, 1, 0.0)
        return None

    def release(self, user: str, server: int, spent_ms: float) -> None:
        """Give the slot back and add the execution time of the request."""
        window = self._window(user, server)
        window.in_flight -= 1
        self._in_flight[server] -= 1
        window.add(self._now(), 0, spent_ms)

    def cost_ms(self, server: int, work: Work) -> float:
        """Return the simulated duration of a request that is still in flight on this server."""
        return cost_ms(self._config(), work, self._in_flight[server])

    def remaining(self, user: str, server: int) -> Remaining:
        """Return what the headers `x-ms-ratelimit-*-remaining` say."""
        config, window = self._config(), self._window(user, server)
        left_ms = max(0.0, config.limit_execution_ms - window.execution_ms)
        return Remaining(max(0, config.limit_requests - window.requests), left_ms / 1000)

    def reset(self) -> None:
        """Forget all that was counted; requests in flight keep their slots."""
        for window in self._windows.values():
            window.forget_before(math.inf)
            window.blocked_until = window.asked_until = 0.0
            window.asked_for, window.ignored = "", 0

    def _window(self, user: str, server: int) -> _Window:
        window = self._windows[user, server if self._config().protection_scope == "server" else 0]
        window.forget_before(self._now() - self._config().limit_window_s + _ROUNDING_S)
        return window

    def _now(self) -> float:
        return self._clock_s() * self._config().time_scale


def _exceeded(config: SandboxConfig, window: _Window, now_s: float) -> str | None:
    if now_s < window.blocked_until - _ROUNDING_S:
        return window.blocked_by
    if window.requests >= config.limit_requests:
        return "requests"
    if window.execution_ms >= config.limit_execution_ms:
        return "execution"
    return None


def _refuse(config: SandboxConfig, window: _Window, limit: str, now_s: float) -> Refusal:
    if limit != window.asked_for or window.asked_at + _ON_THEIR_WAY_S * config.time_scale < now_s:
        again = limit == window.asked_for and now_s < window.asked_until - _ROUNDING_S
        window.ignored = window.ignored + 1 if again else 0
        wait_s = _base_wait_s(config, window, limit, now_s) * _GROWTH**window.ignored
        until = now_s + min(_MAX_WINDOWS * config.limit_window_s, wait_s)
        window.asked_until = max(until, window.asked_until) if again else until
        window.asked_for, window.asked_at = limit, now_s
    if limit != "concurrency":  # a free slot is enough there, however soon the next request comes
        window.blocked_until, window.blocked_by = window.asked_until, limit
    return refusal(config, limit, window.asked_until - now_s)


def _base_wait_s(config: SandboxConfig, window: _Window, limit: str, now_s: float) -> float:
    """Return how long it takes until a tenth of the limit has left the sliding window."""
    if limit == "concurrency":
        return _FIRST_CONCURRENCY_WAIT_S
    allowed = config.limit_requests if limit == "requests" else config.limit_execution_ms
    used: float = window.requests if limit == "requests" else window.execution_ms
    for time_s, requests, execution_ms in window.entries:
        used -= requests if limit == "requests" else execution_ms
        if used <= allowed * (1 - _FREE_SHARE):
            return max(1.0, time_s + config.limit_window_s - now_s)
    return 1.0


def refusal(config: SandboxConfig, limit: str, wait_s: float) -> Refusal:
    """Return the documented 429 of a limit (`requests`, `execution`, `concurrency`); `wait_s` is simulated time."""
    window = f"over time window of {config.limit_window_s:.0f} seconds."
    code, message = {
        "requests": ("0x80072322", f"Number of requests exceeded the limit of {config.limit_requests} {window}"),
        "execution": (
            "0x80072321",
            f"Combined execution time of incoming requests exceeded limit of {config.limit_execution_ms:,.0f} "
            f"milliseconds {window} Decrease number of concurrent requests or reduce the duration of requests and try "
            "again later.",
        ),
        "concurrency": (
            "0x80072326",
            f"Number of concurrent requests exceeded the limit of {config.limit_concurrency}.",
        ),
    }[limit]
    return Refusal(code, message, max(1, math.ceil(wait_s / config.time_scale - _ROUNDING_S)))
