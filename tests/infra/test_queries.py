"""Workbook and alert rules: Microsoft's own parser understands every query, and every rule is deployed.

That the app emits what they read is tested where it runs: tests/system/test_telemetry.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.infra.queries import MONITORING, Query, queries
from tests.infra.templates import ROOT, Deployment, evaluated

PARSER = ROOT / ".tools" / "kusto" / "node_modules" / "@kusto" / "language-service-next"
CHECK = Path(__file__).parent / "kql" / "check.cjs"


def complaints(*found: Query) -> dict[str, list[str]]:
    """Return what the parser has against each query, by its name."""
    if not PARSER.exists():
        pytest.skip("the Kusto parser is not installed: `make infra` does that")
    given = json.dumps([{"name": query.name, "query": query.text} for query in found])
    done = subprocess.run(["node", CHECK, PARSER], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_every_query_is_understood() -> None:
    wrong = Query("wrong", 'AppTraces\n| where Mesage == "Linking run ended"')
    found = complaints(wrong, *queries())
    assert "Mesage" in found.pop("wrong")[0], "the parser knows the columns of the tables"
    assert found == {query.name: [] for query in queries()}


def test_every_rule_of_the_folder_is_deployed(prod: Deployment) -> None:
    rules = prod.of("Microsoft.Insights/scheduledQueryRules")
    files = {file.stem for file in (MONITORING / "queries").glob("*.kql")}
    assert {rule["name"].removeprefix("linkerprod-") for rule in rules} == files
    for rule in rules:
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        assert not {"REJECTED_ROWS", "ROWS_PERCENT", "RUN_HOURS"} & set(re.findall(r"\w+", criterion["query"]))


def test_an_alert_notifies_once_when_it_fires_and_once_when_it_is_over(deployment: Deployment) -> None:
    for rule in deployment.of("Microsoft.Insights/scheduledQueryRules"):
        assert rule["properties"]["autoMitigate"] is True


def test_what_an_alert_is_split_by_is_a_column_of_its_query(prod: Deployment) -> None:
    for rule in prod.of("Microsoft.Insights/scheduledQueryRules"):
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        columns = criterion["query"].splitlines()[-1]
        assert [one["name"] for one in criterion["dimensions"] if one["name"] not in columns] == []


def test_alerts_go_to_people_channels_and_a_webhook(compiler: None, tmp_path: Path) -> None:
    wanted = {"alertEmails": ["a@contoso.com"], "alertTeamsChannels": ["channel@emea.teams.ms"]}
    chosen = evaluated(tmp_path, {"dataverseUrl": "https://test.crm4.dynamics.com"} | wanted)
    group = chosen.one("Microsoft.Insights/actionGroups")
    assert [one["emailAddress"] for one in group["emailReceivers"]] == ["a@contoso.com", "channel@emea.teams.ms"]
    assert "'serviceUri', parameters('webhookUrl')" in group["webhookReceivers"], "only where one is given"


def test_a_message_leads_to_the_status_page_the_run_and_the_runbook(prod: Deployment) -> None:
    (app,) = prod.of("Microsoft.Web/sites")
    page = f"https://{app['name']}.azurewebsites.net/api/portal"
    for rule in prod.of("Microsoft.Insights/scheduledQueryRules"):
        told = rule["properties"]["actions"]["customProperties"]
        assert (told["statusPage"], told["runbook"]) == (page, "docs/operations.md")
        assert rule["name"].removeprefix("linkerprod-") in rule["properties"]["description"]
        query = rule["properties"]["criteria"]["allOf"][0]["query"]
        assert "STATUS_PAGE" not in query
        assert not re.search(r"\brun\)", query.splitlines()[-1]) or f'"{page}?run="' in query


def test_the_workbook_is_that_of_its_file_bound_to_its_workspace(dev: Deployment) -> None:
    workbook = dev.one("Microsoft.Insights/workbooks")
    assert "/workspaces/" in workbook["sourceId"]
    written = json.loads((MONITORING / "workbook.json").read_text(encoding="utf-8"))
    assert json.loads(workbook["serializedData"]) == written | {"fallbackResourceIds": [workbook["sourceId"]]}
