"""`azd up` is one command, and "Deploy to Azure" one click: what both deploy is derived from infra/main.bicep."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import templates as derived
from tests.infra.templates import INFRA, ROOT, bicep, complaints, stored

AZD = (ROOT / "azure.yaml").read_text(encoding="utf-8")
PARAMETERS = derived.parameters()
# A value of each variable that is not a plain text.
VALUES = {
    "TAGS": ('{"cost": "crm"}', {"cost": "crm", "azd-env-name": "linker"}),
    "MORE_SETTINGS": ('{"LINKER_WIDTH": "8"}', {"LINKER_WIDTH": "8"}),
    "ALERT_EMAILS": ("a@contoso.com,b@contoso.com", ["a@contoso.com", "b@contoso.com"]),
    "ALERT_TEAMS_CHANNELS": ("c@emea.teams.ms", ["c@emea.teams.ms"]),
    "INSTANCE_MEMORY_MB": ("4096", 4096),
    "EVENTS": ("Namespace", "Namespace"),
    "DURABLE_BACKEND": ("DurableTaskScheduler", "DurableTaskScheduler"),
    "UPDATE_STRATEGY": ("RollingUpdate", "RollingUpdate"),
    "STORAGE_SKU": ("Standard_GRS", "Standard_GRS"),
    "ALERT_RUN_HOURS": ("12", 12),
    "ALERT_ROWS_PERCENT": ("30", 30),
    "ALWAYS_READY_INSTANCES": ("3", 3),
    "LOG_DAILY_CAP_GB": ("2", 2),
}


def of_type(parameter: derived.Parameter) -> tuple[str, Any]:
    """Return a text for the variable of a parameter, and the value that has to come of it."""
    if parameter.variable in VALUES:
        return VALUES[parameter.variable]
    return {"bool": ("true", True), "int": ("60", 60)}.get(parameter.type, ("some-text", "some-text"))


def test_every_parameter_is_known() -> None:
    text = (INFRA / "main.bicep").read_text(encoding="utf-8")
    assert [one.name for one in PARAMETERS] == re.findall(r"^param (\w+)", text, re.MULTILINE)
    assert len({one.variable for one in PARAMETERS}) == len(PARAMETERS)


def test_what_is_derived_is_as_main_bicep_says() -> None:
    for name, text in derived.derived(PARAMETERS).items():
        assert (INFRA / name).read_text(encoding="utf-8") == text, f"run `make templates`: {name}"


@pytest.mark.usefixtures("compiler")
def test_the_compiled_template_of_the_button_is_that_of_main_bicep() -> None:
    assert (INFRA / "azuredeploy.json").read_text(encoding="utf-8") == derived.compiled(), "run `make templates`"


@pytest.mark.parametrize("file", ["main", "azd/main"])
@pytest.mark.usefixtures("compiler")
def test_every_parameter_can_be_given_by_its_variable(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_ENV_NAME", raising=False)
    for one in PARAMETERS:
        monkeypatch.setenv(one.variable, of_type(one)[0])
    done = bicep("build-params", INFRA / f"{file}.bicepparam", "--stdout")
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    given = json.loads(json.loads(done.stdout)["parametersJson"])["parameters"]
    assert {one.name: given[one.name]["value"] for one in PARAMETERS} == {
        one.name: of_type(one)[1] for one in PARAMETERS
    }


@pytest.mark.parametrize("file", ["main", "azd/main"])
@pytest.mark.usefixtures("compiler")
def test_nothing_is_deployed_for_an_environment_that_has_no_name(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINKER_DATAVERSE_URL", raising=False)
    done = bicep("build-params", INFRA / f"{file}.bicepparam", "--stdout")
    assert done.returncode != 0
    assert '"LINKER_DATAVERSE_URL" does not exist' in done.stderr


def test_azd_makes_the_group_and_finds_the_app_in_it() -> None:
    group = stored(INFRA / "azd" / "main.snapshot.json").of("Microsoft.Resources/resourceGroups")
    assert [one["name"] for one in group] == ["rg-linker-azd"]
    assert group[0]["tags"]["azd-env-name"] == "linker-azd"


def test_azd_deploys_the_same_as_the_parameters_by_themselves() -> None:
    azd, main = (stored(INFRA / name / "main.snapshot.json") for name in ("azd", ""))
    kinds = sorted(one["type"] for one in azd.resources if one["type"] != "Microsoft.Resources/resourceGroups")
    assert kinds == sorted(one["type"] for one in main.resources)


def test_azd_reads_no_variable_that_the_template_does_not_write() -> None:
    template = (INFRA / "azd" / "main.bicep").read_text(encoding="utf-8")
    outputs = set(re.findall(r"^output (\w+)", template, re.MULTILINE))
    known = outputs | {one.variable for one in PARAMETERS}
    assert set(re.findall(r"\$\{?([A-Z_]{3,})", AZD)) <= known
    assert "path: infra/azd" in AZD
    assert set(derived.OUTPUTS.values()) == set(
        re.findall(r"^output (\w+)", (INFRA / "main.bicep").read_text(encoding="utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("known", "typed", "code", "kept"),
    [
        ("", "https://contoso.crm4.dynamics.com/\n", 0, "https://contoso.crm4.dynamics.com"),
        ("https://contoso.crm4.dynamics.com", "", 0, "https://contoso.crm4.dynamics.com"),
        ("", "contoso\n", 1, None),
        ("", "http://contoso.crm4.dynamics.com\n", 1, None),
    ],
)
def test_azd_asks_for_the_dataverse_environment_once(
    tmp_path: Path, known: str, typed: str, code: int, kept: str | None
) -> None:
    stand_in = tmp_path / "azd"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n', encoding="utf-8")
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "LINKER_DATAVERSE_URL": known}
    command = [ROOT / "scripts" / "azd-prepare"]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code
    calls = (tmp_path / "calls").read_text(encoding="utf-8") if kept else ""
    assert calls == (f"env set LINKER_DATAVERSE_URL {kept}\n" if kept else "")
    assert ("Nothing was deployed" in done.stderr) is (code == 1)


def test_the_button_leads_to_the_compiled_template() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    (link,) = re.findall(r"\(https://portal\.azure\.com/#create/Microsoft\.Template/uri/(\S+)\)", page)
    assert link.endswith("%2Fmain%2Finfra%2Fazuredeploy.json")
    template = json.loads((INFRA / "azuredeploy.json").read_text(encoding="utf-8"))
    assert template["$schema"].endswith("/deploymentTemplate.json#")
    needed = [name for name, one in template["parameters"].items() if "defaultValue" not in one]
    assert needed == ["dataverseUrl"], "what a form has to ask for"
