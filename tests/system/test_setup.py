"""The scripts that set up: what they find, and the one sentence when they find nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linker import settings

from .world import ROOT


def run(script: str, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing on PATH but one folder."""
    command = ["/bin/bash", str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def put(folder: Path, name: str, body: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("name", ["python3.13", "python3"])
def test_a_python_of_the_right_version_is_found_by_running_it(tmp_path: Path, name: str) -> None:
    put(tmp_path, "python3.13", "exit 127")  # a shim without its Python
    found = put(tmp_path, name, f'exec {sys.executable} "$@"')
    done = run("find-python", path=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, str(found))


def test_without_the_right_python_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    put(tmp_path, "python3", "exit 1")
    done = run("find-python", path=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Python 3.13 was not found: install it" in done.stderr


@pytest.mark.parametrize("node", ["exit 1", None])
def test_without_node_one_sentence_says_what_to_install(tmp_path: Path, node: str | None) -> None:
    if node:
        put(tmp_path, "node", node)
    done = run("check-node", path=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Node 20 or newer" in done.stderr


def test_app_settings_of_a_running_sandbox_can_be_evaluated(tmp_path: Path) -> None:
    ready = {
        name: f"{name} of 'it'" for name in ("insights", "instanceId", "tables", "identityEndpoint", "identityHeader")
    }
    file = tmp_path / "ready.json"
    file.write_text(json.dumps(ready | {"dataverse": "http://127.0.0.1:8050"}) + "\n", encoding="utf-8")
    printed = f'eval "$({ROOT}/scripts/app-settings {file})" && env'
    done = subprocess.run(["/bin/bash", "-c", printed], env=os.environ, capture_output=True, text=True, check=True)
    assert "LINKER_STORAGE=tables of 'it'" in done.stdout.splitlines()
    assert "IDENTITY_HEADER=identityHeader of 'it'" in done.stdout.splitlines()
    given = {line.partition("=")[0] for line in done.stdout.splitlines() if line.startswith(settings.PREFIX)}
    assert given <= set(settings.names())
