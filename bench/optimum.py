"""The least time that the sandbox's own limits leave for a number of rows. Pure; nothing that obeys the limits is faster.

A client that knows everything writes at the width of the hint, beyond which the server only shares its time (the profiles
set `latency_growth` to one over the hint); what another client writes takes its part of that. Service protection refuses new
requests once a window's execution time is used up, and lets those under way finish: each window holds its budget and one
round of requests. After that the client waits for the window to pass. All times are real seconds; `time_scale` shortens them.
"""

from __future__ import annotations

from math import ceil

from bench.profiles import Profile
from linker.core.throttling.width import FIRST_BATCH, LARGEST, TARGET_S
from sandbox.switches.config import SandboxConfig


def width(config: SandboxConfig) -> int:
    """Return the writes at once that bring the most."""
    return min(config.dop_hint, config.limit_concurrency * _counted(config))


def lanes_left(config: SandboxConfig, others_share: float = 0.0) -> float:
    """Return how much of the work of `width` is left beside another client, whose writes take their share of the servers."""
    others = others_share * budget_s(config) / window_s(config)
    return min(width(config), config.servers * config.dop_hint - others)


def budget_s(config: SandboxConfig, others_share: float = 0.0) -> float:
    """Return the seconds of execution time that a window allows, without the share that others spend."""
    return config.limit_execution_ms / 1000 / config.time_scale * _counted(config) * (1 - others_share)


def window_s(config: SandboxConfig) -> float:
    """Return the window of the limits."""
    return config.limit_window_s / config.time_scale


def row_s(config: SandboxConfig) -> float:
    """Return the seconds of execution time of one row."""
    return config.ms_per_row / 1000 / config.time_scale


def engine_request_rows(config: SandboxConfig) -> int:
    """Return how many rows this engine puts into a request."""
    return max(FIRST_BATCH, min(LARGEST, int(TARGET_S / row_s(config)))) if config.ms_per_row else LARGEST


def least_s(profile: Profile, rows: int, request_rows: int, others_share: float = 0.0) -> float | None:
    """Return the least seconds for so many rows in requests of so many; None where rows cost nothing."""
    config = profile.sandbox()
    execution_s, lanes = rows * row_s(config), lanes_left(config, others_share)
    if not execution_s:
        return None
    if not config.protection:
        return execution_s / lanes
    full_s = min(
        budget_s(config, others_share) + lanes * min(rows, request_rows) * row_s(config), lanes * window_s(config)
    )
    windows = ceil(execution_s / full_s) - 1
    return windows * window_s(config) + (execution_s - windows * full_s) / lanes


def sustained_rows_s(profile: Profile, others_share: float = 0.0) -> float | None:
    """Return the rows a second that the limits allow for ever; None where rows cost nothing."""
    config = profile.sandbox()
    if not config.ms_per_row:
        return None
    lanes = lanes_left(config, others_share)
    if config.protection:
        lanes = min(lanes, budget_s(config, others_share) / window_s(config))
    return lanes / row_s(config)


def _counted(config: SandboxConfig) -> int:
    """Return how many servers count by themselves."""
    return config.servers if config.protection_scope == "server" else 1
