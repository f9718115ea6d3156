"""Whatever else comes in from outside: Customer Insights, events, settings. It is understood or reported, never a crash."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker import settings as settings_module
from linker.adapters.customer_insights import Insights, NoAnswer
from linker.adapters.storage.table_client import AzureTables
from linker.core.errors import ConfigurationError, LinkerError
from linker.core.runs.workflow_jobs import read_events
from tests.fakes.world import StaticTokens
from tests.malformed_input import QUICK

INSTANCE: dict[str, Any] = {
    "cdsOrgInfo": {"url": "https://contoso.crm4.dynamics.com"},
    "isB2B": False,
    "isB2C": True,
    "isCdsMdlOrCdsByodl": True,
    "cdsMdlInfo": {},
}
SOURCES: list[Any] = [
    {
        "dataSourceMetadata": {
            "name": "crm",
            "kind": "attachCds",
            "entityNames": ["contact"],
            "entityInformation": [{"entityName": "contact", "primaryKey": "contactid"}],
        }
    }
]
JOBS: list[Any] = [
    {
        "jobId": "job",
        "jobStatus": "successful",
        "operationType": "all",
        "submittedTimestamp": "2026-11-01T00:00:00Z",
        "endTimestamp": "2026-11-01T01:00:00Z",
        "tasks": [{"operationType": "merge", "taskStatus": "successful"}],
    }
]
EVENT: dict[str, Any] = {
    "records": [
        {
            "operationName": "Merge.WorkflowCompleted",
            "resultType": "Successful",
            "resourceId": "/INSTANCES/one",
            "properties": {
                "eventType": "WorkflowEvent",
                "workflowJobId": "job",
                "startTimestamp": "2026-11-01T00:00:00Z",
            },
        }
    ]
}

odd = st.sampled_from(
    [
        None,
        5,
        -1,
        1e400,
        True,
        "",
        "x",
        "x" * 100_000,
        "\ud800",
        "\0",
        "0001-01-01T00:00:00+23:59",
        "9" * 400,
        [],
        {},
        [None],
        {"a": 1},
    ]
)


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """Return a document in which one value, at any depth, is another one or is missing."""
    if not isinstance(document, (dict, list)) or not document or draw(st.integers(0, 4)) == 0:
        return draw(odd)
    copied: Any = dict(document) if isinstance(document, dict) else list(document)
    at = draw(st.sampled_from(sorted(copied) if isinstance(copied, dict) else range(len(copied))))
    if draw(st.integers(0, 4)) == 0:
        del copied[at]
    else:
        copied[at] = draw(damaged(copied[at]))
    return copied


def insights(answer: Any) -> Insights:
    """Return Customer Insights that answers everything alike."""
    content = json.dumps(answer).encode()
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content)))
    return Insights("https://api.ci.ai.dynamics.com/v1", "one", client, StaticTokens())


CALLS: dict[str, tuple[Any, Callable[[Insights], Awaitable[object]]]] = {
    "instance": (INSTANCE, Insights.instance),
    "data sources": (SOURCES, Insights.data_sources),
    "jobs": (JOBS, Insights.last_unification),
}


@pytest.mark.parametrize("call", CALLS)
@QUICK
@given(data=st.data())
def test_customer_insights_in_another_shape_is_reported(call: str, data: st.DataObject) -> None:
    document, ask = CALLS[call]
    answer = data.draw(damaged(document))

    told = asyncio.run(_asked(ask, answer))
    assert not isinstance(told, NoAnswer) or "Customer Insights" in told.reason


async def _asked(ask: Callable[[Insights], Awaitable[object]], answer: Any) -> object:
    return await ask(insights(answer))


@QUICK
@given(damaged(EVENT))
def test_an_event_in_another_shape_is_counted_and_keeps_no_other_from_being_read(event: Any) -> None:
    found = read_events([json.dumps(event).encode(), json.dumps(EVENT).encode()], None)
    assert "job" in found.jobs
    assert len(found.jobs) + found.ignored + found.malformed <= 2


@QUICK
@given(st.binary(max_size=200))
def test_an_event_that_is_not_json_is_malformed(body: bytes) -> None:
    assert read_events([body], None).jobs == ()


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60)
likely = st.sampled_from(
    ["http://[", "https://a:b", "https://x/../y", "-1", "1e999", "nan", "true,false", "{}", "[[", "%", "\u0661"]
)
VALID = {"LINKER_DATAVERSE_URL": "https://contoso.crm4.dynamics.com", "LINKER_STORAGE": "UseDevelopmentStorage=true"}


@QUICK
@given(name=st.sampled_from(settings_module.names()), value=texts | likely)
def test_a_setting_is_understood_or_named(name: str, value: str) -> None:
    with patch.dict(os.environ, {**VALID, name: value}):
        try:
            settings_module.load()
        except ConfigurationError as error:
            assert "LINKER_" in str(error)


@pytest.mark.parametrize(
    "text", ["AccountName=a", "AccountName=;AccountKey=", "AccountName=a;AccountKey=%%%", "TableEndpoint=x"]
)
async def test_a_connection_string_that_is_none_is_reported(text: str) -> None:
    tables = AzureTables(connection_string=text)
    with pytest.raises(LinkerError):
        await tables.get("linkerstatus", "a", "b")
    await tables.close()
