"""scripts/smoke finds and names each fault of a deployment. That it passes where all is well: tests/system/test_smoke.py."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scripts import smoke
from tests.infra.azure import Azure, stand_ins

RUN = {"id": "r1", "status": "Queued", "statusDetail": "", "endedAt": None}
ENDED = RUN | {"status": "Successful", "endedAt": "2026-11-23T21:27:51Z"}
APP = {
    "GET /api/health": (200, {"status": "running"}),
    "GET /api/preflight": (200, {"severity": "ready", "detail": "", "warnings": []}),
    "POST /api/runs": (202, RUN),
    "GET /api/runs/r1": (200, ENDED),
}
DENIED = {"severity": "blocked", "detail": "Dataverse refuses the app: there is no application user.", "warnings": []}


@contextmanager
def answering(answers: Mapping[str, tuple[int, object]]) -> Iterator[str]:
    """Serve these answers, and those of APP otherwise, to who holds the key or the token. Gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = (
                self.headers.get("x-functions-key") == "a-key" or self.headers.get("Authorization") == "Bearer a-token"
            )
            status, body = ({**APP, **answers}).get(f"{self.command} {self.path}", (404, "")) if known else (401, "")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Azure:
    found = stand_ins(tmp_path)
    found.knows(["poll"])
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    with zipfile.ZipFile(tmp_path / "linker.zip", "w") as archive:
        archive.writestr("functions.json", json.dumps({"functions": ["poll"], "when": {"HUB": ["on_events"]}}))
    return found


def checked(azure: Azure, *options: str, **answers: tuple[int, object]) -> int:
    """Run the checks against an app that answers so (`GET /api/health` as the keyword), and return the exit code."""
    with answering(answers) as url:
        package = str(azure.folder / "linker.zip")
        return smoke.main(["g", "a", "--package", package, "--url", url, *options], sleep=lambda _: None)


def test_a_deployment_that_works_passes_every_check(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(azure) == 0
    told = capsys.readouterr().out
    assert [line[:10].strip() for line in told.splitlines()] == [
        "functions", "settings", "health", "host", "preflight", "dry run",
    ]  # fmt: skip
    assert "bundle 4.45.1" in told


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param({"functions": []}, "Missing: poll", id="no function is listed"),
        pytest.param({"settings": ["HUB"]}, "Missing: on_events", id="a setting adds a function"),
        pytest.param({"settings": ["AzureWebJobsStorage"]}, "host#11796", id="a connection string was injected"),
        pytest.param(
            {"host": {"state": "Error", "errors": ["401 from storage"]}}, "401 from storage", id="the host cannot start"
        ),
        pytest.param(
            {"host": {"state": "Running", "extensionBundle": {"version": "4.38.0"}}},
            "bundle is 4.38.0",
            id="an old bundle",
        ),
        pytest.param({"host": {"state": "Running"}}, "names no extension bundle", id="no bundle"),
    ],
)
def test_a_fault_of_the_platform_is_found(
    azure: Azure, capsys: pytest.CaptureFixture[str], facts: dict[str, Any], told: str
) -> None:
    azure.knows(**({"functions": ["poll"]} | facts))
    assert checked(azure) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("version", ["4.38.1", "4.39.0", "5.0.0", "4.100.2"])
def test_versions_are_compared_as_numbers(azure: Azure, version: str) -> None:
    azure.knows(["poll"], host={"state": "Running", "extensionBundle": {"version": version}})
    assert checked(azure, "--only", "host") == (1 if version == "4.38.1" else 0)


@pytest.mark.parametrize(
    ("asked", "answer", "code", "told"),
    [
        ("GET /api/health", (503, "The service is unavailable."), 1, "answers 503"),
        ("GET /api/preflight", (200, DENIED), 3, "there is no application user"),
        ("GET /api/preflight", (500, ""), 1, "answered 500"),
        ("GET /api/preflight", (200, "<html>Sign in"), 1, "set LINKER_APP_AUDIENCE"),
        ("POST /api/runs", (403, "no role"), 1, "set LINKER_APP_AUDIENCE"),
        (
            "GET /api/runs/r1",
            (200, ENDED | {"status": "Failed (permanent)", "statusDetail": "No table."}),
            1,
            "No table",
        ),
        (
            "GET /api/runs/r1",
            (200, ENDED | {"status": "Skipped", "statusDetail": "No unification."}),
            3,
            "No unification",
        ),
        ("GET /api/runs/r1", (200, RUN), 1, "is Queued after 1 minutes"),
        ("GET /api/runs/r1", (200, ENDED | {"status": "Completed with warnings"}), 0, ""),
    ],
)
def test_what_the_app_answers_decides(
    azure: Azure,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    answer: tuple[int, object],
    code: int,
    told: str,
) -> None:
    assert checked(azure, "--minutes", "1", **{asked: answer}) == code
    assert told in capsys.readouterr().err


def test_the_way_in_is_a_token_where_the_app_has_a_registration(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKER_APP_AUDIENCE", "api://7c0f")
    assert checked(azure) == 0
    assert [line for line in azure.calls if "get-access-token --resource api://7c0f" in line]
    assert not [line for line in azure.calls if "keys list" in line]


def test_no_key_is_asked_for_by_a_look_at_the_functions(azure: Azure) -> None:
    assert checked(azure, "--only", "functions") == 0
    assert not [line for line in azure.calls if "keys list" in line]


def test_a_file_that_is_not_a_package_is_refused(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(azure, "--package", str(azure.folder / "other.zip")) == 1
    assert "Name the package that was deployed" in capsys.readouterr().err
