"""The deployment package: Azure's worker finds every function in it, and nothing in it that belongs elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import azure_functions_runtime
import pytest

from scripts import package as packaging
from tests.infra.templates import ROOT

WORKER = ROOT / "tests" / "shell" / "worker_script.py"


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def names(package: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(package) as archive:
        yield archive.namelist()


def indexed(folder: Path, *options: str, **environment: str) -> set[str]:
    """Return the functions that the worker finds in a folder. `options` are Python's own."""
    done = subprocess.run(
        [sys.executable, *options, WORKER, folder],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout.splitlines()[-1])["bindings"])


def test_the_worker_finds_every_function_in_the_unpacked_package(unpacked: Path, tmp_path: Path) -> None:
    """Of this environment it sees the worker library alone, so that a package that is missing is missed."""
    (library,) = azure_functions_runtime.__path__
    (tmp_path / "azure_functions_runtime").symlink_to(library)
    path = os.pathsep.join(map(str, (tmp_path, unpacked / packaging.SITE_PACKAGES)))
    found = indexed(unpacked, "-S", PYTHONPATH=path)
    assert found == indexed(ROOT)
    code = (ROOT / "function_app.py").read_text(encoding="utf-8")
    written = set(re.findall(r"^async def (\w+)\(", code, re.MULTILINE)) - {"_serve"}
    assert written <= found
    deployed = {"LINKER_DATAVERSE_URL": "https://contoso.crm4.dynamics.com", "PYTHONPATH": path}
    listening = {"LINKER_EVENTS__fullyQualifiedNamespace": "contoso.servicebus.windows.net"}
    assert indexed(unpacked, "-S", **deployed, **listening) - found == {"on_events"}


def test_the_package_holds_the_app_and_its_packages_alone(names: list[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert top == {"function_app.py", "host.json", "linker", "requirements.txt", ".python_packages"}
    assert not [name for name in names if name.startswith(("linker/cli/", "linker/__main__"))]


@pytest.mark.parametrize(
    ("file", "belongs"),
    [
        ("function_app.py", True),
        ("linker/api/runs.py", True),
        ("linker/portal/templates/status.html", True),
        ("linker/cli/run.py", False),
        ("linker/api/__pycache__/runs.cpython-313.pyc", False),
        ("sandbox/linker/a.py", False),
        ("local.settings.json", False),
        ("customers.csv", False),
        ("data/contact.csv", False),
    ],
)
def test_what_lies_about_stays_out(file: str, belongs: bool) -> None:
    assert packaging.ignored().match_file(file) is not belongs


def test_the_status_page_comes_along_with_its_templates_style_and_script(names: list[str]) -> None:
    parts = {f"linker/portal/{kind}" for kind in ("templates", "assets")}
    here = {file.relative_to(ROOT).as_posix() for part in parts for file in (ROOT / part).iterdir()}
    assert {name for name in names if name.rpartition("/")[0] in parts} == here
    assert {"linker/portal/templates/status.html", "linker/portal/assets/portal.css"} <= here


def test_no_package_for_development_comes_along(names: list[str]) -> None:
    packages = {name.split("/")[3] for name in names if name.startswith(".python_packages/")}
    assert {"azure", "durabletask", "httpx", "jinja2", "opentelemetry"} <= packages
    assert not {"typer", "rich", "pytest", "hypothesis", "starlette", "azure_functions_runtime"} & packages


def test_compiled_code_is_for_linux(names: list[str]) -> None:
    compiled = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
    assert compiled
    assert [name for name in compiled if not name.endswith(".so") or "darwin" in name] == []


def test_the_same_files_make_the_same_package_at_any_time(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    (folder / "linker").mkdir(parents=True)
    (folder / "host.json").write_text("{}")
    (folder / "linker" / "a.py").write_text("A = 1\n")
    packaging.write_zip(folder, tmp_path / "first.zip")
    os.utime(folder / "host.json", (1, 1))
    packaging.write_zip(folder, tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_every_file_may_be_read_by_the_platform(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        assert {(entry.create_system, entry.external_attr >> 16) for entry in archive.infolist()} == {(3, 0o644)}


def test_the_lock_names_every_required_package_with_a_hash() -> None:
    lock = packaging.LOCK.read_text(encoding="utf-8").splitlines()[1:]
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line.replace("=", ">").replace("<", ">").partition(">")[0] for line in required if line[0] != "#"}
    assert wanted <= {line.partition("==")[0] for line in lock}
    assert [line for line in lock if " --hash=sha256:" not in line] == []


def test_another_backend_gets_its_own_host_settings() -> None:
    azure, scheduler = packaging.host_settings("AzureStorage"), packaging.host_settings("DurableTaskScheduler")
    assert azure == json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert scheduler["extensions"]["durableTask"].pop("storageProvider") == {
        "type": "azureManaged",
        "connectionStringName": "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
    }
    del azure["extensions"]["durableTask"]["storageProvider"]
    assert scheduler == azure
