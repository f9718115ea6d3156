"""A report shows shapes: no value of any row gets into it."""

from __future__ import annotations

import asyncio
import json

import pytest

from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
from tests.live.conftest import Heard, Tenant
from tests.live.probes.privacy import describe_body, describe_value, hide_literals, hide_values
from tests.live.probes.scene import SOURCES
from tests.live.probes.signals import PRIVATE
from tests.live.probes.wire import texts_in
from tests.live.proof import Order, prove
from tests.live.report import document, markdown

HEADING = "Sandbox"  # heads a column of the report, and is the kind of environment in some rows
SCHEMA = {*SOURCES, *PRIVATE, PROFILE_TABLE, MAPPING_TABLE, HEADING}
GUID = "11111111-aaaa-4111-8111-111111111111"


async def test_no_value_of_a_row_is_in_the_report(linked: Tenant) -> None:
    heard: list[Heard] = []
    report = await prove(linked.dataverse(heard=heard), Order(), linked.said.append, pause=asyncio.sleep)
    rows = [one for one in heard if "EntityDefinitions" not in one.path and "RetrieveCurrent" not in one.path]
    values = set().union(*(texts_in(_json(one.body)) for one in rows)) - SCHEMA
    probes = json.dumps(json.loads(document(report))["probes"])
    assert len(values) > 500
    assert {value for value in values if len(value) > 3 and (value in markdown(report) or value in probes)} == set()


def _json(text: str) -> object:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return {} if isinstance(body, dict) and "error" in body else body


async def test_the_report_fits_into_the_reference(linked: Tenant) -> None:
    report = await prove(linked.dataverse(), Order(), linked.said.append, pause=asyncio.sleep)
    lines = [line for line in markdown(report).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (638751518483842799, "integer of 18 digits"),
        (1.5, "number"),
        ("", "empty text"),
        ("Maria", "text"),
        (GUID, "GUID in lower case"),
        (GUID.upper(), "GUID in upper case"),
        (GUID.replace("aaaa", "aAaA"), "GUID of mixed case"),
        (f"{{{GUID}}}", "GUID in braces"),
        ("ce759201f786d590bf2134bff576c369", "32 hexadecimal digits in lower case"),
        ("CE759201F786D590BF2134BFF576C369", "32 hexadecimal digits in upper case"),
        ("2026-11-30T11:00:00Z", "time in whole seconds"),
        ("2026-11-30T11:00:00.123Z", "time with a fraction"),
        ([], "list"),
        ({}, "object"),
    ],
)
def test_a_value_is_shown_as_its_kind(value: object, kind: str) -> None:
    assert describe_value(value) == kind


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"contacts({GUID})?$select=contactid", "GET contacts(…)?$select=contactid"),
        ("contacts?$filter=lastname eq 'O''Neil'&$top=1", "GET contacts?$filter=lastname eq '…'&$top=1"),
        ("profiles?$filter=id eq 'a' or id eq 'b' or id eq 'c'", "GET profiles?$filter=id eq '…' or …"),
        (f"profiles?$filter=id eq {GUID} or id eq {GUID}", "GET profiles?$filter=id eq … or …"),
        (
            "keys?$filter=In(PropertyName='c',PropertyValues=[\"x\",\"y\"])",
            "GET keys?$filter=In(PropertyName='…',PropertyValues=['…' x 2])",
        ),
        ("profiles(key=1,partitionid='Maria')?$select=a", "GET profiles(key=1,partitionid='…')?$select=a"),
        ("keys?$filter=modifiedon ge 2026-11-30T11:00:00Z", "GET keys?$filter=modifiedon ge …"),
        ("keys?$filter=versionnumber gt 638751518483842799", "GET keys?$filter=versionnumber gt …"),
        (f"profiles({GUID})?$select=a&partitionId=Maria", "GET profiles(…)?$select=a&partitionId=…"),
        ("https://c.crm4.dynamics.com/api/data/v9.2/keys?$skiptoken=%3Ccookie%20last=%22Maria%22", "GET keys?$skiptoken=…"),
        ("EntityDefinitions(LogicalName='contact')/Keys", "GET EntityDefinitions(LogicalName='contact')/Keys"),
    ],
)  # fmt: skip
def test_a_request_is_shown_without_its_literals(path: str, shown: str) -> None:
    assert hide_literals(path) == shown


def test_a_session_token_is_not_shown() -> None:
    assert hide_literals("keys", {"MSCRM.SessionToken": "207:30#1"}) == "GET keys [MSCRM.SessionToken: …]"


def test_a_message_is_shown_without_what_rows_brought() -> None:
    text = f"Contact 'MARIA' With Id = {GUID} Does Not Exist, nor ce759201f786d590bf2134bff576c369."
    assert hide_values(text, {"Maria", "Does Not"}) == "Contact '…' With Id = … … Exist, nor …."
    assert len(hide_values("x" * 1_000, ())) == 201


def test_columns_of_the_customer_are_counted() -> None:
    body = {
        "@odata.nextLink": "…",
        "value": [{"msdynci_customerid": "a", "msdynci_lastorder": "b", "x@odata.type": "c"}],
    }
    assert describe_body(body) == "1 row; msdynci_customerid: text, 1 more; nextLink"
