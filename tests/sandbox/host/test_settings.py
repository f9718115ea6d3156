"""Settings, host.json and the checks of an app before it starts."""

import json
import os
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
import pytest

from sandbox.host.config import HostConfig, read_host_config
from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import host_functions
from sandbox.host.settings import apply_settings, resolve_placeholders


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_environment_comes_before_local_settings_and_those_before_local_defaults(tmp_path: Path) -> None:
    write(tmp_path, "local.settings.json", {"Values": {"LINKER_LEASE_SECONDS": "7", "A": "file", "B": "file"}})
    environment = {"A": "environment"}
    apply_settings(tmp_path, environment)
    assert (environment["A"], environment["B"], environment["LINKER_LEASE_SECONDS"]) == ("environment", "file", "7")
    assert environment["LINKER_ATTEMPT_SECONDS"] == "30"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param("{", "not valid JSON", id="no JSON"),
        pytest.param([], "one JSON object", id="no object"),
        pytest.param({"Values": {"LINKER_WIDTH": 8}}, "LINKER_WIDTH", id="a number instead of a text"),
        pytest.param({"IsEncrypted": True}, "func settings decrypt", id="encrypted"),
    ],
)
def test_malformed_local_settings_are_refused(tmp_path: Path, content: object, complaint: str) -> None:
    write(tmp_path, "local.settings.json", content)
    with pytest.raises(StartRefusedError, match=complaint):
        apply_settings(tmp_path, {})


def default_of(name: str) -> str | None:
    return {"KNOWN": "default"}.get(name)


def test_placeholders_are_resolved_from_settings_then_from_the_apps_defaults() -> None:
    resolved = resolve_placeholders("%SET%-%KNOWN%", {"SET": "set"}, default_of, where="timer 'poll'")
    assert resolved == "set-default"


def test_a_placeholder_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(StartRefusedError, match=r"Setting UNKNOWN is missing, and timer 'poll' needs it"):
        resolve_placeholders("%UNKNOWN%", {}, default_of, where="timer 'poll'")


def test_host_json_sets_prefix_concurrency_and_version(tmp_path: Path) -> None:
    durable = {
        "hubName": "Hub",
        "defaultVersion": "1.1",
        "maxConcurrentActivityFunctions": 3,
        "maxConcurrentOrchestratorFunctions": 2,
        "overridableExistingInstanceStates": "AnyState",
    }
    write(tmp_path, "host.json", {"extensions": {"http": {"routePrefix": "/x/"}, "durableTask": durable}})
    assert read_host_config(tmp_path, str) == HostConfig("x", "Hub", "1.1", 3, 2, True)


def test_an_empty_host_json_means_the_platforms_defaults(tmp_path: Path) -> None:
    write(tmp_path, "host.json", {"version": "2.0"})
    many = 10 * (os.cpu_count() or 1)
    assert read_host_config(tmp_path, str) == HostConfig("api", "LocalHub", None, many, many, False)


def test_a_binding_that_is_not_run_here_is_refused_by_name() -> None:
    app = df.DFApp()

    @app.queue_trigger(arg_name="message", queue_name="work", connection="STORAGE")
    def on_message(message: func.QueueMessage) -> None:
        return None

    with pytest.raises(StartRefusedError, match=r"'on_message' uses binding 'queueTrigger'.*func start"):
        host_functions(app)


def test_a_parameter_without_a_binding_is_refused() -> None:
    app = df.DFApp()

    @app.route(route="x")
    def one(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
        return "x"

    with pytest.raises(StartRefusedError, match=r"'one': parameter 'client'"):
        host_functions(app)
