"""The GitHub workflows: actions are pinned by hash, permissions are the least, no secret is kept."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.infra.templates import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def text(request: pytest.FixtureRequest) -> str:
    file: Path = request.param
    return file.read_text(encoding="utf-8")


def test_every_action_is_pinned_by_its_hash_and_shows_its_version(text: str) -> None:
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


def test_no_job_may_write_but_to_sign_in_and_to_attest(text: str) -> None:
    assert re.search(r"^permissions:( \{\}$|\n  contents: read$)", text, re.MULTILINE)
    assert set(re.findall(r"([\w-]+): write", text)) <= {"id-token", "attestations"}


def test_no_file_holds_a_secret(text: str) -> None:
    assert "secrets." not in text


def test_nothing_from_outside_is_pasted_into_a_command(text: str) -> None:
    commands = re.findall(r"run: (?:\|\n((?: {10}.*\n)+)|(.*))", text)
    assert commands
    assert [command for pair in commands for command in pair if "${{" in command] == []


def test_a_deployment_reads_no_output_that_the_template_lacks() -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    outputs = set(
        re.findall(r"^output (\w+) ", (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"steps\.templates\.outputs\.(\w+)", text)) == {"appName"} <= outputs


def test_the_package_is_never_built_again_in_azure() -> None:
    """For Python on Flex Consumption `config-zip` and azd do that by themselves, and not by requirements.lock."""
    azd = (ROOT / "azure.yaml").read_text(encoding="utf-8")
    assert "    remoteBuild: false" in azd
    assert "--from-package dist/linker.zip" in azd
    assert [file.name for file in WORKFLOWS if "config-zip" in file.read_text(encoding="utf-8")] == []


DEPLOY = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")


def job(name: str) -> str:
    """Return a job of the deployment."""
    (found,) = re.findall(rf"^  {name}:\n((?:    .*\n|\n)+)", DEPLOY, re.MULTILINE)
    return str(found)


def test_a_reviewer_sees_what_changes_before_being_asked() -> None:
    """The preview runs in an environment without reviewers; the deployment waits for it, and for those of its own."""
    assert "az deployment group what-if" in job("preview")
    assert "environment: ${{ inputs.environment }}-preview\n" in job("preview")
    assert "what-if" not in job("deploy")
    assert "needs: [package, preview]\n" in job("deploy")
    assert "GITHUB_STEP_SUMMARY" in job("preview")


def test_every_workflow_compiles_with_the_compiler_of_the_snapshots() -> None:
    versions = {
        version for file in WORKFLOWS for version in re.findall(r"\bv0\.\d+\.\d+\b", file.read_text(encoding="utf-8"))
    }
    assert len(versions) == 1
    for name in ("preview", "deploy"):
        before, _, after = job(name).partition("az bicep install --version")
        assert "az deployment" not in before
        assert "az deployment" in after


def test_the_package_is_attested_with_its_parts_and_published_with_its_list() -> None:
    assert job("package").count("subject-path: dist/linker.zip") == 2
    assert "sbom-path: dist/sbom.json" in job("package")
    assert "            dist/sbom.json\n" in job("package")


def test_dependencies_are_looked_at_each_week() -> None:
    text = (ROOT / ".github" / "workflows" / "weekly.yml").read_text(encoding="utf-8")
    assert re.search(r'cron: "\d+ \d+ \* \* \d"', text)
    assert {"make audit", "make outdated"} <= set(re.findall(r"make \w+", text))


def test_a_deployment_ends_with_the_smoke_test() -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    assert "        run: scripts/smoke " in text[text.index("scripts/publish ") :]
    azd = (ROOT / "azure.yaml").read_text(encoding="utf-8")
    assert "scripts/smoke " in azd[azd.index("  postdeploy:") :]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_program_that_a_workflow_calls_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"\bmake (\w+)", text) if f"\n{name}:" not in makefile] == []
    assert [path for path in re.findall(r"scripts/[\w-]+", text) if not os.access(ROOT / path, os.X_OK)] == []
