"""Measures in their three forms: docs/reference/customer-insights.md 2."""

import json

import httpx
import pytest

from sandbox.data.csv_folder import read_folder
from sandbox.data.generator import Sizes, generate
from sandbox.data.measures import measures_of, with_measures
from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import SAMPLE, Load, in_process

CUSTOMERS = [f"{number:032x}" for number in range(500)]


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    return load(with_measures(generate(Sizes(contacts=100, leads=0, members=0))))


@pytest.fixture
def api(sandbox: Sandbox) -> httpx.AsyncClient:
    return in_process(sandbox, API_PATH, ADMIN)


def test_counts_of_longer_times_contain_those_of_shorter_ones() -> None:
    for measures in map(measures_of, CUSTOMERS):
        assert measures.issues_last_month <= measures.issues_last_year <= measures.issues_lifetime
        assert measures.purchases_last_four_months <= measures.total_purchases
        assert 0 <= measures.lead_score <= 100


def test_customers_differ() -> None:
    assert len({measures_of(customer) for customer in CUSTOMERS}) > 490


async def test_the_three_forms_agree(api: httpx.AsyncClient) -> None:
    query = "$select=msdynci_customerid,msdynci_leadscore,msdynci_dayssincelastclaim&$top=1"
    (profile,) = (await api.get(f"/msdynci_customerprofiles?{query}")).json()["value"]
    customer_id = profile["msdynci_customerid"]
    expected = measures_of(customer_id)
    assert profile["msdynci_leadscore"] == expected.lead_score
    assert profile["msdynci_dayssincelastclaim"] == expected.days_since_last_claim

    query = f"$filter=msdynci_customerid eq '{customer_id}'"
    (row,) = (await api.get(f"/msdynci_customermeasures?{query}")).json()["value"]
    assert json.loads(row["msdynci_measures"])["SupportIssuesLastYear"] == expected.issues_last_year

    query = f"$filter=_msdynci_profile_value eq {profile['msdynci_customerprofileid']}"
    (row,) = (await api.get(f"/msdynci_supportissues?{query}")).json()["value"]
    issues = (row["msdynci_lastmonth"], row["msdynci_lastyear"], row["msdynci_lifetime"])
    assert issues == (expected.issues_last_month, expected.issues_last_year, expected.issues_lifetime)
    assert row["msdynci_customerid"] == customer_id
    one = (await api.get(f"/msdynci_supportissues({row['msdynci_supportissueid']})?$expand=msdynci_profile")).json()
    assert one["msdynci_profile"]["msdynci_customerid"] == customer_id


async def test_measures_follow_profiles_that_come_and_go(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    async with in_process(sandbox, "/sandbox") as admin:
        request = {"merge": 0.05, "split": 0.05, "add": 0.1, "delete_profiles": 0.05, "snapshot": "before"}
        await admin.post("/unifications", json=request)
        for _ in range(2):
            profiles, measures, issues = [
                await customers(api, table) for table in ("customerprofile", "customermeasure", "supportissue")
            ]
            assert profiles == measures == issues
            await admin.post("/unifications", json={"restore": "before"})


async def customers(api: httpx.AsyncClient, table: str) -> set[str]:
    rows = (await api.get(f"/msdynci_{table}s?$select=msdynci_customerid")).json()["value"]
    return {row["msdynci_customerid"] for row in rows}


async def test_loaded_profiles_get_measures_and_keep_their_own_columns(load: Load) -> None:
    sandbox = load(with_measures(read_folder(SAMPLE)))
    async with in_process(sandbox, API_PATH, ADMIN) as api:
        rows = (await api.get("/msdynci_customerprofiles")).json()["value"]
    assert len(rows) == 40
    assert all(row["msdynci_leadscore"] == measures_of(row["msdynci_customerid"]).lead_score for row in rows)
    assert {row["msdynci_loyaltytier"] for row in rows} > {"None"}
