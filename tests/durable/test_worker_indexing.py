"""The worker library that runs the app in Azure accepts it: names, bindings and annotations (docs/reference/azure.md 10.1)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linker.entrypoints import api

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("worker_script.py")

type Bindings = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def functions() -> Bindings:
    return indexed()["bindings"]


def indexed() -> dict[str, Any]:
    """Return bindings and retries of every function as the worker sees them in this environment."""
    done = subprocess.run([sys.executable, SCRIPT, ROOT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _of_kind(functions: Bindings, kind: str) -> dict[str, dict[str, Any]]:
    return {name: b for name, bindings in functions.items() for b in bindings if b["type"] == kind}


def test_every_orchestrator_and_activity_that_a_run_calls_is_registered(functions: Bindings) -> None:
    called = {
        "begin_run", "renew", "settle", "survey", "prepare_table", "scan_slice", "plan_shards", "link_shard", "unlink_table",
        "find_strays", "plan_touch", "touch_profiles", "report_touch", "report", "end_table", "end_run", "start_run",
    }  # fmt: skip
    activities = {b.get("activity") or name for name, b in _of_kind(functions, "activityTrigger").items()}
    assert called <= activities
    orchestrators = {b.get("orchestration") for b in _of_kind(functions, "orchestrationTrigger").values()}
    assert {
        "customerid_backstamping_hydration",
        "link_generation",
        "scan_mapping",
        "touch_waiting_profiles",
        "unlink_departed_rows",
    } <= orchestrators


def test_every_operation_of_the_api_is_on_its_route_and_no_route_is_left_out_of_its_document(
    functions: Bindings,
) -> None:
    routes = {
        name: (b["methods"][0], f"/{b['route'].lstrip('/')}") for name, b in _of_kind(functions, "httpTrigger").items()
    }
    assert routes.pop("get_health") == ("GET", "/api/health")
    assert {routes.pop("get_root"), routes.pop("get_api_root")} == {("GET", "/"), ("GET", "/api")}
    assert {routes.pop(name) for name in ("get_portal", "post_portal", "post_portal_session")} == {
        ("GET", "/api/portal/{*rest}"),
        ("POST", "/api/portal/{*rest}"),
        ("POST", "/api/portal-session"),
    }
    assert routes == {one.name: (one.method, f"/api{one.path}") for one in api.OPERATIONS}


def test_every_route_asks_for_a_key_except_health_and_the_pages_and_the_audit_for_the_master_key(
    functions: Bindings,
) -> None:
    levels = {b["route"]: b["authLevel"].upper() for b in _of_kind(functions, "httpTrigger").values()}
    open_to_all = ("/", "api", "api/health", "api/portal/{*rest}")
    assert {levels.pop(route) for route in open_to_all} == {"ANONYMOUS"}
    assert levels.pop("api/audit") == "ADMIN"
    assert set(levels.values()) == {"FUNCTION"}


def test_where_people_sign_in_no_route_asks_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    levels = {b["authLevel"].upper() for b in _of_kind(indexed()["bindings"], "httpTrigger").values()}
    assert levels == {"ANONYMOUS"}


def test_timers_take_their_schedule_from_settings(functions: Bindings) -> None:
    schedules = {b["schedule"] for b in _of_kind(functions, "timerTrigger").values()}
    assert schedules == {f"%LINKER_{name}_SCHEDULE%" for name in ("POLL", "WATCHDOG", "VERIFY", "PURGE")}


def test_without_a_namespace_no_function_waits_for_events(functions: Bindings) -> None:
    assert _of_kind(functions, "eventHubTrigger") == {}


def test_with_a_namespace_events_come_in_batches_from_the_hub_of_customer_insights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINKER_DATAVERSE_URL", "https://contoso.crm4.dynamics.com")
    monkeypatch.setenv("LINKER_EVENTS__fullyQualifiedNamespace", "contoso.servicebus.windows.net")
    found = indexed()
    ((name, binding),) = _of_kind(found["bindings"], "eventHubTrigger").items()
    assert binding["eventHubName"] == "insight-logs-operational"
    assert (binding["connection"], binding["cardinality"]) == ("LINKER_EVENTS", "MANY")
    assert found["retries"] == {name: [20, 30.0]}


def test_an_activity_that_starts_a_run_gets_a_durable_client_beside_its_input(functions: Bindings) -> None:
    assert {b["type"] for b in functions["start_run"]} == {"activityTrigger", "durableClient"}
