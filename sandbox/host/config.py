"""The parts of host.json that the local host honours."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.host.errors import StartRefusedError
from sandbox.host.settings import read_json

# "10 x cores" outside the Consumption plan (docs/reference/azure.md 2.1)
_DEFAULT_CONCURRENCY = 10 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class HostConfig:
    """Settings of host.json, with the platform's defaults (docs/reference/azure.md 1.8, 1.9, 2.1)."""

    route_prefix: str = "api"
    hub_name: str = "LocalHub"
    default_version: str | None = None
    activities: int = _DEFAULT_CONCURRENCY
    orchestrators: int = _DEFAULT_CONCURRENCY
    replaces_running: bool = False


def read_host_config(app_dir: Path, resolve: Callable[[str], str]) -> HostConfig:
    """Read host.json; `resolve` replaces `%NAME%`. Raises StartRefusedError if it is malformed."""
    extensions = _section(read_json(app_dir / "host.json"), "extensions")
    durable = _section(extensions, "durableTask")
    standard = HostConfig()
    return HostConfig(
        route_prefix=_section(extensions, "http").get("routePrefix", standard.route_prefix).strip("/"),
        hub_name=resolve(durable.get("hubName", standard.hub_name)),
        default_version=durable.get("defaultVersion"),
        activities=durable.get("maxConcurrentActivityFunctions", standard.activities),
        orchestrators=durable.get("maxConcurrentOrchestratorFunctions", standard.orchestrators),
        replaces_running=durable.get("overridableExistingInstanceStates") == "AnyState",
    )


def _section(parent: dict[str, Any], name: str) -> dict[str, Any]:
    section = parent.get(name, {})
    if not isinstance(section, dict):
        raise StartRefusedError(f'host.json: "{name}" must be an object.')
    return section
