"""Odd answers to what is read beside runs: insights of a row, system views, the set-up. None of them breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.dataverse import Connection, Dataverse, saved_views
from linker.adapters.dataverse.insight_reader import reach
from linker.core.errors import LinkerError
from linker.core.keys import row_key
from linker.core.model import Target
from linker.core.permissions import privileges
from linker.core.serialization import to_json
from linker.entrypoints.messages import Reply
from linker.services import service_account
from tests.fakes.requests import COLUMN, URL
from tests.fakes.world import StaticTokens, contact_id
from tests.malformed_input import QUICK
from tests.malformed_input.test_others import damaged

ID = contact_id(1)
TARGET = Target("contact", "contacts", "contactid", COLUMN)
LABEL = {"UserLocalizedLabel": {"Label": "Tier", "LanguageCode": 1033}}
MEASURES = json.dumps({"TotalPurchases": 17, "nested": {"a": [1]}})


def column(name: str, kind: str = "String") -> dict[str, Any]:
    return {
        "LogicalName": name,
        "AttributeType": kind,
        "AttributeOf": None,
        "DisplayName": LABEL,
        "IsPrimaryId": False,
        "IsValidForRead": True,
    }


# By the end of the path, the first that fits.
ANSWERS: tuple[tuple[str, Any], ...] = (
    (f"contacts({ID})", {"@odata.etag": 'W/"1"', f"_{COLUMN}_value": ID}),
    (f"msdynci_customerprofiles({ID})", {"msdynci_customerid": "c1", "msdynci_tier": "Gold"}),
    (
        "OneToManyRelationships",
        {"value": [{"ReferencingEntity": "msdynci_visit", "ReferencingAttribute": "msdynci_p"}]},
    ),
    ("Attributes", {"value": [column("msdynci_tier"), column("msdynci_p", "Lookup")]}),
    (
        "EntityDefinitions",
        {
            "value": [
                {
                    "LogicalName": "msdynci_visit",
                    "EntitySetName": "msdynci_visits",
                    "DisplayCollectionName": LABEL,
                    "Attributes": [{"LogicalName": "msdynci_customerid"}],
                }
            ]
        },
    ),
    (
        "EntityDefinitions(LogicalName='contact')",
        {
            "LogicalName": "contact",
            "EntitySetName": "contacts",
            "PrimaryIdAttribute": "contactid",
            "PrimaryNameAttribute": "fullname",
            "ObjectTypeCode": 2,
            "DisplayCollectionName": LABEL,
        },
    ),
    ("msdynci_visits", {"value": [{"msdynci_tier": "x", "_msdynci_p_value": ID}]}),
    ("msdynci_customermeasures", {"value": [{"msdynci_measures": MEASURES}]}),
    ("WhoAmI", {"UserId": ID, "BusinessUnitId": ID, "OrganizationId": ID}),
    ("systemusers", {"value": [{"systemuserid": ID, "isdisabled": False, "_businessunitid_value": ID}]}),
    ("roles", {"value": [{"roleid": ID, "name": "Least"}]}),
    (f"RetrieveRolePrivilegesRole(RoleId={ID})", {"RolePrivileges": []}),
    (
        "ManyToOneRelationships",
        {
            "value": [
                {
                    "SchemaName": COLUMN,
                    "ReferencedEntity": "msdynci_customerprofile",
                    "ReferencingAttribute": COLUMN,
                    "ReferencingEntityNavigationPropertyName": COLUMN,
                }
            ]
        },
    ),
    ("", {"value": []}),
)


class Odd:
    """Dataverse whose answer to one kind of question is another one."""

    def __init__(self, kind: str = "-", answer: Any = None) -> None:
        self.kind, self.answer = kind, answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/data/v9.2/")
        kind, good = next(pair for pair in ANSWERS if path.endswith(pair[0]))
        content = json.dumps(self.answer if kind == self.kind else good)  # NaN and halves of characters are let through
        return httpx.Response(200, content=content.encode(), headers={"Content-Type": "application/json"})


async def asked[T](kind: str, answer: Any, work: Callable[[Dataverse], Awaitable[T]]) -> T | None:
    """Return what some work comes to, None when it says what it could not use."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(Odd(kind, answer))) as client:
        try:
            return await work(Dataverse(Connection(URL, client, StaticTokens())))
        except LinkerError as error:
            assert len(str(error)) < 3_000
            return None


async def insights(dataverse: Dataverse) -> Any:
    found = await reach(dataverse, TARGET, row_key(ID) or b"")
    text = Reply(200, to_json(found)).text
    json.loads(text.encode(), parse_constant=pytest.fail)
    return found


async def view(dataverse: Dataverse) -> Any:
    return await saved_views.columns(dataverse, "contact")


async def environment(dataverse: Dataverse) -> Any:
    await service_account.needs_of_measures(dataverse)
    return await service_account.plan_setup(dataverse, ID, "Least", privileges.to_create_column())


WORK = [pytest.param(insights, id="insights"), pytest.param(view, id="view"), pytest.param(environment, id="set-up")]


@pytest.mark.parametrize("work", WORK)
def test_as_documented_nothing_is_missing(work: Callable[[Dataverse], Awaitable[Any]]) -> None:
    found = asyncio.run(asked("-", None, work))
    assert found is not None
    if work is insights:
        assert (found.customer, len(found.attributes), len(found.related), found.unreachable) == ("c1", 2, 1, ())


@QUICK
@given(st.data())
@pytest.mark.parametrize("work", WORK)
def test_any_other_answer_is_used_as_far_as_it_goes_or_said_to_be_odd(
    work: Callable[[Dataverse], Awaitable[Any]], data: st.DataObject
) -> None:
    kind, good = data.draw(st.sampled_from(ANSWERS[:-1]))
    asyncio.run(asked(kind, data.draw(damaged(good)), work))


HALF = "cut \ud83d"
DEEP: Any = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    "value", [HALF, float("nan"), float("inf"), DEEP, {"a": HALF}, "x" * 1_000_000, 10**400], ids=range(7)
)
@pytest.mark.parametrize("where", ["column", "measure", "measures"])
def test_a_value_that_json_cannot_carry_is_shown_as_text_or_cut(where: str, value: Any) -> None:
    profile = {"msdynci_customerid": "c1", "msdynci_tier": value}
    text = json.dumps({"m": value}) if where == "measure" else value
    measures = {"value": [{"msdynci_measures": text}]}
    kind, answer = (
        (f"msdynci_customerprofiles({ID})", profile) if where == "column" else ("msdynci_customermeasures", measures)
    )
    asyncio.run(asked(kind, answer, insights))
