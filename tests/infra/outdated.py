"""What is newer than a decision of ours: run by `make outdated` alone, since the answer changes without a change of ours.

A failure asks for a decision, not for an upgrade: raise the version, or write in docs/dev/dependencies.md why not.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts import lock
from tests.infra.templates import INFRA, bicep
from tests.security.test_dependencies import declined, on_purpose


def releases(name: str) -> list[Version]:
    """Return every release of a package that the index offers for this Python, pre-releases included."""
    command = [sys.executable, "-m", "pip", "index", "versions", "--pre", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Available versions: "))
    return [Version(one) for one in line.removeprefix("Available versions: ").split(", ")]


@pytest.mark.parametrize("name", sorted(on_purpose()))
def test_a_pre_release_has_no_final_release_without_a_decision(name: str) -> None:
    used = Version(lock.locked()[name])
    finals = {str(one) for one in releases(name) if one > used and not one.is_prerelease}
    assert finals - declined(name) == set(), f"{name} {used} is a pre-release, and final releases are there"


@pytest.mark.parametrize("requirement", lock.required(), ids=lambda one: one.name)
def test_no_final_release_lies_outside_what_requirements_txt_allows(requirement: Requirement) -> None:
    used = Version(lock.locked()[requirement.name])
    newer = {str(one) for one in releases(requirement.name) if one > used and not one.is_prerelease}
    beyond = {one for one in newer if not requirement.specifier.contains(one)}
    assert beyond - declined(requirement.name) == set(), f"{requirement} keeps these out"


def test_api_versions_are_younger_than_two_years() -> None:
    done = bicep("build", INFRA / "main.bicep", "--stdout")
    if done.returncode == 127:
        pytest.skip("no Bicep compiler")
    assert [line for line in done.stderr.splitlines() if "use-recent-api-versions" in line] == []
