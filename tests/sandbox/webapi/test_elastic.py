"""Elastic tables of any publisher: definitions, writes, partitions (dataverse.md 2.8, 3.3, 8.6 and 15)."""

import json

import httpx
import pytest

from sandbox.config import changed
from sandbox.environment import Environment
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, Json, add_step, create, error, message, read
from tests.sandbox.webapi.test_batch import change_set, parts, request, send

TABLE = "EntityDefinitions(LogicalName='new_reading')"
DETAILS = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"
ANNOTATED = {"Prefer": 'odata.include-annotations="Microsoft.PowerApps.CDS.ErrorDetails.*"'}
TOKEN = "x-ms-session-token"


async def define(api: Client, table_type: str = "Elastic") -> httpx.Response:
    """Create a table by CreateEntities."""
    kind = "Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata"
    column = {"@odata.type": kind, "SchemaName": "new_Name", "IsPrimaryName": True, "MaxLength": 20}
    entity = {
        "@odata.type": "Microsoft.Dynamics.CRM.ComplexEntityMetadata",
        "SchemaName": "new_Reading",
        "TableType": table_type,
        "Attributes": [column],
    }
    return await api.post("CreateEntities", json={"Entities": [entity]})


@pytest.fixture
async def elastic(api: Client) -> Client:
    """The Web API with the elastic table new_reading."""
    assert (await define(api)).status_code == 200
    return api


async def bulk(api: Client, name: str, *targets: Json, **headers: str) -> httpx.Response:
    """Send a bulk message to the elastic table."""
    typed = [{"@odata.type": "Microsoft.Dynamics.CRM.new_reading", **target} for target in targets]
    url = f"new_readings/Microsoft.Dynamics.CRM.{name}"
    return await api.post(url, json={"Targets": typed}, headers=headers)


async def stored(api: Client) -> dict[str, str]:
    """Return the names of all rows by id."""
    found = await read(api, "new_readings?$select=new_name")
    return {row["new_readingid"]: row["new_name"] for row in found["value"]}


def details(answer: httpx.Response) -> list[tuple[int, str, int]]:
    """Return index, id and status of each row in the details of a partial failure."""
    rows = json.loads(answer.json()["error"][DETAILS])
    return [(row["RequestIndex"], row["Id"], row["StatusCode"]) for row in rows]


def relationship(parent: str, child: str, delete: str) -> Json:
    """Return a new relationship between two tables."""
    lookup = {"@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata", "SchemaName": "new_Link"}
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "new_link",
        "ReferencedEntity": parent,
        "ReferencingEntity": child,
        "CascadeConfiguration": {"Delete": delete},
        "Lookup": lookup,
    }


# -- definitions


async def test_an_elastic_table_says_so_and_has_all_bulk_messages(elastic: Client) -> None:
    assert (await read(elastic, f"{TABLE}?$select=TableType"))["TableType"] == "Elastic"
    condition = "primaryobjecttypecode eq 'new_reading' and sdkmessageid/name eq 'DeleteMultiple'"
    assert len((await read(elastic, f"sdkmessagefilters?$filter={condition}"))["value"]) == 1


@pytest.mark.parametrize(("kind", "status"), [("Virtual", 501), ("Liquid", 400)])
async def test_other_table_types_are_refused(api: Client, kind: str, status: int) -> None:
    assert (await define(api, kind)).status_code == status


@pytest.mark.parametrize(
    ("parent", "child", "delete", "status"),
    [
        pytest.param("contact", "new_reading", "NoCascade", 204, id="an elastic child without cascade"),
        pytest.param("contact", "new_reading", "RemoveLink", 400, id="an elastic child is not emptied"),
        pytest.param("new_reading", "new_reading", "NoCascade", 204, id="elastic on both sides"),
        pytest.param("new_reading", "contact", "RemoveLink", 400, id="an elastic parent does not cascade"),
        pytest.param("new_reading", "contact", "NoCascade", 204, id="an elastic parent without cascade"),
        pytest.param("account", "contact", "NoCascade", 400, id="a standard parent cascades"),
    ],
)
async def test_relationships_of_elastic_tables(
    elastic: Client, parent: str, child: str, delete: str, status: int
) -> None:
    answer = await elastic.post("RelationshipDefinitions", json=relationship(parent, child, delete))
    assert answer.status_code == status


@pytest.mark.parametrize("action", ["Assign", "Merge", "Reparent", "Share", "Unshare"])
async def test_no_action_at_all_cascades_from_an_elastic_parent(elastic: Client, action: str) -> None:
    body = relationship("new_reading", "contact", "NoCascade")
    body["CascadeConfiguration"] |= {action: "Cascade"}
    answer = await elastic.post("RelationshipDefinitions", json=body)
    assert error(answer) == (400, "0x80047014")
    assert "cascade" in message(answer)
    assert "every action must be NoCascade" in message(answer)


@pytest.mark.parametrize("code", ["0x80047014", "0x80048d0b", "0x80040216"])
async def test_the_code_that_refuses_a_cascade_is_a_switch(
    elastic: Client, environment: Environment, code: str
) -> None:
    environment.configure(changed(environment.config, {"cascade_refusal": code}))
    answer = await elastic.post("RelationshipDefinitions", json=relationship("new_reading", "contact", "RemoveLink"))
    assert error(answer) == (400, code)


async def test_what_points_at_an_elastic_row_stays_when_it_is_deleted(elastic: Client) -> None:
    await elastic.post("RelationshipDefinitions", json=relationship("new_reading", "contact", "NoCascade"))
    row = await create(elastic, "new_readings", new_name="a")
    contact = await create(elastic, "contacts", **{"new_Link@odata.bind": f"new_readings({row})"})
    assert (await elastic.delete(f"new_readings({row})")).status_code == 204
    assert (await read(elastic, f"contacts({contact})"))["_new_link_value"] == row


async def test_elastic_tables_have_no_many_to_many_relationships(elastic: Client) -> None:
    body = {
        "@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        "SchemaName": "new_contact_reading",
        "Entity1LogicalName": "contact",
        "Entity2LogicalName": "new_reading",
    }
    assert (await elastic.post("RelationshipDefinitions", json=body)).status_code == 400


async def test_an_elastic_table_can_be_on_both_sides_of_a_relationship(elastic: Client) -> None:
    table = await read(elastic, f"{TABLE}?$select=CanBeRelatedEntityInRelationship,CanBePrimaryEntityInRelationship")
    assert table["CanBeRelatedEntityInRelationship"]["Value"] is True
    assert table["CanBePrimaryEntityInRelationship"]["Value"] is True
    asked = [await elastic.post(name, json={"EntityName": "new_reading"}) for name in _CAN_BE]
    assert [answer.json()[name] for answer, name in zip(asked, _CAN_BE, strict=True)] == [True, True]
    children = await read(elastic, "GetValidReferencingEntities(ReferencedEntityName='contact')")
    parents = await read(elastic, "GetValidReferencedEntities(ReferencingEntityName='new_reading')")
    assert "new_reading" in children["EntityNames"]
    assert "contact" in parents["EntityNames"]


async def test_an_elastic_table_takes_no_custom_alternate_key(elastic: Client) -> None:
    key = {"SchemaName": "new_name_key", "KeyAttributes": ["new_name"]}
    assert (await elastic.post(f"{TABLE}/Keys", json=key)).status_code == 400


_CAN_BE = ("CanBeReferencing", "CanBeReferenced")


# -- writes


async def test_writes_answer_a_session_token_and_deletions_do_not(elastic: Client) -> None:
    created = await elastic.post("new_readings", json={"new_name": "a"})
    url = created.headers["OData-EntityId"]
    changed = await elastic.patch(url, json={"new_name": "b"})
    made = await bulk(elastic, "CreateMultiple", {"new_name": "c"})
    tokens = [answer.headers[TOKEN] for answer in (created, changed, made)]
    assert len(set(tokens)) == 3
    assert TOKEN not in (await elastic.delete(url)).headers


async def test_writes_of_standard_tables_answer_no_session_token(api: Client) -> None:
    assert TOKEN not in (await api.post("contacts", json={})).headers


async def test_update_multiple_keeps_what_it_could_write_and_names_the_status_of_each_row(
    elastic: Client, environment: Environment
) -> None:
    one, two = await create(elastic, "new_readings", new_name="a"), await create(elastic, "new_readings", new_name="b")
    environment.counters.reset()
    targets = [{"new_readingid": row, "new_name": "new"} for row in (one, NONE, two)]
    answer = await bulk(elastic, "UpdateMultiple", *targets, **ANNOTATED)
    assert error(answer) == (404, "0x80040217")
    assert details(answer) == [(0, one, 200), (1, NONE, 404), (2, two, 200)]
    assert await stored(elastic) == {one: "new", two: "new"}
    counters = environment.counters.of("new_reading")
    assert (counters.rows_written, counters.rows_changed) == (2, 2)


async def test_details_come_only_when_annotations_are_asked_for(elastic: Client) -> None:
    answer = await bulk(elastic, "UpdateMultiple", {"new_readingid": NONE, "new_name": "x"})
    assert DETAILS not in answer.json()["error"]


async def test_bulk_messages_answer_as_on_standard_tables_when_every_row_succeeds(elastic: Client) -> None:
    made = await bulk(elastic, "CreateMultiple", {"new_name": "a"}, {"new_name": "b"})
    one, two = made.json()["Ids"]
    assert (await bulk(elastic, "UpdateMultiple", {"new_readingid": one, "new_name": "c"})).status_code == 204
    assert (await bulk(elastic, "UpsertMultiple", {"new_readingid": two, "new_name": "d"})).status_code == 204
    assert await stored(elastic) == {one: "c", two: "d"}


async def test_create_multiple_refuses_only_the_row_whose_key_exists(elastic: Client) -> None:
    one = await create(elastic, "new_readings", new_name="a")
    targets = [{"new_readingid": one, "new_name": "again"}, {"new_readingid": NONE, "new_name": "b"}]
    answer = await bulk(elastic, "CreateMultiple", *targets, **ANNOTATED)
    assert error(answer) == (412, "0x80040237")
    assert details(answer) == [(0, one, 412), (1, NONE, 200)]
    assert await stored(elastic) == {one: "a", NONE: "b"}


async def test_upsert_multiple_replaces_whole_rows_and_creates_the_missing_ones(elastic: Client) -> None:
    one = await create(elastic, "new_readings", new_name="a", ttlinseconds=60)
    assert (await bulk(elastic, "UpsertMultiple", {"new_readingid": one}, {"new_readingid": NONE})).status_code == 204
    rows = (await read(elastic, "new_readings?$select=new_name,ttlinseconds"))["value"]
    assert {row["new_readingid"]: (row["new_name"], row["ttlinseconds"]) for row in rows} == {
        one: (None, None),
        NONE: (None, None),
    }


async def test_an_upsert_replaces_the_row_and_fires_nothing(elastic: Client, environment: Environment) -> None:
    for kind in ("Create", "Update"):
        await add_step(elastic, kind, "new_reading")
    one = await create(elastic, "new_readings", new_name="a", ttlinseconds=60)
    environment.counters.reset()
    await elastic.patch(f"new_readings({one})", json={"new_name": "b"})
    row = await read(elastic, f"new_readings({one})")
    assert (row["new_name"], row["ttlinseconds"]) == ("b", None)
    assert environment.counters.automation.step_executions == 0


async def test_an_update_keeps_the_rest_of_the_row_and_fires_its_automation(
    elastic: Client, environment: Environment
) -> None:
    await add_step(elastic, "Update", "new_reading")
    one = await create(elastic, "new_readings", new_name="a", ttlinseconds=60)
    await elastic.patch(f"new_readings({one})", json={"new_name": "b"}, headers={"If-Match": "*"})
    row = await read(elastic, f"new_readings({one})")
    assert (row["new_name"], row["ttlinseconds"]) == ("b", 60)
    assert environment.counters.automation.step_executions == 1


async def test_delete_multiple_deletes_the_rows_that_exist(elastic: Client) -> None:
    one = await create(elastic, "new_readings", new_name="a")
    answer = await bulk(elastic, "DeleteMultiple", {"new_readingid": NONE}, {"new_readingid": one}, **ANNOTATED)
    assert (details(answer), await stored(elastic)) == ([(0, NONE, 404), (1, one, 200)], {})
    two = await create(elastic, "new_readings", new_name="b")
    assert (await bulk(elastic, "DeleteMultiple", {"new_readingid": two})).status_code == 204


async def test_a_change_set_keeps_what_came_before_the_member_that_failed(elastic: Client) -> None:
    failing = request(f"PATCH new_readings({NONE})", '{"new_name":"x"}', "If-Match: *")
    answer = await send(elastic, change_set(request("POST new_readings", '{"new_name":"a"}'), failing))
    assert ([part.status for part in parts(answer)], list((await stored(elastic)).values())) == ([404], ["a"])


async def test_a_change_set_of_elastic_and_standard_tables_is_not_supported(elastic: Client) -> None:
    answer = await send(elastic, change_set(request("POST new_readings", "{}"), request("POST contacts", "{}")))
    assert [part.status for part in parts(answer)] == [501]
    assert await stored(elastic) == {}


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
