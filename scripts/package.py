"""Build the deployment package: the app and its Linux wheels for Python 3.13, as a zip that is the same each time.

Started by `scripts/package`, in an environment that holds only what requirements-build.txt names:

    scripts/package [dist/linker.zip] [--backend DurableTaskScheduler]
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pathspec

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
SITE_PACKAGES = Path(".python_packages/lib/site-packages")  # where the platform looks for packages that come along
QUIETLY = ["--quiet", "--disable-pip-version-check", "--no-input"]
PLATFORM = ["--python-version=3.13", "--implementation=cp", "--only-binary=:all:"]
PLATFORM += [f"--platform={name}_x86_64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
# Of no use at run time, or different from machine to machine.
LEFT_OUT = ["bin/", "RECORD", "INSTALLER", "REQUESTED", "*.pyi"]
MANIFEST = "functions.json"
MOUNT = "/home/site/wwwroot"  # where the platform mounts the package: what tracebacks name
ANY_ENVIRONMENT = {"LINKER_DATAVERSE_URL": "https://example.crm.dynamics.com"}
LISTENING = {"LINKER_EVENTS__fullyQualifiedNamespace": "example.servicebus.windows.net"}
LIST_FUNCTIONS = """
import json, sys
sys.path[:0] = [folder for folder in sys.argv[1:] if folder]
import function_app
print(json.dumps(sorted(one.get_function_name() for one in function_app.app.get_functions())))
"""
# Addresses of a remote, without the name or token that one of https may carry.
REMOTE = re.compile(r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)([\w.-]+)[:/]([\w./-]+?)(?:\.git)?/?")
# How a service shows a file at a commit, by how its host begins: GitHub and GitLab are also run by companies themselves.
SHOWS = {"github.": "blob", "gitlab.": "-/blob", "bitbucket.org": "src", "codeberg.org": "src/commit"}
UNIX = 3  # a zip of another system carries no rights, and the platform could not read its files
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip can hold


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Build the deployment package.")
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "dist" / "linker.zip")
    parser.add_argument("--backend", choices=["AzureStorage", "DurableTaskScheduler"], default="AzureStorage")
    parser.add_argument("--tools", type=Path, default=ROOT / ".tools", help="where installed wheels are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder), options.backend, wheels(options.tools.resolve()))
        write_build(Path(folder), git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"))
        count = write_manifest(Path(folder))
        compile_code(Path(folder))
        size = write_zip(Path(folder), options.target)
    told = f"{size / 1e6:.1f} MB, {count} functions, durable backend {options.backend}"
    print(f"{os.path.relpath(options.target)}: {told}")


def stage(folder: Path, backend: str, packages: Path) -> None:
    """Put the app and its packages into an empty folder."""
    for file in app_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    (folder / "host.json").write_text(json.dumps(host_settings(backend), indent=2) + "\n", encoding="utf-8")
    shutil.copytree(packages, folder / SITE_PACKAGES)


def write_build(folder: Path, commit: str) -> None:
    """Write what the package says of itself (linker/__init__.py): nothing where it is not built from a clone."""
    known = {"commit": commit, "docs": docs_of(git("remote", "get-url", "origin"), commit)}
    (folder / "linker" / "build.json").write_text(json.dumps(known) + "\n", encoding="utf-8")


def docs_of(remote: str, commit: str) -> str:
    """Return the address of the documentation at a commit, "" where the remote is none that shows files by commit."""
    found = REMOTE.fullmatch(remote)
    shows = next((way for host, way in SHOWS.items() if found and found[1].startswith(host)), "")
    return (
        f"https://{found[1]}/{found[2]}/{shows}/{commit.removesuffix('-dirty')}/docs/"
        if found and shows and commit
        else ""
    )


def git(*words: str) -> str:
    """Return what git says, "" where it cannot answer."""
    if (program := shutil.which("git")) is None:
        return ""
    done = subprocess.run([program, *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return done.stdout.strip() if done.returncode == 0 else ""


def write_manifest(folder: Path) -> int:
    """Write which functions the app has into the package, and return how many they always are.

    `scripts/publish` holds the list of the platform against it. `when` names the app setting that adds more functions.
    """
    always = functions(folder, **ANY_ENVIRONMENT)
    more = sorted(set(functions(folder, **ANY_ENVIRONMENT, **LISTENING)) - set(always))
    manifest = {"functions": always, "when": {name: more for name in LISTENING if more}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(always)


def functions(folder: Path, **settings: str) -> list[str]:
    """Return the names of the functions of a staged app, which a process of its own imports with these app settings.

    The wheels of the package run on Linux x64 alone. On another machine the development environment is used: it holds
    the same versions, and only names come from it. Raises CalledProcessError with the app's own words on stderr.
    """
    here = (sys.platform, platform.machine()) == ("linux", "x86_64")
    python, packages = (sys.executable, str(folder / SITE_PACKAGES)) if here else (str(ROOT / ".venv/bin/python"), "")
    if not Path(python).exists():
        raise FileNotFoundError(f"{python} is missing. No package was written. Run `make setup` first.")
    command = [python, "-I", "-B", "-c", LIST_FUNCTIONS, str(folder), packages]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own words
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def compile_code(folder: Path) -> None:
    """Compile every module, so that a cold start doesn't have to: a mounted package cannot keep what it compiles.

    Python uses a compiled file without a look at its source (unchecked), whatever time the file system shows. Another
    Python version compiles for itself. Raises ValueError when the app itself does not compile.
    """
    mode, options = (
        py_compile.PycInvalidationMode.UNCHECKED_HASH,
        {"quiet": 2, "stripdir": str(folder), "prependdir": MOUNT},
    )
    compiled = [
        compileall.compile_file(str(folder / "function_app.py"), invalidation_mode=mode, **options),
        compileall.compile_dir(str(folder / "linker"), invalidation_mode=mode, maxlevels=20, **options),
    ]
    if not all(compiled):
        raise ValueError("The app does not compile. No package was written. Run `make check`.")
    # Packages carry templates and tests for other Pythons, which may not compile.
    compileall.compile_dir(str(folder / SITE_PACKAGES), invalidation_mode=mode, maxlevels=20, **options)


def wheels(tools: Path) -> Path:
    """Return the folder that holds what requirements.lock names, installed at the first call and kept for the next."""
    kept = tools / f"wheels-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            pip("--no-deps", "--no-compile", "--require-hashes", f"--target={folder}/all", f"--requirement={LOCK}")
            Path(folder, "all").rename(kept)
    return kept


def pip(*options: str) -> None:
    """Install wheels for the platform. Raises CalledProcessError when one is missing."""
    command = [sys.executable, "-I", "-m", "pip", "install", *QUIETLY, *PLATFORM, *options]
    subprocess.run(command, check=True)  # noqa: S603 - our own words


def app_files() -> list[Path]:
    """Return the files of the app, relative to the repository: all that .funcignore does not name."""
    return [Path(file) for file in sorted(ignored().match_tree_files(ROOT, negate=True))]


def ignored() -> pathspec.GitIgnoreSpec:
    """Return what .funcignore matches: files that stay out of the package."""
    return pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text(encoding="utf-8").splitlines())


def host_settings(backend: str) -> dict[str, Any]:
    """Return host.json for a backend of Durable Functions: unchanged, or with what infra/host.<backend>.json changes."""
    settings: dict[str, Any] = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    overlay = ROOT / "infra" / f"host.{backend}.json"
    return merged(settings, json.loads(overlay.read_text(encoding="utf-8"))) if overlay.exists() else settings


def merged(base: Any, patch: Any) -> Any:
    """Return a JSON value with a merge patch applied (RFC 7396): members replace, null removes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        result.pop(name, None) if value is None else result.update({name: merged(result.get(name), value)})
    return result


def write_zip(folder: Path, target: Path) -> int:
    """Zip a folder in one order and with one time, and return the size in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in packed_files(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.create_system, entry.external_attr = UNIX, 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return target.stat().st_size


def packed_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder in order, without what is of no use at run time."""
    left_out = pathspec.GitIgnoreSpec.from_lines(LEFT_OUT)
    yield from (folder / file for file in sorted(left_out.match_tree_files(folder, negate=True)))


if __name__ == "__main__":
    main()
