"""The deployment package: Azure's worker finds every function in it, and nothing in it that belongs elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import azure_functions_runtime
import pytest

from scripts import package as packaging
from tests.infra.templates import ROOT

PLANTED = """
import shutil
copy = shutil.copyfile
def copyfile(source, target, **options):
    copy(source, target, **options)
    with open(target, "a") as file:
        file.write("# planted\\n")
    return target
shutil.copyfile = copyfile
"""
WORKER = ROOT / "tests" / "durable" / "worker_script.py"


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


@pytest.mark.parametrize(
    ("remote", "docs"),
    [
        ("https://github.com/contoso/linker.git", "https://github.com/contoso/linker/blob/abc/docs/"),
        ("https://name:token@github.com/contoso/linker", "https://github.com/contoso/linker/blob/abc/docs/"),
        ("git@github.com:contoso/link.er.git", "https://github.com/contoso/link.er/blob/abc/docs/"),
        ("ssh://git@gitlab.com/contoso/linker.git", "https://gitlab.com/contoso/linker/-/blob/abc/docs/"),
        ("git@gitlab.contoso.com:crm/team/linker.git", "https://gitlab.contoso.com/crm/team/linker/-/blob/abc/docs/"),
        ("https://github.contoso.com/crm/linker", "https://github.contoso.com/crm/linker/blob/abc/docs/"),
        ("git@bitbucket.org:contoso/linker.git", "https://bitbucket.org/contoso/linker/src/abc/docs/"),
        ("https://codeberg.org/contoso/linker.git", "https://codeberg.org/contoso/linker/src/commit/abc/docs/"),
        ("https://dev.azure.com/contoso/p/_git/linker", ""),
        ("https://evil.example/github.com/a/b", ""),
        ("/srv/linker.git", ""),
        ("", ""),
    ],
)
def test_the_documentation_of_a_package_is_that_of_its_commit(remote: str, docs: str) -> None:
    assert packaging.docs_of(remote, "abc") == packaging.docs_of(remote, "abc-dirty") == docs
    assert packaging.docs_of(remote, "") == ""


def test_the_package_knows_its_commit(unpacked: Path) -> None:
    known = json.loads((unpacked / "linker" / "build.json").read_text(encoding="utf-8"))
    assert known["commit"] == packaging.git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def test_the_worker_finds_every_function_in_the_unpacked_package(unpacked: Path, tmp_path: Path) -> None:
    """Of this environment it sees the worker library alone, so that a package that is missing is missed."""
    (library,) = azure_functions_runtime.__path__
    (tmp_path / "azure_functions_runtime").symlink_to(library)
    path = os.pathsep.join(map(str, (tmp_path, unpacked / packaging.SITE_PACKAGES)))
    manifest = json.loads((unpacked / packaging.MANIFEST).read_text(encoding="utf-8"))
    found = indexed(unpacked, "-S", PYTHONPATH=path)
    assert found == indexed(ROOT) == set(manifest["functions"])
    deployed = {"LINKER_DATAVERSE_URL": "https://contoso.crm4.dynamics.com", "PYTHONPATH": path}
    for setting, more in manifest["when"].items():
        assert indexed(unpacked, "-S", **deployed, **{setting: "contoso.servicebus.windows.net"}) - found == set(more)
    assert manifest["when"]["LINKER_EVENTS__fullyQualifiedNamespace"] == ["on_events"]


def test_the_package_holds_the_app_and_its_packages_alone(names: list[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    expected = {"function_app.py", "host.json", "functions.json", "linker", "requirements.txt", ".python_packages"}
    assert top == expected | {"__pycache__"}
    assert [name for name in names if name.startswith("__pycache__/")] == ["__pycache__/function_app.cpython-313.pyc"]
    assert not [name for name in names if name.startswith(("linker/entrypoints/cli/", "linker/__main__"))]


def test_a_cold_start_compiles_nothing(unpacked: Path) -> None:
    """The platform mounts the package read-only: what it had to compile, it would compile at every start."""
    code = """
import importlib._bootstrap_external as loading, sys
def refuse(self, data, path, **options):
    raise AssertionError(f"{path} is compiled at the start")
loading.SourceLoader.source_to_code = refuse
sys.path[:0] = sys.argv[1:]
from azure.monitor.opentelemetry import configure_azure_monitor
import function_app
"""
    command = [sys.executable, "-I", "-S", "-B", "-c", code, unpacked, unpacked / packaging.SITE_PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_app_itself_switches_strict_typing_on() -> None:
    """A class that a stored payload names is imported otherwise."""
    code = "import function_app; from azure.functions import _durable_functions as d; print(d._is_strict_mode())"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "LINKER_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=clean, check=False
    )
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_compiled_files_are_used_whatever_time_a_file_system_shows(unpacked: Path) -> None:
    flags = {file.read_bytes()[4:8] for file in (unpacked / "linker").rglob("*.pyc")}
    assert flags == {(1).to_bytes(4, "little")}, "checked by no hash and by no time (PEP 552)"


def test_nothing_of_the_development_environment_alters_the_package(package: Path, tmp_path: Path) -> None:
    """A .pth file runs code in every Python of its environment. This one appends a line to each file that is copied."""
    python = tmp_path / "dev" / "bin" / "python3.13"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "dev"], check=True)
    python.exists() or python.symlink_to("python")
    (folder,) = (tmp_path / "dev" / "lib").glob("python3*/site-packages")
    (folder / "planted.pth").write_text("import planted\n", encoding="utf-8")
    (folder / "planted.py").write_text(PLANTED, encoding="utf-8")
    (folder / "sitecustomize.py").write_text("import planted\n", encoding="utf-8")
    (tmp_path / "some.txt").touch()
    subprocess.run([python, "-c", "import shutil; shutil.copyfile('some.txt', 'copy.txt')"], cwd=tmp_path, check=True)
    assert (tmp_path / "copy.txt").read_text(encoding="utf-8") == "# planted\n", "what was planted works"

    target = tmp_path / "linker.zip"
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(tmp_path / "dev"), "PYTHONPATH": str(folder)}
    command = [ROOT / "scripts" / "package", target, "--tools", tmp_path / "tools"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert target.read_bytes() == package.read_bytes()


@pytest.mark.parametrize(
    ("file", "belongs"),
    [
        ("function_app.py", True),
        ("linker/entrypoints/api/runs.py", True),
        ("linker/entrypoints/portal/templates/status.html", True),
        ("linker/entrypoints/cli/control.py", False),
        ("linker/entrypoints/api/__pycache__/runs.cpython-313.pyc", False),
        ("sandbox/linker/a.py", False),
        ("local.settings.json", False),
        ("customers.csv", False),
        ("data/contact.csv", False),
        ("linker/.env", False),
        ("linker/entrypoints/api/.env.production", False),
        ("linker/signing.pem", False),
        ("linker/tls/server.key", False),
        ("linker/entrypoints/portal/assets/app.pfx", False),
        ("linker/local.settings.prod.json", False),
        ("linker/app.publishsettings", False),
    ],
)
def test_what_lies_about_stays_out(file: str, belongs: bool) -> None:
    assert packaging.ignored().match_file(file) is not belongs


def test_the_status_page_comes_along_with_its_templates_style_and_script(names: list[str]) -> None:
    parts = {f"linker/entrypoints/portal/{kind}" for kind in ("templates", "assets")}
    here = {file.relative_to(ROOT).as_posix() for part in parts for file in (ROOT / part).iterdir()}
    assert {name for name in names if name.rpartition("/")[0] in parts} == here
    assert {"linker/entrypoints/portal/templates/status.html", "linker/entrypoints/portal/assets/portal.css"} <= here


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
