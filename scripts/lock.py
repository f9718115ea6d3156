"""Write requirements.lock: every package that requirements.txt leads to on Linux x64, by version and hash.

    python scripts/lock.py              keeps each version that the lock has and requirements.txt still allows
    python scripts/lock.py --upgrade    takes the newest that requirements.txt allows

A pre-release is only taken where a requirement names one; docs/dev/dependencies.md lists each with its reason.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
REQUIREMENTS = ROOT / "requirements.txt"
QUIETLY = ["--quiet", "--disable-pip-version-check", "--no-input"]
PLATFORM = ["--python-version=3.13", "--implementation=cp", "--only-binary=:all:"]
PLATFORM += [f"--platform={name}_x86_64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
HEAD = "# Written by `make lock`: requirements.txt on Linux x64. `make setup` installs the same versions."


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Write requirements.lock.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that requirements.txt allows")
    kept = {} if parser.parse_args().upgrade else still_allowed(locked(), required())
    LOCK.write_text("\n".join([HEAD, *sorted(map(pin, resolve(kept))), ""]), encoding="utf-8")


def locked() -> dict[str, str]:
    """Return the version of each package in the lock by its name."""
    return dict(re.findall(r"^([\w.-]+)==(\S+) ", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def required() -> list[Requirement]:
    """Return what requirements.txt asks for."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def still_allowed(versions: dict[str, str], requirements: list[Requirement]) -> dict[str, str]:
    """Return the locked versions without those that a requirement excludes."""
    excluded = {
        canonicalize_name(one.name)
        for one in requirements
        if (version := versions.get(canonicalize_name(one.name))) and not one.specifier.contains(version, True)
    }
    return {name: version for name, version in versions.items() if canonicalize_name(name) not in excluded}


def resolve(kept: dict[str, str]) -> list[dict[str, Any]]:
    """Return pip's report of each package that is needed. Raises CalledProcessError when a solution does not exist."""
    with tempfile.TemporaryDirectory() as folder:
        constraint, report = Path(folder, "constraint.txt"), Path(folder, "report.json")
        constraint.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()), encoding="utf-8")
        sources = [f"--requirement={REQUIREMENTS}", f"--constraint={constraint}", f"--report={report}"]
        options = ["--dry-run", "--ignore-installed", f"--target={folder}", *sources]
        subprocess.run([sys.executable, "-m", "pip", "install", *QUIETLY, *PLATFORM, *options], check=True)  # noqa: S603 - our own words
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def pin(package: dict[str, Any]) -> str:
    """Return one package of pip's report with its version and the hash of its wheel."""
    digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{package['metadata']['name'].lower()}=={package['metadata']['version']} --hash=sha256:{digest}"


if __name__ == "__main__":
    main()
