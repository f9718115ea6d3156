"""Elastic tables of any publisher: definitions and writes (docs/reference/dataverse.md 2.8, 3.3, 8.6 and 15)."""

import orjson
import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import changed
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.elastic_table import ANNOTATED, DETAILS, TABLE, TOKEN, bulk, define, details, stored
from tests.sandbox.webapi.kinds import switch
from tests.sandbox.webapi.steps import NONE, Json, add_step, create, error, message, read
from tests.sandbox.webapi.test_batch import change_set, parts, request, send


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


@pytest.mark.parametrize("form", ["text", "list", "absent"])
async def test_the_form_of_the_details_is_a_switch(elastic: Client, environment: Environment, form: str) -> None:
    switch(environment, bulk_details=form)
    target = {"new_readingid": NONE, "new_name": "x"}
    found = (await bulk(elastic, "UpdateMultiple", target, **ANNOTATED)).json()["error"].get(DETAILS)
    rows = [{"RequestIndex": 0, "Id": NONE, "StatusCode": 404}]
    assert found == {"text": orjson.dumps(rows).decode(), "list": rows, "absent": None}[form]


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
