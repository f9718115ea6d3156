"""What would be deployed: no key anywhere, roles at the smallest scope, nothing that Flex Consumption forbids."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from linker.adapters.storage.block_store import HASHES
from linker.adapters.storage.documents import STATUS
from linker.adapters.storage.record_store import ERRORS
from linker.core.roles import Role
from linker.core.runs.workflow_jobs import GROUP, HUB
from linker.entrypoints.operations import MAX_BODY_BYTES
from tests.infra.templates import ROOT, Deployment

# docs/reference/azure.md 5 and the documented ids of Event Hubs Data Receiver and Key Vault Secrets User
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Microsoft.Storage/storageAccounts/",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Microsoft.Storage/storageAccounts/",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Microsoft.Storage/storageAccounts/",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Microsoft.Storage/storageAccounts/",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Microsoft.Insights/components/",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Microsoft.EventHub/namespaces/",
    "4633458b-17de-408a-b874-0445c86b69e6": "Microsoft.KeyVault/vaults/",
    "0ad04412-c4d5-4796-b79c-f76d14c8d402": "Microsoft.DurableTask/schedulers/",
}
ALWAYS = set(list(ROLES)[:5])


BLOB_OWNER, QUEUES, PACKAGE, TABLES, *_ = ROLES


def assignments(deployment: Deployment) -> list[tuple[str, str]]:
    """Return role and scope of each assignment."""
    found = deployment.of("Microsoft.Authorization/roleAssignments")
    assert {one["properties"]["principalType"] for one in found} == {"ServicePrincipal"}
    return [
        (one["properties"]["roleDefinitionId"][-36:], one["id"].partition("/providers/Microsoft.Authorization")[0])
        for one in found
    ]


def scopes(deployment: Deployment) -> dict[str, str]:
    """Return the scope of each role that is given once, by the role's id."""
    return dict(assignments(deployment))


def accounts(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the storage accounts of the platform and of the state, each with its properties."""
    found = {one["name"][2]: one for one in deployment.of("Microsoft.Storage/storageAccounts")}
    return {"host": found["h"]["properties"], "state": found["s"]["properties"]}


def test_each_role_is_given_on_the_one_resource_that_needs_it(deployment: Deployment) -> None:
    for role, scope in assignments(deployment):
        assert f"/providers/{ROLES[role]}" in scope


def test_what_the_code_signs_in_with_cannot_replace_the_package(deployment: Deployment) -> None:
    """Blob roles of the code reach the platform's account alone; the package has an identity of its own."""
    blobs = [(role, scope) for role, scope in assignments(deployment) if role in (BLOB_OWNER, PACKAGE)]
    where = dict(blobs)
    assert len(blobs) == len(where) == 2
    assert "/storageAccounts/sth" in where[BLOB_OWNER]
    assert "/storageAccounts/sts" in where[PACKAGE]
    assert "/containers/app-package-" in where[PACKAGE]
    (app,) = deployment.of("Microsoft.Web/sites")
    identity = app["properties"]["functionAppConfig"]["deployment"]["storage"]["authentication"]
    assert "'packageIdentity'" in identity["userAssignedIdentityResourceId"]
    assert len(app["identity"]["userAssignedIdentities"]) == 2


def test_the_state_is_reached_by_its_tables_alone(deployment: Deployment) -> None:
    on_state = {role for role, scope in assignments(deployment) if "/storageAccounts/sts" in scope}
    assert on_state == {TABLES, PACKAGE}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param("dev", set(), id="dev: storage and telemetry"),
        pytest.param(
            "prod", {"a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "4633458b-17de-408a-b874-0445c86b69e6"}, id="prod"
        ),
        pytest.param(
            "other", {"a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "0ad04412-c4d5-4796-b79c-f76d14c8d402"}, id="other"
        ),
    ],
)
def test_no_role_is_given_that_is_not_needed(name: str, more: set[str], request: pytest.FixtureRequest) -> None:
    assert scopes(request.getfixturevalue(name)).keys() == ALWAYS | more


def test_the_scheduler_role_reaches_its_task_hub_only(other: Deployment) -> None:
    assert scopes(other)["0ad04412-c4d5-4796-b79c-f76d14c8d402"].endswith("/taskHubs/linker")


def test_storage_knows_no_key_and_no_public_blob(deployment: Deployment) -> None:
    for account in accounts(deployment).values():
        assert (account["allowSharedKeyAccess"], account["allowBlobPublicAccess"]) == (False, False)
        assert (account["minimumTlsVersion"], account["supportsHttpsTrafficOnly"]) == ("TLS1_2", True)
    for blobs in deployment.of("Microsoft.Storage/storageAccounts/blobServices"):
        assert blobs["properties"]["deleteRetentionPolicy"]["enabled"]
        assert blobs["properties"]["containerDeleteRetentionPolicy"]["enabled"]


def test_no_password_deploys_and_old_tls_is_refused(deployment: Deployment) -> None:
    ways = {one["name"].rpartition("/")[2]: one["properties"]["allow"] for one in deployment.of(
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    )}  # fmt: skip
    assert ways == {"scm": False, "ftp": False}
    site = deployment.one("Microsoft.Web/sites")
    assert (site["siteConfig"]["minTlsVersion"], site["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert site["clientAffinityEnabled"] is False


def test_the_platform_refuses_bodies_that_the_app_would(deployment: Deployment) -> None:
    limit = int(deployment.settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"])
    assert MAX_BODY_BYTES < limit <= 2**20


def test_the_logs_show_who_touched_the_state_and_leave_out_what_never_rests(deployment: Deployment) -> None:
    logged = {}
    for one in deployment.of("Microsoft.Insights/diagnosticSettings"):
        if match := re.search(r"/storageAccounts/st(\w)\w+/(\w+)/default/", one["id"]):
            logged[match.groups()] = {log["category"] for log in one["properties"]["logs"]}
    everything = {"StorageRead", "StorageWrite", "StorageDelete"}
    assert logged == {
        ("s", "blobServices"): everything, ("s", "tableServices"): everything,
        ("h", "blobServices"): {"StorageDelete"}, ("h", "tableServices"): {"StorageDelete"},
    }  # fmt: skip


def test_telemetry_leaves_out_what_is_not_read(deployment: Deployment) -> None:
    """Counters of each process, and metrics that the portal shows without a workspace: docs/deploy.md has the figures."""
    assert deployment.settings["OTEL_METRIC_EXPORT_INTERVAL"] == "300000"
    assert deployment.settings["APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED"] == "true"
    for one in deployment.of("Microsoft.Insights/diagnosticSettings"):
        assert "metrics" not in one["properties"]


def test_telemetry_takes_identities_only_and_is_bounded(deployment: Deployment) -> None:
    assert deployment.one("Microsoft.Insights/components")["DisableLocalAuth"] is True
    workspace = deployment.one("Microsoft.OperationalInsights/workspaces")
    assert workspace["workspaceCapping"]["dailyQuotaGb"] > 0
    assert deployment.settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].count("Authorization=AAD") == 1


def test_no_file_holds_a_key(deployment: Deployment) -> None:
    text = json.dumps(deployment.resources)
    assert not re.search(r"AccountKey=|SharedAccessKey|listKeys|listAccountKeys|InstrumentationKey|\bsig=", text)
    for namespace in deployment.of("Microsoft.EventHub/namespaces"):
        assert namespace["properties"]["disableLocalAuth"] is True


def test_outputs_name_things_and_open_nothing(compiled: dict[str, Any]) -> None:
    names = {"appName", "appUrl", "identityClientId", "identityPrincipalId", "vaultName", "eventHubsNamespace"}
    assert compiled["outputs"].keys() == names


def test_nothing_is_allowed_by_a_wildcard(deployment: Deployment) -> None:
    dimensions = '"operator": "Include", "values": ["*"]'  # of an alert: one message for each value
    assert '"*"' not in json.dumps(deployment.resources).replace(dimensions, "")


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("Microsoft.Storage/storageAccounts", 4),  # blobs and tables of both
        ("Microsoft.Web/sites", 0),  # its telemetry has the same
        ("Microsoft.EventHub/namespaces", 1),
        ("Microsoft.KeyVault/vaults", 1),
    ],
)
def test_diagnostics_go_to_the_workspace(prod: Deployment, kind: str, count: int) -> None:
    found = [
        one["id"] for one in prod.of("Microsoft.Insights/diagnosticSettings") if f"/providers/{kind}/" in one["id"]
    ]
    assert len(found) == count


def test_events_are_off_until_customer_insights_has_made_the_hub(
    dev: Deployment, prod: Deployment, other: Deployment
) -> None:
    setting = "LINKER_EVENTS__fullyQualifiedNamespace"
    assert (setting in dev.settings, setting in other.settings, setting in prod.settings) == (False, False, True)
    assert other.of("Microsoft.EventHub/namespaces")
    assert not other.of("Microsoft.EventHub/namespaces/eventhubs/consumergroups")
    assert prod.named("Microsoft.EventHub/namespaces/eventhubs/consumergroups", "/insight-logs-operational/linker")


def test_names_are_those_of_the_code(prod: Deployment) -> None:
    tables = {
        one["name"].rpartition("/")[2] for one in prod.of("Microsoft.Storage/storageAccounts/tableServices/tables")
    }
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "linker" / "adapters" / "storage").glob("*.py"))
    assert tables == set(re.findall(r'^[A-Z]+ = "(linker\w+)"$', code, re.MULTILINE)) >= {HASHES, STATUS, ERRORS}
    (group,) = prod.of("Microsoft.EventHub/namespaces/eventhubs/consumergroups")
    assert group["name"].endswith(f"/{HUB}/{GROUP}")


def test_the_app_registration_gets_every_role_that_the_api_knows() -> None:
    roles = json.loads((ROOT / "infra" / "app-roles.json").read_text(encoding="utf-8"))
    assert [role["value"] for role in roles] == list(Role)
    assert len({role["id"] for role in roles}) == len(Role)


def test_a_private_network_closes_storage_and_leads_to_every_service_in_use(prod: Deployment, dev: Deployment) -> None:
    assert {one["publicNetworkAccess"] for one in accounts(prod).values()} == {"Disabled"}
    assert {one["publicNetworkAccess"] for one in accounts(dev).values()} == {"Enabled"}
    endpoints = [
        one["properties"]["privateLinkServiceConnections"][0]["properties"]
        for one in prod.of("Microsoft.Network/privateEndpoints")
    ]
    led = {(one["privateLinkServiceId"].rpartition("/")[2][2], *one["groupIds"]) for one in endpoints}
    assert led == {("h", "blob"), ("h", "queue"), ("h", "table"), ("s", "blob"), ("s", "table")}
    for group in prod.of("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        (zone,) = group["properties"]["privateDnsZoneConfigs"]
        assert f"'privatelink.{{0}}.{{1}}', '{zone['name']}'" in zone["properties"]["privateDnsZoneId"]
    assert prod.one("Microsoft.Web/sites")["virtualNetworkSubnetId"].endswith(".outputs.appSubnetId.value]")
    assert not dev.of("Microsoft.Network/virtualNetworks")


def test_authentication_needs_no_client_secret(prod: Deployment, dev: Deployment) -> None:
    sign_in = prod.named("Microsoft.Web/sites/config", "/authsettingsV2")["properties"]
    registration = sign_in["identityProviders"]["azureActiveDirectory"]["registration"]
    assert registration["clientSecretSettingName"] == "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"
    assert registration["clientSecretSettingName"] in prod.settings
    assert sign_in["globalValidation"]["requireAuthentication"] is True
    assert len(dev.of("Microsoft.Web/sites/config")) == 1


def test_the_subscription_key_is_a_reference_to_key_vault(prod: Deployment) -> None:
    assert re.fullmatch(
        r"@Microsoft\.KeyVault\(VaultName=\S+;SecretName=insights-key\)", prod.settings["LINKER_INSIGHTS_KEY"]
    )


def test_the_scheduler_comes_with_its_connection(other: Deployment, dev: Deployment) -> None:
    connection = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
    overlay = json.loads((ROOT / "infra" / "host.DurableTaskScheduler.json").read_text(encoding="utf-8"))
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]
    assert overlay["extensions"]["durableTask"]["storageProvider"]["connectionStringName"] == connection
    assert "Authentication=ManagedIdentity" in other.settings[connection]
    assert other.named("Microsoft.DurableTask/schedulers/taskHubs", f"/{host['hubName']}")
    assert connection not in dev.settings
    assert not dev.of("Microsoft.DurableTask/schedulers")


@pytest.mark.parametrize(("name", "ready"), [("dev", []), ("prod", [1]), ("other", [2])])
def test_instances_that_are_always_ready_are_of_the_durable_group(
    name: str, ready: list[int], request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(name).one("Microsoft.Web/sites")["functionAppConfig"]
    groups = config["scaleAndConcurrency"]["alwaysReady"]
    assert groups == [{"name": "durable", "instanceCount": count} for count in ready]
