"""Without --disposable a proof reads: no request but GET leaves the machine, and the sandbox stays as it was."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.live.conftest import Heard, Tenant
from tests.live.probes.asking import READING
from tests.live.probes.wire import WriteRefusedError, reading_only
from tests.live.proof import WRITING, Order, prove
from tests.live.report import markdown


async def test_only_get_requests_are_sent(linked: Tenant) -> None:
    heard: list[Heard] = []
    before = linked.sandbox.environment.database.next_version()
    report = await prove(linked.dataverse(heard=heard), Order(), linked.said.append, pause=asyncio.sleep)
    after = linked.sandbox.environment.database.next_version()
    assert {one.method for one in heard} == {"GET"}
    assert after == before + 1  # each look at the counter counts: the proof itself wrote nothing
    assert [one.probe.name for one in report.asked] == [f"P{number}" for number in range(1, 20)]
    silent = {one.probe.name for one in report.asked if not one.exchanges}
    assert silent <= {"P2", "P3", "P4"}  # the first look answers these
    assert not report.wrote


async def test_with_the_flag_other_requests_are_sent(tenant: Tenant) -> None:
    heard: list[Heard] = []
    order = Order(rows=1, disposable=True, only=("finding-tables",))
    await prove(tenant.dataverse(heard=heard), order, tenant.said.append, pause=asyncio.sleep)
    assert {"POST", "DELETE"} <= {one.method for one in heard}


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_is_stopped_before_it_is_sent(method: str) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with reading_only(client):
        with pytest.raises(WriteRefusedError, match=f"A {method} was not sent"):
            await client.request(method, "https://contoso.crm4.dynamics.com/api/data/v9.2/contacts")
        await client.get("https://contoso.crm4.dynamics.com/api/data/v9.2/contacts")
    await client.request(method, "https://contoso.crm4.dynamics.com/api/data/v9.2/contacts")
    assert [request.method for request in sent] == ["GET", method]


async def test_the_report_says_what_would_be_written(linked: Tenant) -> None:
    report = await prove(linked.dataverse(), Order(only=("P1",)), linked.said.append, pause=asyncio.sleep)
    page = markdown(report)
    assert "Nothing was written" in page
    for one in WRITING:
        assert f"| {one.name} | {one.title} | {one.writes} |" in page


def test_every_probe_has_its_number_and_different_points() -> None:
    assert [probe.name for probe in READING] == [f"P{number}" for number in range(1, 20)]
    names = [point.name for probe in READING for point in probe.points]
    assert len(names) == len(set(names))
