"""Each option alone: what it adds to the smallest deployment, and that nothing of it is there without it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.infra.templates import Deployment, evaluated

SMALLEST = {"dataverseUrl": "https://test.crm4.dynamics.com"}
ROLE = "Microsoft.Authorization/roleAssignments"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"


@pytest.fixture(scope="module")
def smallest(compiler: None, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return evaluated(tmp_path_factory.mktemp("smallest"), SMALLEST)


@pytest.mark.parametrize(
    ("option", "resources", "settings"),
    [
        pytest.param(
            {"events": "Namespace"},
            {"Microsoft.EventHub/namespaces": 1, ROLE: 1, DIAGNOSTICS: 1},
            set(),
            id="events, before there is a hub",
        ),
        pytest.param(
            {"events": "Listening"},
            {
                "Microsoft.EventHub/namespaces": 1,
                "Microsoft.EventHub/namespaces/eventhubs/consumergroups": 1,
                ROLE: 1,
                DIAGNOSTICS: 1,
            },
            {"LINKER_EVENTS__fullyQualifiedNamespace", "LINKER_EVENTS__credential", "LINKER_EVENTS__clientId"},
            id="events",
        ),
        pytest.param(
            {"durableBackend": "DurableTaskScheduler"},
            {
                "Microsoft.DurableTask/schedulers": 1,
                "Microsoft.DurableTask/schedulers/taskHubs": 1,
                "Microsoft.DurableTask/schedulers/retentionPolicies": 1,
                ROLE: 1,
            },
            {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING"},
            id="scheduler",
        ),
        pytest.param(
            {"authClientId": "00000000-0000-0000-0000-000000000002"},
            {"Microsoft.Web/sites/config": 1},
            {"OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"},
            id="authentication",
        ),
        pytest.param(
            {"insightsKeyInVault": True},
            {"Microsoft.KeyVault/vaults": 1, ROLE: 1, DIAGNOSTICS: 1},
            {"LINKER_INSIGHTS_KEY"},
            id="key vault",
        ),
        pytest.param(
            {"insightsUrl": "https://api.ci.ai.dynamics.com/v1", "insightsInstanceId": "an-id"},
            {},
            {"LINKER_INSIGHTS_URL", "LINKER_INSIGHTS_INSTANCE_ID"},
            id="customer insights",
        ),
        pytest.param(
            {"privateNetwork": True},
            {
                "Microsoft.Network/virtualNetworks": 1,
                "Microsoft.Network/networkSecurityGroups": 2,
                "Microsoft.Network/privateEndpoints": 5,
                "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": 5,
                "Microsoft.Network/privateDnsZones": 3,
                "Microsoft.Network/privateDnsZones/virtualNetworkLinks": 3,
            },
            set(),
            id="private network",
        ),
        pytest.param(
            {"packageUrl": "https://example.com/linker.zip"},
            {"Microsoft.Web/sites/extensions": 1},
            set(),
            id="a published package",
        ),
        pytest.param({"hostLogs": True}, {DIAGNOSTICS: 1}, set(), id="the host's log a second way"),
        pytest.param({"lockState": True}, {"Microsoft.Authorization/locks": 1}, set(), id="lock"),
        pytest.param(
            {"monthlyBudget": 100, "budgetStart": "2027-01-01"},
            {"Microsoft.Consumption/budgets": 1},
            set(),
            id="budget",
        ),
        pytest.param({"alertEmails": ["a@contoso.com"]}, {}, set(), id="receivers of alerts"),
    ],
)
def test_an_option_adds_its_own_and_no_more(
    option: dict[str, Any], resources: dict[str, int], settings: set[str], smallest: Deployment, tmp_path: Path
) -> None:
    chosen = evaluated(tmp_path, SMALLEST | option)
    assert kinds(chosen) - kinds(smallest) == Counter(resources)
    assert kinds(smallest) - kinds(chosen) == Counter()
    assert chosen.settings.keys() - smallest.settings.keys() == settings


def test_shared_keys_of_events_are_the_only_ones_and_have_to_be_asked_for(compiler: None, tmp_path: Path) -> None:
    chosen = evaluated(tmp_path, SMALLEST | {"events": "Namespace", "eventsSharedKeys": True})
    assert chosen.one("Microsoft.EventHub/namespaces")["disableLocalAuth"] is False
    accounts = chosen.of("Microsoft.Storage/storageAccounts")
    assert {one["properties"]["allowSharedKeyAccess"] for one in accounts} == {False}


def test_the_app_goes_out_through_a_given_gateway(compiler: None, tmp_path: Path) -> None:
    gateway = "/subscriptions/a/resourceGroups/b/providers/Microsoft.Network/natGateways/c"
    chosen = evaluated(tmp_path, SMALLEST | {"privateNetwork": True, "natGatewayId": gateway})
    app, endpoints = chosen.one("Microsoft.Network/virtualNetworks")["subnets"]
    assert (app["name"], app["properties"]["natGateway"]) == ("app", {"id": gateway})
    assert app["properties"]["defaultOutboundAccess"] is False
    assert "natGateway" not in endpoints["properties"]


def test_without_a_gateway_the_app_still_has_a_way_out(compiler: None, tmp_path: Path) -> None:
    """Newer versions of the network API close a subnet unless it says otherwise."""
    chosen = evaluated(tmp_path, SMALLEST | {"privateNetwork": True})
    app, endpoints = chosen.one("Microsoft.Network/virtualNetworks")["subnets"]
    assert app["properties"]["defaultOutboundAccess"] is True
    assert endpoints["properties"]["defaultOutboundAccess"] is False


@pytest.mark.parametrize(
    ("options", "sku", "zones"),
    [
        pytest.param({"location": "westeurope"}, "Standard_ZRS", False, id="a region with zones"),
        pytest.param({"location": "West Europe"}, "Standard_ZRS", False, id="by its display name"),
        pytest.param({"location": "westus"}, "Standard_LRS", False, id="a region without"),
        pytest.param({"location": "westus", "storageSku": "Standard_GRS"}, "Standard_GRS", False, id="what was chosen"),
        pytest.param({"location": "westeurope", "zoneRedundant": True}, "Standard_ZRS", True, id="spread over zones"),
    ],
)
def test_zones_are_used_where_the_region_has_them(
    compiler: None, tmp_path: Path, options: dict[str, Any], sku: str, zones: bool
) -> None:
    chosen = evaluated(tmp_path, SMALLEST | options)
    assert {one["sku"]["name"] for one in chosen.of("Microsoft.Storage/storageAccounts")} == {sku}
    assert chosen.one("Microsoft.Web/serverfarms")["zoneRedundant"] is zones


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"location": "westus", "zoneRedundant": True}, "westus has none"),
        ({"monthlyBudget": 50}, "monthlyBudget needs budgetStart"),
    ],
)
def test_options_that_cannot_work_deploy_nothing(
    compiler: None, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(AssertionError, match=rf"{told}.*Nothing was deployed"):
        evaluated(tmp_path, SMALLEST | options)


def test_the_lock_is_on_the_state(compiler: None, tmp_path: Path) -> None:
    (lock,) = evaluated(tmp_path, SMALLEST | {"lockState": True}).of("Microsoft.Authorization/locks")
    assert "/storageAccounts/sts" in lock["id"]


def kinds(deployment: Deployment) -> Counter[str]:
    """Count the resources of each type."""
    return Counter(one["type"] for one in deployment.resources)
