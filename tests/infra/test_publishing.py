"""scripts/publish puts a package into the app without a build in Azure, and reports what became of it."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.infra.azure import Azure, stand_ins
from tests.infra.templates import ROOT

FUNCTIONS = ("poll", "watch_runs")
LOOK = "https://linker.scm.example.com/api/deployments/a-deployment"


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    """Azure with an app whose functions are listed at once."""
    found = stand_ins(tmp_path)
    found.knows(FUNCTIONS)
    return found


def published(
    azure: Azure, *states: str, answer: str = '"a-deployment"', code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Publish to an app whose deployment goes through these states; `code` is how curl ends."""
    azure.deploys(*states, answer=answer, code=code)
    package = azure.folder / "some.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("functions.json", json.dumps({"functions": FUNCTIONS, "when": {}}))
    command = [ROOT / "scripts" / "publish", "rg-linker", "func-linker", package]
    return subprocess.run(command, capture_output=True, text=True, env=azure.environment, check=False)


def looks(azure: Azure) -> int:
    return len([line for line in azure.calls if line.endswith(LOOK)])


def test_a_package_is_sent_as_it_stands(azure: Azure) -> None:
    done = published(azure, "1", "4")
    (call,) = (line for line in azure.calls if line.startswith("curl ") and "/api/publish" in line)
    assert (done.returncode, done.stderr) == (0, "")
    assert call.endswith("some.zip https://linker.scm.example.com/api/publish?RemoteBuild=false")
    assert "Content-Type: application/zip" in call


def test_the_token_is_not_an_argument_that_others_could_read(azure: Azure) -> None:
    published(azure, "4")
    assert "stdin Authorization: Bearer a-token" in azure.calls
    assert not [line for line in azure.calls if "a-token" in line and not line.startswith("stdin")]


def test_it_looks_each_second_at_the_deployment_that_it_asked_for(azure: Azure) -> None:
    done = published(azure, "0", "down", "503", "2", "4")
    assert (done.returncode, looks(azure)) == (0, 5)
    assert {line for line in azure.calls if line.startswith("sleep ")} == {"sleep 1"}
    assert "func-linker runs" in done.stdout


def test_a_404_after_an_answer_ends_the_deployment(azure: Azure) -> None:
    """The worker that deployed was recycled, and forgot the deployment; the functions decide."""
    done = published(azure, "1", "1", "404")
    assert (done.returncode, looks(azure), done.stderr) == (0, 3, "")
    assert "2 are listed, as in the package" in done.stdout


def test_a_404_before_any_answer_is_not_the_end(azure: Azure) -> None:
    done = published(azure, "404", "404", "down", "1", "404")
    assert (done.returncode, looks(azure)) == (0, 5)


def test_an_unknown_deployment_fails(azure: Azure) -> None:
    done = published(azure, "404")
    assert (done.returncode, looks(azure)) == (1, 12)
    assert "did not end within ten minutes" in done.stderr


@pytest.mark.parametrize("state", ["-1", "3", "5", "6"])
def test_a_deployment_that_failed_fails_the_command(azure: Azure, state: str) -> None:
    done = published(azure, "1", state)
    assert done.returncode == 1
    assert f"The deployment failed (status {state})" in done.stderr
    assert "/api/deployments/a-deployment/log" in done.stderr


def test_a_package_that_is_not_taken_fails_the_command_with_the_reason(azure: Azure) -> None:
    done = published(azure, answer="Unauthorized.", code=22)
    assert done.returncode == 1
    assert "The package was not taken. Unauthorized. What ran before still runs." in done.stderr


def test_no_word_is_not_success(azure: Azure) -> None:
    done = published(azure)
    assert (done.returncode, looks(azure)) == (1, 12)
    assert "did not end within ten minutes" in done.stderr


@pytest.mark.parametrize(
    ("facts", "syncs"),
    [
        pytest.param({}, 1, id="listed at once"),
        pytest.param({"syncs_needed": 3}, 3, id="WarmUp alone until the third synchronization"),
        pytest.param({"syncs_needed": 2, "sync_fails": 2}, 2, id="the host still starts when it is asked"),
    ],
)
def test_triggers_are_synchronized_until_every_function_is_listed(
    azure: Azure, facts: dict[str, int], syncs: int
) -> None:
    azure.knows(FUNCTIONS, **facts)
    done = published(azure, "1", "4")
    assert (done.returncode, done.stderr) == (0, "")
    assert len([line for line in azure.calls if "/host/default/sync?" in line]) == syncs


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param({"syncs_needed": 99}, "Missing: poll, watch_runs. Not in the package: WarmUp", id="never listed"),
        pytest.param(
            {"functions": ["poll"]}, "Missing: watch_runs. Not in the package: none", id="one timer is missing"
        ),
        pytest.param(
            {"functions": [*FUNCTIONS, "old"]}, "Missing: none. Not in the package: old", id="the package before"
        ),
        pytest.param({"list_fails": True}, "The platform lists 0 functions, and the package has 2", id="no list"),
    ],
)
def test_a_platform_that_does_not_list_the_functions_fails_the_command(
    azure: Azure, facts: dict[str, object], told: str
) -> None:
    azure.knows(**({"functions": list(FUNCTIONS)} | facts))  # type: ignore[arg-type]
    done = published(azure, "1", "404")
    assert done.returncode == 1
    assert told in done.stderr
    assert "func-linker runs" not in done.stdout
