"""What comes along with the app: pinned by hash, licensed so that it may, and listed for those who ask."""

from __future__ import annotations

import re
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts import licences, lock, package

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "linker").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), ROOT / "function_app.py"]


def test_every_package_is_pinned_by_version_and_hash() -> None:
    lines = [line for line in package.LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line)] == []
    assert len(lines) == len(licences.locked())


def test_the_package_is_built_from_the_lock_alone() -> None:
    source = Path(package.__file__).read_text(encoding="utf-8")
    assert '"--require-hashes"' in source
    assert '"--only-binary=:all:"' in source  # no code of a package runs when it is installed


def test_tests_run_with_the_versions_that_are_deployed() -> None:
    differing = {name: (version(name), locked) for name, locked in lock.locked().items() if version(name) != locked}
    assert differing == {}, "installed and locked; `make setup` installs what the lock names"


def pre_releases() -> list[tuple[set[str], str, str]]:
    """Return names, version and declined releases of each line below *Pre-releases* in docs/dev/dependencies.md."""
    told = (ROOT / "docs" / "dev" / "dependencies.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([^|]+) \| (\d\S+) \| [^|]+ \|([^|]*)\|$", told, re.MULTILINE)
    return [(set(names.split(", ")), number, kept_out) for names, number, kept_out in lines]


def on_purpose() -> dict[str, str]:
    """Return the version of each pre-release that docs/dev/dependencies.md gives a reason for."""
    return {name: number for names, number, _ in pre_releases() for name in names}


def declined(name: str) -> set[str]:
    """Return the final releases of a package that docs/dev/dependencies.md says are not taken."""
    return {
        one for names, _, kept_out in pre_releases() if name in names for one in re.findall(r"\d[\w.]*\w", kept_out)
    }


def test_every_pre_release_is_taken_on_purpose() -> None:
    assert {name: number for name, number in lock.locked().items() if Version(number).is_prerelease} == on_purpose()


@pytest.mark.parametrize(
    ("required", "kept"),
    [("b>=1.2", {"a": "1.0", "b": "1.2.3"}), ("b>=2", {"a": "1.0"}), ("c", {"a": "1.0", "b": "1.2.3"})],
)
def test_the_lock_keeps_what_is_still_allowed(required: str, kept: dict[str, str]) -> None:
    assert lock.still_allowed({"a": "1.0", "b": "1.2.3"}, [Requirement(required)]) == kept


def listed() -> list[tuple[str, str, str]]:
    """Return name, version and licence of each package in docs/licences.md."""
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.+) \|$", text, re.MULTILINE)[1:]


def test_every_package_of_the_lock_is_listed_with_an_allowed_licence() -> None:
    assert [(name, locked) for name, locked, _ in listed()] == licences.locked()
    assert [name for name, _, licence in listed() if not licences.is_allowed(licence)] == []


def test_the_listed_licences_are_those_that_the_packages_state() -> None:
    here = {one.name.lower(): one.version for one in distributions()}
    known = [one for one in listed() if here.get(one[0]) == one[1]]  # another version may have another licence
    assert len(known) > 30
    assert [(name, licence) for name, _, licence in known] == [
        (name, licences.licence_of(name)) for name, _, _ in known
    ]


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0", False),
        ("", False),
    ],
)
def test_an_unknown_licence_is_none_that_is_allowed(expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression) is allowed


def test_every_required_package_has_its_reason() -> None:
    told = (ROOT / "docs" / "dev" / "dependencies.md").read_text(encoding="utf-8").lower()
    for file in ("requirements.txt", "requirements-dev.txt", "requirements-infra.txt", "requirements-build.txt"):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        names = [re.split(r"[<>= ]", line)[0].lower() for line in lines if line[:1].isalpha()]
        assert [name for name in names if name not in told] == []


def test_a_security_rule_is_ignored_only_with_its_reason() -> None:
    ignored = [line for file in SOURCES for line in file.read_text(encoding="utf-8").splitlines() if "noqa: S" in line]
    assert ignored
    assert [line for line in ignored if not re.search(r"noqa: S\d+ - \w", line)] == []
    assert [line for file in SOURCES for line in file.read_text(encoding="utf-8").splitlines() if "nosec" in line] == []
