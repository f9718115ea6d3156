"""scripts/publish puts a package into the app without a build in Azure, and says how that went.

The Azure CLI and curl are stood in for by programs that write down how they were called.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.templates import ROOT

AZ = """#!/usr/bin/env bash
echo "az $*" >> "$CALLS"
case "$*" in
  resource*) echo linker.scm.example.com ;;
  account*) echo a-token ;;
  rest*)
    state=$(head -1 "$STATES")
    sed -i 1d "$STATES"
    [ "$state" != down ] && echo "$state" ;;
esac
"""
CURL = """#!/usr/bin/env bash
echo "curl $*" >> "$CALLS"
echo "stdin $(cat)" >> "$CALLS"
while [ "$1" != --output ]; do shift; done
echo "$ANSWER" > "$2"
exit "$CURL_CODE"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with an Azure CLI, a curl and a sleep that takes no time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"az": AZ, "curl": CURL, "sleep": "#!/bin/sh\n"}.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def published(
    programs: Path, *states: str, answer: str = '"a-deployment"', code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Publish to an app whose deployment goes through these states; `code` is how curl ends."""
    told = programs.parent / "states"
    told.write_text("".join(f"{state}\n" for state in states), encoding="utf-8")
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "CALLS": str(programs.parent / "calls"),
        "STATES": str(told),
        "ANSWER": answer,
        "CURL_CODE": str(code),
    }
    command = [ROOT / "scripts" / "publish", "rg-linker", "func-linker", "some.zip"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_package_is_sent_as_it_stands(programs: Path) -> None:
    done = published(programs, "1", "4")
    (call,) = (line for line in calls(programs) if line.startswith("curl "))
    assert (done.returncode, done.stderr) == (0, "")
    assert call.endswith("--data-binary @some.zip https://linker.scm.example.com/api/publish?RemoteBuild=false")
    assert "Content-Type: application/zip" in call


def test_the_token_is_no_argument_that_others_could_read(programs: Path) -> None:
    published(programs, "4")
    assert "stdin Authorization: Bearer a-token" in calls(programs)
    assert not [line for line in calls(programs) if "a-token" in line and not line.startswith("stdin")]


def test_it_waits_for_the_deployment_that_it_asked_for(programs: Path) -> None:
    done = published(programs, "0", "down", "2", "4")
    looks = [line for line in calls(programs) if "https://linker.scm.example.com/api/deployments/a-deployment" in line]
    assert (done.returncode, len(looks)) == (0, 4)
    assert "func-linker runs it now" in done.stdout


@pytest.mark.parametrize("state", ["-1", "3", "5", "6"])
def test_a_deployment_that_failed_fails_the_command(programs: Path, state: str) -> None:
    done = published(programs, "1", state)
    assert done.returncode == 1
    assert f"The deployment failed (status {state})" in done.stderr
    assert "/api/deployments/a-deployment/log" in done.stderr


def test_a_package_that_is_not_taken_fails_the_command_with_the_reason(programs: Path) -> None:
    done = published(programs, answer="Unauthorized.", code=22)
    assert done.returncode == 1
    assert "The package was not taken. Unauthorized. What ran before still runs." in done.stderr


def test_no_word_is_no_success(programs: Path) -> None:
    done = published(programs)
    assert done.returncode == 1
    assert "No word about the deployment in ten minutes" in done.stderr


def calls(programs: Path) -> list[str]:
    return (programs.parent / "calls").read_text(encoding="utf-8").splitlines()
