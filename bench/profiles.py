"""What the simulated Dataverse costs and allows in each comparison, and how many rows each competitor gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sandbox.switches.config import SandboxConfig, changed

BAD_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Profile:
    """One behavior of the simulated Dataverse. `switches` go to `POST /sandbox/config`; `bad_share` of the rows is refused.

    `rows` overrides the size of the run for this engine and the ceiling; `peers` says whether the other competitors run too.
    """

    name: str
    ms_per_row: float
    about: str
    switches: Mapping[str, float | bool | str] = field(default_factory=dict)
    bad_share: float = 0.0
    rows: int = 0
    peers: bool = False
    tables: str = "elastic"  # kind of the profile and the mapping table
    neighbor: bool = False  # another client of the same user writes meanwhile
    waits: bool = False  # for limits, most of the time: measured beside others of the kind, since processors are idle
    ceiling: bool = True  # measured in the short version too
    processes: int = 1  # of this engine, which share the shards of the run

    def config(self) -> dict[str, float | bool | str]:
        """Return the body for `POST /sandbox/config`. Above its hint the server only shares its time."""
        switches = {"ms_per_row": self.ms_per_row, **self.switches}
        hint = changed(SandboxConfig(), switches).dop_hint
        return {"latency_growth": 1 / hint, **switches}

    def sandbox(self) -> SandboxConfig:
        """Return the configuration that the sandbox has in this profile."""
        return changed(SandboxConfig(), self.config())


# Half of the documented execution time, over a window short enough to be felt in a short run.
_HALF = {"limit_window_s": 20.0, "limit_execution_ms": 40_000.0}
_SHORT_WINDOW = {"limit_window_s": 20.0, "limit_execution_ms": 80_000.0}
_CROWDED = {"protection": False, "latency_growth": 0.5}
_WIDE = {"dop_hint": 48}
# A window of 300 s passes in 100 s, and a row takes 10 ms of them. A shorter window would measure its own ends: the round of
# writes that is under way when the budget is used up is a quarter of this budget, and a twelfth of the real one.
_SCALED = {"dop_hint": 48, "time_scale": 3.0}

NORMAL = Profile("normal", 2.0, "2 ms a row, documented limits", peers=True)
FAST = Profile("fast", 0.0, "no cost per row, documented limits", peers=True)
PLUGINS = Profile("plug-in heavy", 10.0, "10 ms a row, documented limits", waits=True)
THROTTLED = Profile(
    "throttled",
    2.0,
    "2 ms a row, half of the documented execution time: the hinted width earns 429s",
    _HALF,
    rows=60_000,
    waits=True,
)
CROWDED = Profile(
    "crowded", 2.0, "2 ms a row, each request in flight above the hint slows all by half; no 429", _CROWDED
)
BAD_ROWS = Profile(
    "bad rows", 2.0, "2 ms a row, one row in 1,000 is refused, and nothing says which", bad_share=BAD_SHARE, peers=True
)
BURST_FAST = Profile(
    "burst, 2 ms", 2.0, "a hint of 48, 2 ms a row: one process is bound by its processor", _WIDE, rows=100_000
)
BURST_TWO = replace(
    BURST_FAST,
    name="burst, 2 ms, two processes",
    about="a hint of 48, 2 ms a row, and two processes of the engine, which share the shards and the hint",
    ceiling=False,
    processes=2,
)
BURST = Profile(
    "burst, 10 ms", 10.0, "a hint of 48, 10 ms a row: less than the budget of one window", _WIDE, rows=100_000
)
THREE_WINDOWS = Profile(
    "burst then sustained",
    30.0,
    "a hint of 48, rows for two windows and most of a third, three times as fast: 10 ms a row, windows of 100 s",
    _SCALED,
    rows=108_000,
    waits=True,
    ceiling=False,
)
TWO_SERVERS = Profile(
    "two servers",
    2.0,
    "a hint of 8 and 2 ms a row on two servers, each with the documented limits",
    {"dop_hint": 8, "servers": 2, "protection_scope": "server"},
    rows=60_000,
    ceiling=False,
)
FOUR_SERVERS = Profile(
    "four servers",
    5.0,
    "a hint of 16 and 5 ms a row on four servers, each with the documented limits",
    {"dop_hint": 16, "servers": 4, "protection_scope": "server"},
    rows=60_000,
    ceiling=False,
)
NEIGHBOR = Profile(
    "noisy neighbor",
    2.0,
    "2 ms a row, the documented rate over a window of 20 s, of which another client of the same user spends half",
    _SHORT_WINDOW,
    rows=40_000,
    neighbor=True,
    waits=True,
    ceiling=False,
)
STANDARD = replace(
    NORMAL,
    name="normal, standard tables",
    about=f"{NORMAL.about}, standard tables",
    tables="standard",
    peers=False,
    ceiling=False,
)
BURST_STANDARD = replace(
    BURST, name="burst, standard tables", about=f"{BURST.about}, standard tables", tables="standard", ceiling=False
)
PROFILES = (
    FAST,
    NORMAL,
    PLUGINS,
    THROTTLED,
    CROWDED,
    BAD_ROWS,
    BURST_FAST,
    BURST_TWO,
    BURST,
    THREE_WINDOWS,
    TWO_SERVERS,
    FOUR_SERVERS,
    NEIGHBOR,
    STANDARD,
    BURST_STANDARD,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of each measurement. Peers that write one row or one batch at a time keep their rate, so they get fewer."""

    engine: int
    ceiling: int
    patch: int
    bulk: int  # peers that write in bulk
    state_packed: int
    state_single: int
    growth: tuple[int, int]  # the two sizes whose memory and time are compared
    all_ceilings: bool = False

    def of(self, profile: Profile) -> Sizes:
        """Return the sizes for a profile: where a row costs much, half as many make the same figure."""
        if profile.rows:
            return replace(self, engine=profile.rows, ceiling=profile.rows)
        if profile.ms_per_row < COSTLY_MS:
            return self
        return replace(self, ceiling=self.ceiling // 2, bulk=self.bulk // 2)


COSTLY_MS = 5.0
SHORT = Sizes(20_000, 20_000, 500, 2_000, 50_000, 2_000, (20_000, 60_000))
FULL = Sizes(60_000, 60_000, 1_000, 6_000, 1_000_000, 20_000, (100_000, 1_000_000), all_ceilings=True)
