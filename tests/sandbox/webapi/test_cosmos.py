"""ExecuteCosmosSqlQuery over an elastic table."""

import json

import httpx
import pytest

from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import add_profiles, of_kind, switch
from tests.sandbox.webapi.steps import Json, error


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


async def ask(api: Client, text: str, table: str = "msdynci_customerprofile", **more: object) -> httpx.Response:
    """Send a query; `more` are further parameters, as JSON."""
    named = {"QueryText": f"'{text}'", "EntityLogicalName": f"'{table}'"}
    named |= {name: json.dumps(value) if not isinstance(value, str) else value for name, value in more.items()}
    aliases = {name: f"@p{number}" for number, name in enumerate(named)}
    arguments = ",".join(f"{name}={alias}" for name, alias in aliases.items())
    return await api.get(f"ExecuteCosmosSqlQuery({arguments})", params={aliases[name]: named[name] for name in named})


def rows(answer: httpx.Response) -> list[Json]:
    assert answer.status_code == 200, answer.text
    found: list[Json] = json.loads(answer.json()["Result"])
    return found


def parameters(**values: str) -> Json:
    keys = [f"@{name}" for name in values]
    return {"Keys": keys, "Values": [{"Type": "System.String", "Value": value} for value in values.values()]}


async def test_a_query_with_a_parameter_returns_the_columns_under_their_names(api: Client) -> None:
    await add_profiles(api, "a", "b")
    text = "select c.props.msdynci_customerid as id from c where c.props.msdynci_customerid = @id"
    answer = await ask(api, text, QueryParameters=parameters(id="b"))
    assert rows(answer) == [{"id": "b"}]
    assert (answer.json()["HasMore"], answer.json()["PagingCookie"]) == (False, "")


async def test_it_compares_exactly(api: Client) -> None:
    await add_profiles(api, "a", "A")
    text = "select c.props.msdynci_customerid from c where c.props.msdynci_customerid = ''A''"
    assert rows(await ask(api, text)) == [{"msdynci_customerid": "A"}]


async def test_two_conditions_and_all_columns(api: Client) -> None:
    (profile, _) = await add_profiles(api, "a", "b", msdynci_fullname="x")
    text = "SELECT * FROM c WHERE c.props.msdynci_fullname = @n AND c.props.msdynci_customerid = @id"
    (row,) = rows(await ask(api, text, QueryParameters=parameters(n="x", id="a")))
    assert (row["msdynci_customerprofileid"], row["msdynci_fullname"]) == (profile, "x")


async def test_pages_follow_the_cookie(api: Client) -> None:
    await add_profiles(api, "a", "b", "c")
    text, seen, cookie = "select c.props.msdynci_customerid as id from c", [], ""
    for size in (2, 1):
        answer = await ask(api, text, PageSize=2, PagingCookie=f"'{cookie}'")
        found = rows(answer)
        assert (len(found), answer.json()["HasMore"]) == (size, size == 2)
        seen += [row["id"] for row in found]
        cookie = answer.json()["PagingCookie"]
    assert sorted(seen) == ["a", "b", "c"]


async def test_top_ends_the_rows(api: Client) -> None:
    await add_profiles(api, "a", "b")
    answer = await ask(api, "select top 1 c.props.msdynci_customerid from c")
    assert (len(rows(answer)), answer.json()["HasMore"]) == (1, False)


async def test_a_partition_restricts_the_rows(api: Client) -> None:
    (profile, _) = await add_profiles(api, "a", "b")
    answer = await ask(api, "select c.props.msdynci_customerid as id from c", PartitionId=f"'{profile}'")
    assert rows(answer) == [{"id": "a"}]


@pytest.mark.parametrize(("mode", "status"), [("readers", 200), ("administrators", 403)])
async def test_whether_a_reader_may_call_it_is_a_switch(
    api: Client, environment: Environment, mode: str, status: int
) -> None:
    switch(environment, cosmos_sql=mode)
    assert (await ask(api, "select * from c")).status_code == 200
    api.headers["x-user"] = LINKER.name
    assert (await ask(api, "select * from c")).status_code == status


async def test_another_kind_of_table_is_refused(api: Client) -> None:
    assert error(await ask(api, "select * from c", "contact")) == (400, "0x80048d0b")


@pytest.mark.parametrize(
    "text",
    [
        "select c.id from c",
        "select c.props.x from c",
        "select c.props.msdynci_customerid from c where c.props.msdynci_customerid like @x",
        "select count(1) from c",
        "select c.props.msdynci_customerid from c order by c.props.msdynci_customerid",
    ],
)
async def test_other_queries_are_not_answered(api: Client, text: str) -> None:
    assert (await ask(api, text)).status_code == 501


async def test_a_parameter_without_a_value_is_refused(api: Client) -> None:
    text = "select * from c where c.props.msdynci_customerid = @x"
    assert (await ask(api, text)).status_code == 400
    assert (await ask(api, text, QueryParameters={"Keys": 1})).status_code == 400
