"""What would be deployed as the app: Python on Flex Consumption, with settings that exist."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from linker import settings
from tests.infra.templates import ROOT, Deployment, evaluated

# docs/reference/azure.md 6.2
FORBIDDEN_ON_FLEX = {
    "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_WORKER_RUNTIME_VERSION", "FUNCTIONS_WORKER_PROCESS_COUNT",
    "SCM_DO_BUILD_DURING_DEPLOYMENT", "ENABLE_ORYX_BUILD", "WEBSITE_CONTENTSHARE", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION", "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_VNET_ROUTE_ALL", "FUNCTIONS_EXTENSION_VERSION",
    "WEBSITE_TIME_ZONE", "TZ", "WEBSITE_LOAD_CERTIFICATES", "AzureWebJobsStorage",
}  # fmt: skip


def test_the_app_is_python_on_flex_consumption_with_an_identity_of_its_own(deployment: Deployment) -> None:
    (app,) = deployment.of("Microsoft.Web/sites")
    config = app["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert app["identity"]["type"] == "UserAssigned"
    assert app["properties"]["httpsOnly"] is True
    assert app["tags"]["azd-service-name"] in (ROOT / "azure.yaml").read_text(encoding="utf-8")


def test_no_setting_is_there_that_flex_forbids(deployment: Deployment) -> None:
    assert FORBIDDEN_ON_FLEX.isdisjoint(deployment.settings)


def test_platform_storage_is_reached_by_the_identity(deployment: Deployment) -> None:
    platform = {name.partition("__")[2] for name in deployment.settings if name.startswith("AzureWebJobsStorage__")}
    assert platform == {"blobServiceUri", "queueServiceUri", "tableServiceUri", "credential", "clientId"}


def test_every_schedule_that_a_timer_names_is_set(deployment: Deployment) -> None:
    code = (ROOT / "function_app.py").read_text(encoding="utf-8")
    assert set(re.findall(r"%(LINKER_\w+)%", code)) <= {name for name, value in deployment.settings.items() if value}


def test_schedules_are_the_defaults_of_the_code_where_no_others_were_chosen(dev: Deployment) -> None:
    schedules = {name: value for name, value in dev.settings.items() if name.endswith("_SCHEDULE")}
    assert schedules == {name: settings.default_of(name) for name in schedules}


def test_every_setting_of_the_linker_that_is_deployed_exists(deployment: Deployment) -> None:
    deployed = {name for name in deployment.settings if name.startswith(settings.PREFIX)}
    assert deployed <= set(settings.names())


def test_the_app_starts_with_the_settings_that_are_deployed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(settings.PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in deployment.settings.items():
        known_later = value.startswith("[reference(")
        monkeypatch.setenv(name, "https://account.table.core.windows.net" if known_later else value)
    loaded = settings.load()
    assert loaded.dataverse_url == deployment.settings["LINKER_DATAVERSE_URL"]
    assert loaded.storage is None


def test_every_setting_of_the_linker_can_be_deployed(compiler: None, tmp_path: Path) -> None:
    """The template takes what the sample lists, which are all that there are."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    assert {name for name in sample if name.startswith(settings.PREFIX)} == set(settings.names())
    given = {name: f"@Microsoft.KeyVault({name})" for name in settings.names()}
    deployed = evaluated(tmp_path, {"dataverseUrl": "https://test.crm4.dynamics.com", "linkerSettings": given})
    assert deployed.settings.items() >= given.items()


def test_given_settings_win_over_computed_ones(other: Deployment) -> None:
    assert (other.settings["LINKER_WIDTH"], other.settings["LINKER_POLL_SCHEDULE"]) == ("8", "0 */15 * * * *")
