"""The templates compile without a warning, and deploy what their golden files say."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import tool
from tests.infra.templates import INFRA, ROOT, bicep, complaints, evaluated, main_files, templates

FILES = main_files()
PARSE = Path(__file__).with_name("parse.py")
BEYOND_CHECKOV = {
    "main.bicep", "app.bicep", "budget.bicep", "network.bicep", "roles.bicep", "settings.bicep", "storage.bicep",
    "alerts.bicep",
}  # fmt: skip


def test_the_compiler_has_nothing_to_say(request: pytest.FixtureRequest) -> None:
    if bicep("--version").returncode == 127:
        parsed_by_checkov()
        pytest.skip("no Bicep compiler: the templates were only parsed, with checkov's parser")
    compiled: dict[str, Any] = request.getfixturevalue("compiled")
    modules = {template["metadata"]["_generator"]["templateHash"] for _, template in templates(compiled)}
    assert len(modules) == len(FILES), "every file is a module of main.bicep"


def test_no_rule_of_the_linter_stops_a_deployment() -> None:
    """A rule that is an error stops a deployment when the compiler or the calendar changes, and the templates did not."""
    rules = json.loads((INFRA / "bicepconfig.json").read_text(encoding="utf-8"))["analyzers"]["core"]["rules"]
    assert {rule["level"] for rule in rules.values()} == {"warning"}


@pytest.mark.usefixtures("compiler")
def test_every_api_version_may_be_too_old_and_the_templates_still_compile(tmp_path: Path) -> None:
    """No version is younger than 0 days: the linter complains as it will on any later day."""
    shutil.copytree(INFRA, tmp_path / "infra")
    shutil.copy(ROOT / "local.settings.sample.json", tmp_path)
    config = tmp_path / "infra" / "bicepconfig.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"maxAgeInDays": 730', '"maxAgeInDays": 0'))
    done = bicep("build", tmp_path / "infra" / "main.bicep", "--stdout")
    assert "use-recent-api-versions" in done.stderr
    assert (done.returncode, complaints(done.stderr)) == (0, [])


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("today", ["2027-01-02", "2029-01-01"])
@pytest.mark.parametrize("arguments", [("build", "main.bicep"), ("build-params", "prod.bicepparam")], ids=" ".join)
def test_a_deployment_compiles_under_a_future_clock(today: str, arguments: tuple[str, str]) -> None:
    command, file = arguments
    clock = shutil.which("faketime")
    if clock is None:
        pytest.skip("faketime is not installed: apt-get install faketime")
    line = [clock, today, ROOT / "scripts" / "bicep", command, INFRA / file, "--stdout"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, complaints(done.stderr)) == (0, [])


def parsed_by_checkov() -> None:
    """Its parser is years behind the language: of files with typed values it can say nothing, which are named here."""
    python = tool("checkov").with_name("python")
    done = subprocess.run([python, PARSE, *FILES], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == BEYOND_CHECKOV


@pytest.mark.usefixtures("compiler")
def test_every_deployment_is_what_its_snapshot_says() -> None:
    done = subprocess.run([ROOT / "scripts" / "snapshots", "validate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\nIf this is meant, run `make snapshots` and review the difference."


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"LINKER_WITDH": "8"}, "There is no setting LINKER_WITDH", id="misspelt"),
        pytest.param({"FUNCTIONS_WORKER_RUNTIME": "python"}, "There is no setting FUNCTIONS_WORKER", id="not ours"),
        pytest.param({"LINKER_INSIGHTS_KEY": "abc"}, "LINKER_INSIGHTS_KEY is a secret", id="a key as it is"),
        pytest.param({"LINKER_STORAGE": "AccountKey=a"}, "LINKER_STORAGE is a secret", id="a connection string"),
    ],
)
def test_a_setting_that_cannot_be_deploys_nothing(settings: dict[str, str], told: str, tmp_path: Path) -> None:
    wrong = {"dataverseUrl": "https://test.crm4.dynamics.com", "linkerSettings": settings}
    with pytest.raises(AssertionError, match=rf"{told}.*Nothing was deployed"):
        evaluated(tmp_path, wrong)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_that_is_switched_off_has_its_reason_beside_it(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "#disable-next-line" in line and " // " not in line] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_parameter_and_output_is_described(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith(("param ", "output ")):
            start = max(i for i in range(number) if not lines[i]) if "" in lines[:number] else 0
            assert any(text.startswith("@description(") for text in lines[start:number]), line
