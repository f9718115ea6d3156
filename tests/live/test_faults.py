"""A probe never ends a proof: what an environment cannot answer stays open, with the reason."""

from __future__ import annotations

import httpx
import pytest

from tests.live.conftest import Tenant
from tests.live.proof import Order, prove
from tests.live.report import markdown
from tests.live.twist import Twist

ROWS = r"/(msdynci_|contacts|leads|systemusers|msdyn_|mscipriv_)"
FAULTS = {
    "refused": Twist(ROWS, status=403, code="0x80040220"),
    "failing": Twist(ROWS, status=500, code=""),
    "unavailable": Twist(ROWS, status=503, code=""),
    "empty": Twist(ROWS, told=(r'"value":\[.*\]', '"value":[]')),
    "without columns": Twist(
        ROWS, told=(r'"(msdynci_\w+|_msdynci_\w+|modifiedon|versionnumber|partitionid)":', '"x":')
    ),
    "null": Twist(ROWS, told=(r'":("[^"]*"|\d+)', '":null')),
    "not JSON": Twist(ROWS, told=(r"^\{", "")),
    "a web page": Twist(ROWS, told=(r"(?s)^.*$", "<html>")),
    "a list": Twist(ROWS, told=(r"(?s)^.*$", "[1, 2]")),
    "a number": Twist(ROWS, told=(r"(?s)^.*$", "7")),
    "another shape": Twist(ROWS, told=(r"(?s)^.*$", '{"value": {"a": 1}}')),
    "definitions refused": Twist("EntityDefinitions", status=403, code="0x80040220"),
    "definitions of another shape": Twist("EntityDefinitions", told=(r"(?s)^.*$", '{"value": 7}')),
    "definitions without types": Twist("EntityDefinitions", told=('"TableType"', '"Type"')),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_proof_ends_with_a_report(linked: Tenant, fault: str) -> None:
    dataverse = linked.dataverse(FAULTS[fault])
    report = await prove(dataverse, Order(), linked.said.append, pause=linked.wait)
    results = [result for one in report.asked for result in one.results]
    assert len(report.asked) == 19
    assert all(result.answer if result.settled else result.evidence for result in results)
    assert "### Still open" in markdown(report)


async def test_a_throttled_request_is_sent_again(linked: Tenant) -> None:
    linked.waits.clear()
    throttled = Twist(r"maxpagesize=500\b", status=429, code="0x80072322", times=2)
    report = await prove(linked.dataverse(throttled), Order(only=("P11",)), linked.said.append, pause=linked.wait)
    assert linked.waits == [15.0, 15.0]
    (pages,) = report.asked
    assert [exchange.status for exchange in pages.exchanges[-3:]] == [200, 200, 200]


async def test_the_report_says_how_requests_were_throttled(linked: Tenant) -> None:
    throttled = Twist(r"maxpagesize=500\b", status=429, code="0x80072322", times=2)
    report = await prove(linked.dataverse(throttled), Order(only=("P11",)), linked.said.append, pause=linked.wait)
    assert "2 answers had status 429, without Retry-After." in markdown(report)


@pytest.mark.parametrize(("lost", "answered"), [(2, True), (99, False)])
async def test_a_lost_connection_is_tried_again(linked: Tenant, lost: int, answered: bool) -> None:
    dataverse, failures = linked.dataverse(), [httpx.ConnectError("lost") for _ in range(lost)]

    async def fail(request: httpx.Request) -> None:
        if "maxpagesize" in request.headers.get("Prefer", "") and failures:
            raise failures.pop()

    dataverse.connection.client.event_hooks = {"request": [fail]}
    report = await prove(dataverse, Order(only=("P11",)), linked.said.append, pause=linked.wait)
    (pages,) = report.asked
    assert {("gave no answer" in result.evidence) for result in pages.results} == {not answered}


async def test_an_environment_without_customer_insights_leaves_everything_open(linked: Tenant) -> None:
    twist = Twist("EntityDefinitions", told=("msdynci_alternatekey", "new_alternatekey"))
    report = await prove(linked.dataverse(twist), Order(), linked.said.append, pause=linked.wait)
    results = [result for one in report.asked for result in one.results]
    assert not any(result.settled for result in results)
    assert {result.evidence for result in results} == {
        "Table 'msdynci_customerprofile' or 'msdynci_alternatekey' does not exist: link Customer Insights - Data first."
    }
