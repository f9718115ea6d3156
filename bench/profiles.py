"""What the simulated Dataverse costs and allows in each comparison, and how many rows each competitor gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sandbox.config import SandboxConfig, changed

BAD_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Profile:
    """One behaviour of the simulated Dataverse. `switches` go to `POST /sandbox/config`; `bad_share` of the rows is refused."""

    name: str
    ms_per_row: float
    about: str
    switches: Mapping[str, float | bool] = field(default_factory=dict)
    bad_share: float = 0.0

    def config(self) -> dict[str, float | bool]:
        """Return the body for `POST /sandbox/config`."""
        return {"ms_per_row": self.ms_per_row, **self.switches}

    @property
    def busy_budget(self) -> float | None:
        """Seconds of execution time that a second of wall time allows for ever, None without a limit."""
        config = changed(SandboxConfig(), self.switches)
        return config.limit_execution_ms / 1000 / config.limit_window_s if config.protection else None

    @property
    def budget_rows_s(self) -> float | None:
        """Rows a second that the limits allow for ever, None where rows cost nothing or nothing is limited."""
        return self.busy_budget * 1000 / self.ms_per_row if self.busy_budget and self.ms_per_row else None

    def sustains(self, width: int) -> bool:
        """Whether so many writes in flight stay within the execution time allowed; more of them only earn a 429 later."""
        return not self.ms_per_row or self.busy_budget is None or width <= self.busy_budget


# Half of the documented execution time, over a window short enough to be felt in a short run.
_HALF = {"limit_window_s": 20.0, "limit_execution_ms": 40_000.0}
_CROWDED = {"protection": False, "latency_growth": 0.5}

NORMAL = Profile("normal", 2.0, "2 ms a row, documented limits")
PROFILES = (
    Profile("fast", 0.0, "no cost per row, documented limits"),
    NORMAL,
    Profile("plug-in heavy", 10.0, "10 ms a row, documented limits"),
    Profile("throttled", 2.0, "2 ms a row, half of the documented execution time: the hinted width earns 429s", _HALF),
    Profile("crowded", 2.0, "2 ms a row, each request in flight above the hint slows all by half; no 429", _CROWDED),
    Profile("bad rows", 2.0, "2 ms a row, one row in 1,000 is refused, and nothing says which", bad_share=BAD_SHARE),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of each measurement. Peers that write one row or one batch at a time keep their rate, so they get fewer."""

    engine: int
    ceiling: int
    search: int  # ceiling, for each width tried
    patch: int
    bulk: int  # peers that write in bulk
    state_packed: int
    state_single: int
    growth: tuple[int, int]  # the two sizes whose memory and time are compared

    def of(self, profile: Profile) -> Sizes:
        """Return the sizes for a profile: where a row costs much, half as many make the same figure."""
        if profile.ms_per_row < COSTLY_MS:
            return self
        return replace(self, ceiling=self.ceiling // 2, search=self.search // 2, bulk=self.bulk // 2)


COSTLY_MS = 5.0
SHORT = Sizes(20_000, 10_000, 4_000, 500, 2_000, 50_000, 2_000, (20_000, 60_000))
FULL = Sizes(60_000, 20_000, 8_000, 1_000, 6_000, 1_000_000, 20_000, (100_000, 1_000_000))
