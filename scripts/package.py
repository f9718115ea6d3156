"""Build the deployment package: the app and its Linux wheels for Python 3.13, as a zip that is the same each time.

    python scripts/package.py dist/linker.zip [--backend DurableTaskScheduler]
    python scripts/package.py --lock

The second form writes requirements.lock anew: every package that requirements.txt leads to, by version and hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pathspec

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SITE_PACKAGES = Path(".python_packages/lib/site-packages")  # where the platform looks for packages that come along
QUIETLY = ["--quiet", "--disable-pip-version-check", "--no-input"]
PLATFORM = ["--python-version=3.13", "--implementation=cp", "--only-binary=:all:"]
PLATFORM += [f"--platform={name}_x86_64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
# Of no use at run time, and different from machine to machine.
LEFT_OUT = ["bin/", "__pycache__/", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.pyi"]
UNIX = 3  # a zip of another system carries no rights, and the platform could not read its files
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip can hold


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Build the deployment package.")
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "dist" / "linker.zip")
    parser.add_argument("--backend", choices=["AzureStorage", "DurableTaskScheduler"], default="AzureStorage")
    parser.add_argument("--lock", action="store_true", help="write requirements.lock anew")
    options = parser.parse_args()
    if options.lock:
        LOCK.write_text(locked(), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder), options.backend)
        size = write_zip(Path(folder), options.target)
    print(f"{os.path.relpath(options.target)}: {size / 1e6:.1f} MB, durable backend {options.backend}")


def stage(folder: Path, backend: str) -> None:
    """Put everything that belongs into the package into an empty folder."""
    for file in app_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    (folder / "host.json").write_text(json.dumps(host_settings(backend), indent=2) + "\n", encoding="utf-8")
    shutil.copytree(wheels(), folder / SITE_PACKAGES)


def wheels() -> Path:
    """Return the folder that holds what requirements.lock names, installed at the first call and kept for the next."""
    kept = ROOT / ".tools" / f"wheels-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            pip("--no-compile", "--require-hashes", f"--target={folder}/all", f"--requirement={LOCK}")
            Path(folder, "all").rename(kept)
    return kept


def pip(*options: str) -> None:
    """Install wheels for the platform. Raises CalledProcessError when one is missing."""
    subprocess.run([sys.executable, "-m", "pip", "install", *QUIETLY, *PLATFORM, *options], check=True)  # noqa: S603 - our own words


def app_files() -> list[Path]:
    """Return the files of the app, relative to the repository: all that .funcignore does not name."""
    return [Path(file) for file in sorted(ignored().match_tree_files(ROOT, negate=True))]


def ignored() -> pathspec.GitIgnoreSpec:
    """Return what .funcignore matches: files that stay out of the package."""
    return pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text(encoding="utf-8").splitlines())


def host_settings(backend: str) -> dict[str, Any]:
    """Return host.json for a backend of Durable Functions: as it stands, or with what infra/host.<backend>.json changes."""
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


def locked() -> str:
    """Return what requirements.txt leads to on the platform, in the versions that the tests here ran with."""
    with tempfile.TemporaryDirectory() as folder:
        tested, report = Path(folder, "tested.txt"), Path(folder, "report.json")
        tested.write_text("\n".join(f"{one.name}=={one.version}" for one in distributions()), encoding="utf-8")
        found = [f"--requirement={ROOT / 'requirements.txt'}", f"--constraint={tested}"]
        pip("--dry-run", "--ignore-installed", f"--target={folder}", f"--report={report}", *found)
        packages = json.loads(report.read_text(encoding="utf-8"))["install"]
    return "\n".join(
        ["# Written by `make lock`: requirements.txt on Linux x64, as tested.", *sorted(map(pin, packages)), ""]
    )


def pin(package: dict[str, Any]) -> str:
    """Return one package of pip's report with its version and the hash of its wheel."""
    digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{package['metadata']['name'].lower()}=={package['metadata']['version']} --hash=sha256:{digest}"


if __name__ == "__main__":
    main()
