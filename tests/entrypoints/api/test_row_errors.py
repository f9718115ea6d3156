"""Row errors as JSON, CSV and NDJSON, and what the app says about one row."""

import csv
import io
import json
import re

import pytest

from linker.core.model import Mode, Run, Status
from linker.core.records import issue
from linker.entrypoints import api
from linker.entrypoints.api.lists import BYTE_ORDER_MARK
from tests.fakes.client import BASE, Client
from tests.fakes.requests import Refusal
from tests.fakes.world import World, contact_id

RUN = "run1"
ROWS = [contact_id(n) for n in range(1, 6)]


@pytest.fixture
async def failed(world: World) -> World:
    """A run in which five rows were refused."""
    await world.deps.runs.create(Run(RUN, Mode.INCREMENTAL, Status.WARNINGS))
    await world.deps.issues.save(RUN, [issue("contact", row, "Refused", "Not now, says Ä") for row in ROWS])
    return world


# ---- row errors ----


async def test_row_errors_carry_code_reason_advice_first_seen_and_attempts(failed: World, client: Client) -> None:
    reply = await client.ask(api.get_errors, run=RUN, top=1)
    assert reply.body["value"] == [
        {
            "table": "contact",
            "row": ROWS[0],
            "outcome": "rejected",
            "code": "Refused",
            "reason": "Not now, says Ä",
            "advice": "Read the reason, fix the row, and run again.",
            "firstSeen": failed.deps.issues._now(),
            "attempts": 1,
        }
    ]


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        pytest.param("", {}, "application/json", id="nothing said"),
        pytest.param("*/*", {}, "application/json", id="anything"),
        pytest.param("text/csv", {}, "text/csv", id="csv"),
        pytest.param("application/x-ndjson", {}, "application/x-ndjson", id="ndjson"),
        pytest.param("text/html, text/CSV;q=0.8", {}, "text/csv", id="the first that there is"),
        pytest.param("text/csv", {"format": "json"}, "application/json", id="the query wins"),
        pytest.param("", {"format": "ndjson"}, "application/x-ndjson", id="the query alone"),
    ],
)
async def test_the_format_follows_the_request(
    failed: World, client: Client, accept: str, query: dict[str, str], media_type: str
) -> None:
    client.headers = {"accept": accept}
    assert (await client.ask(api.get_errors, run=RUN, **query)).media_type == media_type


async def test_every_format_says_the_same(failed: World, client: Client) -> None:
    as_json = (await client.ask(api.get_errors, run=RUN)).body["value"]
    as_csv = (await client.ask(api.get_errors, run=RUN, format="csv")).text.removeprefix(BYTE_ORDER_MARK)
    as_ndjson = (await client.ask(api.get_errors, run=RUN, format="ndjson")).text
    assert [json.loads(line) for line in as_ndjson.splitlines()] == as_json
    assert list(csv.DictReader(io.StringIO(as_csv))) == [row | {"attempts": str(row["attempts"])} for row in as_json]


@pytest.mark.parametrize("kind", ["json", "csv", "ndjson"])
async def test_pages_follow_each_other_by_the_link_header_without_gap_or_repetition(
    failed: World, client: Client, kind: str
) -> None:
    query, found = {"top": "2", "format": kind}, []
    while True:
        reply = await client.ask(api.get_errors, run=RUN, **query)
        found += re.findall(r"0000000\d-[-0-9a-f]+", reply.text)
        if "Link" not in reply.headers:
            break
        assert reply.headers["Link"].startswith(f"<{BASE}/api/runs/{RUN}/errors?")
        query = dict(re.findall(r"(\w+)=([^&>]+)[&>]", reply.headers["Link"]))
    assert found == ROWS


async def test_csv_is_safe_to_open_in_a_spreadsheet(world: World, client: Client) -> None:
    await world.deps.runs.create(Run(RUN, Mode.INCREMENTAL, Status.WARNINGS))
    await world.deps.issues.save(RUN, [issue("contact", '=cmd|"/c calc"!A1', "InvalidMappingRow")])
    (row,) = csv.DictReader(io.StringIO((await client.ask(api.get_errors, run=RUN, format="csv")).text))
    assert row["row"].startswith("'=cm... (17 characters")


async def test_csv_begins_with_the_mark_by_which_excel_knows_utf_8(failed: World, client: Client) -> None:
    sent = (await client.ask(api.get_errors, run=RUN, format="csv")).text.encode()
    assert sent.startswith(b"\xef\xbb\xbftable,row,")
    assert "says Ä" in sent.decode("utf-8-sig")


async def test_a_run_without_row_errors_has_a_header_alone_as_csv(world: World, client: Client) -> None:
    await world.deps.runs.create(Run(RUN, Mode.INCREMENTAL, Status.SUCCESSFUL))
    text = (await client.ask(api.get_errors, run=RUN, format="csv")).text
    assert text == "\ufefftable,row,outcome,code,reason,advice,firstSeen,attempts\r\n"


# ---- one row ----


async def row(client: Client, number: int = 1) -> dict[str, object]:
    reply = await client.ask(api.get_row, table="Contact", row=contact_id(number).upper())
    assert reply.status == 200, reply.text
    return reply.body  # type: ignore[no-any-return]


async def test_a_linked_row_shows_its_run_and_its_link_now(world: World, client: Client) -> None:
    world.contact(1, "c1")
    await world.link()
    shown = await row(client)
    assert (shown["table"], shown["row"]) == ("contact", contact_id(1))
    assert (shown["known"], shown["confirmed"], shown["run"]) == (True, True, RUN)
    assert shown["confirmedAt"]
    assert shown["lastError"] is None
    assert shown["now"] == {
        "exists": True,
        "profile": world.contacts.rows[contact_id(1)].link,
        "customer": "c1",
        "asConfirmed": True,
    }


async def test_a_link_that_another_writer_changed_is_not_as_confirmed(world: World, client: Client) -> None:
    world.contact(1, "c1")
    await world.link()
    world.contacts.rows[contact_id(1)].link = world.dataverse.profile("c9")
    now = (await row(client))["now"]
    assert isinstance(now, dict)
    assert (now["customer"], now["asConfirmed"]) == ("c9", False)


async def test_a_link_that_is_gone_is_not_as_confirmed(world: World, client: Client) -> None:
    world.contact(1, "c1")
    await world.link()
    world.contacts.rows[contact_id(1)].link = None
    assert (await row(client))["now"] == {"exists": True, "profile": None, "customer": None, "asConfirmed": False}


async def test_a_row_that_is_gone_or_was_never_linked_says_so(world: World, client: Client) -> None:
    world.contact(1, "c1")
    await world.link()
    gone = await row(client, 7)
    assert (gone["known"], gone["confirmed"]) == (False, False)
    assert gone["now"] == {"exists": False, "profile": None, "customer": None, "asConfirmed": None}


async def test_a_row_that_was_refused_shows_its_last_error(world: World, client: Client) -> None:
    world.contact(1, "c1", profile=False)
    await world.link()
    shown = (await row(client))["lastError"]
    assert isinstance(shown, dict)
    assert (shown["run"], shown["issue"]["code"], shown["issue"]["attempts"]) == (RUN, "ProfileMissing", 1)


async def test_what_is_stored_is_shown_although_dataverse_does_not_answer(world: World, client: Client) -> None:
    world.contact(1, "c1")
    await world.link()

    def refuses(asked: object) -> None:
        raise Refusal(403, "0x80042f09", "no")

    world.dataverse.hooks.append(refuses)
    shown = await row(client)
    assert (shown["confirmed"], shown["now"]) == (True, None)
    assert "403" in str(shown["nowDetail"])


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("lead", contact_id(1)),
        ("contact", "nothing"),
        ("contact'", contact_id(1)),
        ("../x", contact_id(1)),
        ("x" * 129, contact_id(1)),
        ("contact", contact_id(1) + "0"),
    ],
)
async def test_a_row_that_cannot_be_is_not_found_and_not_named(
    world: World, client: Client, table: str, key: str
) -> None:
    world.contact(1, "c1")
    await world.link()
    reply = await client.ask(api.get_row, table=table, row=key)
    assert (reply.status, reply.media_type) == (404, "application/problem+json")
    assert table not in reply.text.replace("linked table", "")
    assert key not in reply.text
