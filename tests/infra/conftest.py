"""Deployments that the tests look at, and the tools that may be missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.templates import INFRA, ROOT, Deployment, bicep, complaints, stored

TOOLS = ROOT / ".tools" / "infra" / "bin"


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skip where the Bicep compiler is missing; the templates are parsed by another test then."""
    if bicep("--version").returncode == 127:
        pytest.skip("no Bicep compiler: neither on PATH nor of the Azure CLI nor in ../shared/bin")


@pytest.fixture(scope="session")
def compiled(compiler: None) -> dict[str, Any]:
    """The compiled main template. In deployments every rule of the linter is a warning; here every warning fails."""
    done = bicep("build", INFRA / "main.bicep", "--stdout")
    assert complaints(done.stderr) == []
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def dev() -> Deployment:
    return stored(INFRA / "dev.snapshot.json")


@pytest.fixture(scope="session")
def prod() -> Deployment:
    return stored(INFRA / "prod.snapshot.json")


@pytest.fixture(scope="session")
def other() -> Deployment:
    return stored(Path(__file__).with_name("other.snapshot.json"))


@pytest.fixture(params=["dev", "prod", "other"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each deployment in turn."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def tool(name: str) -> Path:
    """Return a program of requirements-infra.txt, or skip."""
    if not (TOOLS / name).exists():
        pytest.skip(f"{name} is not installed: `make infra` does that")
    return TOOLS / name


@pytest.fixture(scope="session")
def checkov() -> Path:
    return tool("checkov")


@pytest.fixture(scope="session")
def doctor() -> Path:
    return tool("azure-functions-doctor")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment package, as `make package` builds it. Its wheels come from the package index once."""
    target = tmp_path_factory.mktemp("package") / "linker.zip"
    done = subprocess.run([ROOT / "scripts" / "package", target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return target
