"""Measure what the app sends to Application Insights and asks of its state: python -m bench.telemetry

The real exporter sends to an endpoint on this machine. Timers tick every second instead of every minute, so that a minute shows
an hour; docs/deploy.md multiplies. Writes bench/telemetry.json.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.infra.templates import INFRA, stored
from tests.system.ingestion import Ingestion, ingestion
from tests.system.world import SAMPLE, World, world

RESULT = Path(__file__).with_name("telemetry.json")
IDLE_S, EXPORT_S = 40, 5
DEPLOYED = (
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
)
AZURITE = ".tools/node_modules/.bin/azurite-table"


def main() -> None:
    """Measure an idle stretch and a run, and write the figures."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.NamedTemporaryFile("w+", suffix=".log"))
        tables = _azurite(stack, log.name)
        taken, connection = stack.enter_context(ingestion())
        made = _started(stack, tables, connection)
        made.publish()
        idle = _watched(taken, log.name, lambda: time.sleep(IDLE_S))
        made.unify(move=0.01)
        run = _watched(taken, log.name, lambda: _one_run(made))
    RESULT.write_text(json.dumps(figures(idle, run), indent=2) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def _one_run(made: World) -> None:
    made.publish()
    time.sleep(2 * EXPORT_S)  # until what it counted was exported


def figures(idle: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that the page multiplies: bytes and requests a tick, an export and a run."""
    ticks = idle["counts"]["Watchdog looked"]
    exports = IDLE_S / EXPORT_S
    counters = {name: size for name, size in idle["bytes"].items() if name.startswith("\\") or name == "_OTELRESOURCE_"}
    return {
        "watchdogTickBytes": round(idle["bytes"]["Watchdog looked"] / ticks),
        "watchdogTickTableRequests": round(idle["tables"] / ticks, 1),
        "counterBytesAnExport": round(sum(counters.values()) / exports),
        "countersAnExport": round(sum(idle["counts"][name] for name in counters) / exports),
        "otherBytesATick": round(
            (sum(idle["bytes"].values()) - sum(counters.values()) - idle["bytes"]["Watchdog looked"]) / ticks
        ),
        "runBytes": sum(run["bytes"].values()),
        "runTableRequests": run["tables"],
    }


def _watched(taken: Ingestion, log: str, work: Callable[[], None]) -> dict[str, Any]:
    before, lines = len(taken.items), _requests(log)
    work()
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for item in taken.items[before:]:
        name = _name(item)
        sizes[name] += len(json.dumps(item))
        counts[name] += 1
    return {"bytes": dict(sizes), "counts": dict(counts), "tables": _requests(log) - lines}


def _name(item: dict[str, Any]) -> str:
    data = item["data"]["baseData"]
    return str(data.get("message") or (data["metrics"][0]["name"] if "metrics" in data else data.get("name", "")))


def _requests(log: str) -> int:
    return len(re.findall(r'"(?:GET|POST|PUT|DELETE|MERGE|PATCH) /', Path(log).read_text(encoding="utf-8")))


def _azurite(stack: ExitStack, log: str) -> str:
    """Start a Table Storage that logs each request, and return its connection string."""
    port = 10_902
    with Path(log).open("w", encoding="utf-8") as out:
        command = [AZURITE, "--tablePort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck"]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    time.sleep(5)
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # of every Azurite
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


def _started(stack: ExitStack, tables: str, connection: str) -> World:
    deployed = stored(INFRA / "prod.snapshot.json").settings
    settings: dict[str, str] = {name: deployed[name] for name in DEPLOYED}
    settings |= {
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_S * 1_000),
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "LOCAL_HOST_LOG_LEVEL": "WARNING",
        "LINKER_WATCHDOG_SCHEDULE": "* * * * * *",
    }
    logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    made = stack.enter_context(world(tables, logs, "--load", str(SAMPLE)))
    made.kill_host()
    os.environ["PYTHONPATH"] = os.fspath(Path("tests/system/worker").absolute())
    made.start_host(**settings, APPLICATIONINSIGHTS_CONNECTION_STRING=connection)
    return made


if __name__ == "__main__":
    main()
