"""What known tools find in the templates and in the package; what is skipped has its reason beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import package as packaging
from tests.infra.templates import INFRA, ROOT, templates


def test_checkov_finds_nothing_that_is_not_skipped_with_a_reason(
    checkov: Path, compiled: dict[str, Any], tmp_path: Path
) -> None:
    for name, template in templates(compiled):
        if isinstance(template["resources"], dict):  # by symbolic name; checkov reads lists alone
            template = {key: value for key, value in template.items() if key != "languageVersion"}  # noqa: PLW2901
            template["resources"] = [one for one in template["resources"].values() if not one.get("existing")]
        (tmp_path / f"{name}.json").write_text(json.dumps(template), encoding="utf-8")
    options = ["--config-file", INFRA / "checkov.yaml", "--directory", tmp_path, "--output", "json"]
    done = subprocess.run([checkov, *options], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    assert found["summary"]["passed"] >= 40, "the templates were read"
    assert found["summary"]["parsing_errors"] == 0


def test_every_skipped_check_has_its_reason() -> None:
    lines = (INFRA / "checkov.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("  - CKV") and " # " not in line] == []


def test_the_doctor_has_no_failing_rule(doctor: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("app")
    for file in [*packaging.app_files(), Path(".funcignore")]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    shutil.copytree(INFRA, folder / "infra")
    options = ["doctor", "--path", folder, "--profile", "deploy", "--hosting-plan", "flex-consumption"]
    done = subprocess.run([doctor, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, "0 fails" in done.stdout) == (0, True), done.stdout
