"""What known tools find in the templates and in the package; what is skipped has its reason beside it."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from tests.infra.templates import INFRA, templates


def test_checkov_finds_nothing_that_is_not_skipped_with_a_reason(
    checkov: Path, compiled: dict[str, Any], tmp_path: Path
) -> None:
    for name, template in templates(compiled):
        (tmp_path / f"{name}.json").write_text(json.dumps(template), encoding="utf-8")
    options = ["--config-file", INFRA / "checkov.yaml", "--directory", tmp_path, "--output", "json"]
    done = subprocess.run([checkov, *options], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    assert found["summary"]["passed"] >= 10, "the templates were read"
    assert found["summary"]["parsing_errors"] == 0


def test_every_skipped_check_has_its_reason() -> None:
    lines = (INFRA / "checkov.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("  - CKV") and " # " not in line] == []


def test_the_doctor_has_no_failing_rule_for_the_package(doctor: Path, package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if not name.startswith(".python_packages/")])
    options = ["doctor", "--path", tmp_path, "--profile", "deploy", "--hosting-plan", "flex-consumption"]
    done = subprocess.run([doctor, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, "0 fails" in done.stdout) == (0, True), done.stdout
