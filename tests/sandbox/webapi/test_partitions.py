"""Partitions of elastic tables (docs/reference/dataverse.md 15)."""

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import changed
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.elastic_table import bulk
from tests.sandbox.webapi.steps import NONE, create, error, read

# -- partitions


async def partitioned(api: Client) -> str:
    """Create a row in the partition p'1 and return its id."""
    row = {"new_readingid": NONE, "new_name": "a", "partitionid": "p'1"}
    assert (await api.post("new_readings", json=row)).status_code == 204
    return NONE


async def test_the_answer_to_a_new_row_names_its_partition(elastic: Client) -> None:
    answer = await elastic.post("new_readings", json={"new_readingid": NONE, "partitionid": "p'1"})
    assert answer.headers["OData-EntityId"].endswith(f"/new_readings(new_readingid={NONE},partitionid='p''1')")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        pytest.param("new_readings({})", 404, id="no partition"),
        pytest.param("new_readings({})?partitionId=p%271", 200, id="parameter"),
        pytest.param("new_readings({})?partitionId=other", 404, id="wrong parameter"),
        pytest.param("new_readings(new_readingid={},partitionid='p''1')", 200, id="key"),
        pytest.param("new_readings(new_readingid={},partitionid='other')", 404, id="wrong key"),
    ],
)
async def test_a_row_is_found_in_its_partition_alone(elastic: Client, address: str, status: int) -> None:
    url = address.format(await partitioned(elastic))
    assert (await elastic.get(url)).status_code == status
    assert (await elastic.delete(url)).status_code == (204 if status == 200 else 404)


@pytest.mark.parametrize(
    ("partition", "status"),
    [("{id}", 200), ("{ID}", 404), ("x", 404), (None, 200)],
    ids=["its own id", "its id in capitals", "another one", "none"],
)
async def test_a_row_without_a_partition_is_in_that_of_its_own_id(
    elastic: Client, partition: str | None, status: int
) -> None:
    row = await create(elastic, "new_readings", new_name="a")
    suffix = f"?partitionId={partition.format(id=row, ID=row.upper())}" if partition else ""
    assert (await elastic.get(f"new_readings({row}){suffix}")).status_code == status


async def test_a_list_of_one_partition(elastic: Client) -> None:
    await partitioned(elastic)
    row = await create(elastic, "new_readings", new_name="b")
    found = {}
    for partition in ("p%271", row, "x"):
        rows = await read(elastic, f"new_readings?$select=new_name&partitionId={partition}")
        found[partition] = [one["new_name"] for one in rows["value"]]
    assert found == {"p%271": ["a"], row: ["b"], "x": []}


async def test_the_partition_of_a_row_never_changes(elastic: Client) -> None:
    row = await partitioned(elastic)
    url = f"new_readings(new_readingid={row},partitionid='p''1')"
    await elastic.patch(url, json={"new_name": "b", "partitionid": "other"}, headers={"If-Match": "*"})
    found = await read(elastic, url)
    assert (found["new_name"], found["partitionid"]) == ("b", "p'1")


async def test_bulk_messages_find_rows_by_their_partition(elastic: Client) -> None:
    row = await partitioned(elastic)
    wrong = {"new_readingid": row, "new_name": "b"}
    right = {**wrong, "partitionid": "p'1"}
    assert error(await bulk(elastic, "UpdateMultiple", wrong)) == (404, "0x80040217")
    assert (await bulk(elastic, "UpdateMultiple", right)).status_code == 204
    assert error(await bulk(elastic, "DeleteMultiple", wrong)) == (404, "0x80040217")
    assert (await bulk(elastic, "DeleteMultiple", right)).status_code == 204


@pytest.mark.parametrize("partition", ["a/b", "a?", "<a>", "a" * 101])
async def test_a_partition_that_is_not_allowed_is_refused(elastic: Client, partition: str) -> None:
    assert (await elastic.post("new_readings", json={"partitionid": partition})).status_code == 400


@pytest.mark.parametrize(("shown", "expected"), [("lower", NONE), ("upper", NONE.upper()), ("null", None)])
async def test_how_a_default_partition_is_shown_is_a_switch(
    elastic: Client, environment: Environment, shown: str, expected: str | None
) -> None:
    environment.configure(changed(environment.config, {"partition_shown": shown}))
    row = "0000000a-0000-4000-8000-00000000000b"
    expected = expected and row if shown == "lower" else expected and row.upper()
    await elastic.post("new_readings", json={"new_readingid": row})
    found = (await read(elastic, "new_readings?$select=new_name"))["value"]
    assert [one["partitionid"] for one in found] == [expected]
    condition = f"partitionid eq '{expected}'" if expected else "partitionid eq null"
    assert len((await read(elastic, f"new_readings?$filter={condition}"))["value"]) == 1
