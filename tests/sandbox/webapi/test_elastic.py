"""Elastic tables: dataverse.md 2.8, 3.3, 5.1, 8.6 and 15."""

import json

import httpx
import pytest

from sandbox.environment import Environment
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, Json, create, error, message, read
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
        pytest.param("contact", "new_reading", "NoCascade", 400, id="an elastic child holds no lookup"),
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


async def test_the_definition_says_that_an_elastic_table_is_no_child(elastic: Client) -> None:
    table = await read(elastic, f"{TABLE}?$select=CanBeRelatedEntityInRelationship,CanBePrimaryEntityInRelationship")
    assert table["CanBeRelatedEntityInRelationship"]["Value"] is False
    assert table["CanBePrimaryEntityInRelationship"]["Value"] is True
    asked = [await elastic.post(name, json={"EntityName": "new_reading"}) for name in _CAN_BE]
    assert [answer.json()[name] for answer, name in zip(asked, _CAN_BE, strict=True)] == [False, True]
    children = await read(elastic, "GetValidReferencingEntities(ReferencedEntityName='contact')")
    parents = await read(elastic, "GetValidReferencedEntities(ReferencingEntityName='new_reading')")
    assert ("new_reading" in children["EntityNames"], parents["EntityNames"]) == (False, [])


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


async def test_upsert_multiple_reports_created_and_updated_rows_in_the_order_of_the_request(elastic: Client) -> None:
    key = {"SchemaName": "new_name_key", "KeyAttributes": ["new_name"]}
    assert (await elastic.post(f"{TABLE}/Keys", json=key)).status_code == 204
    one = await create(elastic, "new_readings", new_name="a")
    targets = [{"new_readingid": NONE, "new_name": "a"}, {"new_readingid": one, "new_name": "a"}]
    answer = await bulk(elastic, "UpsertMultiple", *targets, **ANNOTATED)
    assert details(answer) == [(0, NONE, 412), (1, one, 200)]


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


# -- reads


async def test_a_page_has_at_most_500_rows(elastic: Client) -> None:
    await bulk(elastic, "CreateMultiple", *({"new_name": str(number)} for number in range(501)))
    for headers in ({}, {"Prefer": "odata.maxpagesize=5000"}):
        answer = await elastic.get("new_readings?$select=new_name", headers=headers)
        assert len(answer.json()["value"]) == 500
        rest = await read(elastic, answer.json()["@odata.nextLink"], **headers)
        assert (len(rest["value"]), "@odata.nextLink" in rest) == (1, False)
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=500"


@pytest.mark.parametrize(
    "url",
    [
        "new_readings?$expand=createdby($select=fullname)",
        "new_readings?$filter=createdby/fullname eq 'x'",
        "new_readings?$orderby=createdby/fullname",
        "contacts?$expand=new_Link",
        "contacts?$filter=new_Link/new_name eq 'x'",
        "new_readings?$filter=new_link/any(c:c/lastname eq 'x')",
    ],
)
async def test_elastic_rows_cannot_be_joined(elastic: Client, url: str) -> None:
    await elastic.post("RelationshipDefinitions", json=relationship("new_reading", "contact", "NoCascade"))
    answer = await elastic.get(url)
    assert error(answer) == (400, "0x80060888")
    assert "new_reading' is elastic" in message(answer)


# -- partitions


@pytest.mark.parametrize(
    "url",
    [
        f"new_readings({NONE})?partitionId=x",
        f"new_readings(new_readingid={NONE},partitionid='x')",
        "new_readings?$select=partitionid",
    ],
)
async def test_addressing_by_partition_is_not_supported_and_named(elastic: Client, url: str) -> None:
    answer = await elastic.get(url)
    assert answer.status_code == 501
    assert "partitionid" in message(answer)


@pytest.mark.parametrize("name", ["partitionid", "ttlinseconds"])
async def test_partitions_and_lifetimes_of_rows_are_not_supported_and_named(elastic: Client, name: str) -> None:
    refused = [
        await elastic.post("new_readings", json={name: "1"}),
        await bulk(elastic, "UpdateMultiple", {"new_readingid": NONE, name: "1"}),
        await bulk(elastic, "DeleteMultiple", {"new_readingid": NONE, name: "1"}),
    ]
    assert [answer.status_code for answer in refused] == [501] * 3
    assert all(name in message(answer) for answer in refused)
