"""`$expand`: docs/reference/dataverse.md 5.1, 5.4 and 7, and Microsoft's page on joining tables."""

import pytest

from sandbox.webapi.protocol import rendering
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import Json, create, error, message, read

ONLY = "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or nested "
ONLY += "one-to-many relationship."


@pytest.fixture
async def accounts(api: Client) -> list[str]:
    """The ids of two accounts, in the order of an answer: one with three contacts, one with none."""
    ids = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]
    for account in ids:
        await create(api, "accounts", accountid=account, name=account[-1])
    for name in ("Ash", "Elm", "Oak"):
        await create(api, "contacts", lastname=name, **{"parentcustomerid_account@odata.bind": f"accounts({ids[0]})"})
    return ids


def shown(row: Json) -> list[str]:
    return [child["lastname"] for child in row["contact_customer_accounts"]]


async def test_the_context_names_what_is_expanded(api: Client, accounts: list[str]) -> None:
    nested = "contact_customer_accounts($select=lastname;$expand=createdby($select=fullname))"
    document = await read(api, f"accounts({accounts[0]})?$select=name&$expand={nested}")
    context = "accounts(name,contact_customer_accounts(lastname,createdby(fullname)))/$entity"
    assert document["@odata.context"].endswith(f"$metadata#{context}")


async def test_an_expanded_collection_has_a_link_to_all_of_it(api: Client, accounts: list[str]) -> None:
    inner = "$select=lastname;$orderby=lastname desc;$filter=lastname ne 'a;b'"
    page = await read(api, f"accounts?$select=name&$expand=contact_customer_accounts({inner})")
    link = page["value"][0]["contact_customer_accounts@odata.nextLink"]
    assert link.startswith(f"http://dataverse/api/data/v9.2/accounts({accounts[0]})/contact_customer_accounts?$select=")
    assert shown(page["value"][0]) == [row["lastname"] for row in (await read(api, link))["value"]]
    assert shown(page["value"][1]) == []


async def test_pages_are_not_asked_for_of_collections(api: Client, accounts: list[str]) -> None:
    url = "accounts?$expand=contact_customer_accounts($select=lastname)"
    page = await read(api, url, Prefer="odata.maxpagesize=1")
    assert [len(shown(row)) for row in page["value"]] == [3]
    assert len(accounts) == 2


async def test_with_a_nested_expand_pages_are_asked_for_of_collections_too(api: Client, accounts: list[str]) -> None:
    nested = "contact_customer_accounts($select=lastname;$expand=createdby($select=fullname))"
    page = await read(api, f"accounts?$expand={nested}", Prefer="odata.maxpagesize=2")
    first = page["value"][0]
    rest = await read(api, first["contact_customer_accounts@odata.nextLink"], Prefer="odata.maxpagesize=2")
    assert sorted(shown(first) + [row["lastname"] for row in rest["value"]]) == ["Ash", "Elm", "Oak"]
    assert [len(shown(row)) for row in page["value"]] == [2, 0]
    assert "contact_customer_accounts@odata.nextLink" not in page["value"][1]
    assert accounts[0] == first["accountid"]


async def test_each_row_has_its_own_share_of_a_large_collection(
    api: Client, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(api, "contacts", lastname="Yew", **{"parentcustomerid_account@odata.bind": f"accounts({accounts[1]})"})
    monkeypatch.setattr(rendering, "COUNT_LIMIT", 2)
    page = await read(api, "accounts?$expand=contact_customer_accounts($select=lastname)")
    assert [len(shown(row)) for row in page["value"]] == [2, 1]


async def test_references_are_expanded_for_parents(api: Client, accounts: list[str]) -> None:
    expand = "parentcustomerid_account/$ref,parentcustomerid_contact/$ref"
    row = (await read(api, f"contacts?$select=lastname&$expand={expand}&$top=1"))["value"][0]
    assert row["parentcustomerid_account"] == {"@odata.id": f"http://dataverse/api/data/v9.2/accounts({accounts[0]})"}
    assert row["parentcustomerid_contact"] is None


async def test_references_are_not_expanded_for_collections(api: Client) -> None:
    answer = await api.get("accounts?$expand=contact_customer_accounts/$ref")
    assert error(answer) == (400, "0x80060888")
    assert message(answer) == "Expand with $ref is only supported on lookup type navigation property."


@pytest.mark.parametrize(
    "expand",
    [
        pytest.param("primarycontactid($top=1)", id="top on a parent"),
        pytest.param("primarycontactid($orderby=lastname)", id="order on a parent"),
        pytest.param("contact_customer_accounts($top=1;$expand=createdby)", id="top with a nested expand"),
        pytest.param(
            "contact_customer_accounts($orderby=lastname),createdby($expand=createdby)", id="nested elsewhere"
        ),
    ],
)
async def test_order_and_top_are_for_collections_without_nested_expands(api: Client, expand: str) -> None:
    answer = await api.get(f"accounts?$expand={expand}")
    assert error(answer) == (400, "0x80060888")
    assert message(answer) == ONLY


async def test_more_than_15_expands_are_refused(api: Client) -> None:
    assert (await api.get("contacts?$expand=" + ",".join(["createdby"] * 15))).status_code == 200
    assert error(await api.get("contacts?$expand=" + ",".join(["createdby"] * 16))) == (400, "0x8004430D")


async def test_a_quote_in_an_array_within_expand_ends_nothing(api: Client, accounts: list[str]) -> None:
    await create(
        api, "contacts", lastname="O'Brien", **{"parentcustomerid_account@odata.bind": f"accounts({accounts[0]})"}
    )
    condition = 'Microsoft.Dynamics.CRM.In(PropertyName=\'lastname\',PropertyValues=["O\'Brien","x"])'
    url = f"accounts({accounts[0]})?$expand=contact_customer_accounts($select=lastname;$filter={condition}),createdby"
    document = await read(api, url)
    assert shown(document) == ["O'Brien"]
    assert document["createdby"]["fullname"] == "# Sandbox Administrator"


async def test_garbage_in_expand_is_a_syntax_error(api: Client) -> None:
    assert error(await api.get("contacts?$expand=createdby($select=fullname)x")) == (400, "0x80060888")
