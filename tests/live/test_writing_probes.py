"""The probes that write leave nothing behind, whatever is refused, and look at one unification together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.core.requirements.facts import DataverseTable
from tests.live import ground
from tests.live.answers import one
from tests.live.conftest import URL, Tenant, Tokens, linked_tenant
from tests.live.own import Own
from tests.live.probes import elastic
from tests.live.probes.points import Result
from tests.live.probes.scene import Scene
from tests.live.probes.watching import MESSAGES
from tests.live.probes.watching import WRITING as WATCHING
from tests.live.probes.wire import Answer, Asker
from tests.live.proof import Report
from tests.live.site import Site, send
from tests.live.twist import Twist

BINDING = ("W1", "W2", "W3")


def failed(details: dict[str, Any]) -> Answer:
    """Return the answer to a bulk request of which a row is missing."""
    return Answer(404, "0x80040217", "Does Not Exist", {"error": {"code": "0x80040217", **details}})


@pytest.fixture(scope="module")
def written() -> Iterator[Tenant]:
    made = linked_tenant()
    yield made
    made.sandbox.environment.database.close()


def results(report: Report) -> dict[str, Result]:
    return {result.point.name: result for one in report.asked for result in one.results}


async def test_they_ask_and_leave_nothing(written: Tenant) -> None:
    report = await written.prove(*BINDING, rows=1)
    assert [one.probe.name for one in report.asked] == list(BINDING)
    assert results(report)["bind-by-id"].settled
    assert await written.ours() == []


@pytest.mark.parametrize(
    "twist",
    [
        pytest.param(
            Twist("^POST .*RelationshipDefinitions(.|\n)*_vendor", status=403), id="the relationship is refused"
        ),
        pytest.param(Twist("^PATCH ", status=400), id="every link is refused"),
        pytest.param(Twist("^POST .*CreateEntities(.|\n)*_elastic", status=403), id="the elastic table is refused"),
        pytest.param(Twist(r"^POST .*_elastics\b", status=500), id="rows of the elastic table are refused"),
        pytest.param(Twist(r"^DELETE .*_elastics\(", status=403), id="deleting a row is refused"),
        pytest.param(Twist("UpdateMultiple", status=400), id="UpdateMultiple is refused"),
    ],
)
async def test_they_leave_nothing_when_something_is_refused(written: Tenant, twist: Twist) -> None:
    report = await written.prove(*BINDING, rows=1, twist=twist)
    assert [one.probe.name for one in report.asked] == list(BINDING)
    assert await written.ours() == []


async def test_without_a_unification_they_watch_nothing(written: Tenant) -> None:
    found = results(await written.prove("W4", "W5", rows=1))
    assert not any(result.settled for result in found.values())
    assert "Give --watch MINUTES" in found["settling"].evidence


async def test_they_see_what_changes_while_they_watch(written: Tenant) -> None:
    dataverse = written.dataverse()
    profile = (await dataverse.get("msdynci_customerprofiles?$top=1"))["value"][0]["msdynci_customerprofileid"]
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        if waited.count(60.0) == 1:
            await written.later()
            await send(dataverse, "PATCH", f"msdynci_customerprofiles({profile})", {"msdynci_customerid": "new"})

    found = results(await written.prove("W4", rows=1, watch_minutes=2, pause=pause))
    assert found["settling"].answer == "from minute 1 to minute 1, then nothing"
    assert found["rewritten-profiles"].answer.startswith("some: 1 of ")
    assert found["rewritten-mapping-rows"].answer.startswith("none: ")
    assert found["links-of-the-vendor"].answer.startswith("none: ")


class Steps:
    """A Dataverse that keeps service endpoints, steps, and system jobs; a step on Create has a job at once."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            "serviceendpoints": {},
            "sdkmessageprocessingsteps": {},
            "asyncoperations": {},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name, _, rest = request.url.path.rpartition("/")[2].partition("(")
        if request.method == "POST":
            return self._create(name, json.loads(request.content))
        if request.method == "DELETE":
            del self.rows[name][rest.rstrip(")")]
        if request.method == "GET":
            return httpx.Response(200, json={"value": self._found(name, unquote(str(request.url)))})
        return httpx.Response(204)

    def _create(self, name: str, row: dict[str, Any]) -> httpx.Response:
        key = f"00000000-0000-4000-8000-{len(self.rows[name]):012}"
        self.rows[name][key] = row
        if row.get("sdkmessageid@odata.bind") == "/sdkmessages(Create)":
            self.rows["asyncoperations"]["job"] = {"name": row["name"], "step": key}
        return httpx.Response(204, headers={"OData-EntityId": f"{URL}/api/data/v9.2/{name}({key})"})

    def _found(self, name: str, url: str) -> list[dict[str, Any]]:
        if name == "sdkmessagefilters":
            message = next(one for one in MESSAGES if f"'{one}'" in url)
            return [] if message == "Upsert" else [{"sdkmessagefilterid": "f", "_sdkmessageid_value": message}]
        rows = self.rows.get(name, {})
        return [
            {f"{name.removesuffix('s')}id": key}
            for key, row in rows.items()
            if "_owningextensionid_value" not in url or row["step"] in url
        ]


async def test_events_are_seen_by_the_jobs_of_steps_and_all_of_it_is_removed() -> None:
    fake = Steps()
    connection = Connection(URL, httpx.AsyncClient(transport=httpx.MockTransport(fake)), Tokens("t"))
    steps: list[int] = []

    async def pause(_seconds: float) -> None:
        endpoint = next(iter(fake.rows["serviceendpoints"].values()))
        assert endpoint["url"] == "https://linkerlive.invalid/events"
        steps.append(len(fake.rows["sdkmessageprocessingsteps"]))

    table = DataverseTable("lnk00000_row", "lnk00000_row", "lnk00000_rows", "lnk00000_rowid")
    site = Site(Dataverse(connection), Own("00000"), table, table, "x", 0, pause, watch_minutes=1)
    (events,) = [probe.on(site) for probe in WATCHING if probe.name == "W5"]
    (found,) = await events.ask(Asker(connection, pause), Scene({}, {}, [], [], ()))
    assert found.answer == "Create: raised, Update: not raised, Upsert: no such message"
    assert steps == [2, 1, 1, 1, 1, 1]  # the step that fired is deleted at once
    said: list[str] = []
    await ground.remove(Dataverse(connection), Own("00000"), pause, said.append)
    assert not any(fake.rows.values())
    assert "Removed 1 system jobs of 'linkerlive00000'. 0 could not be removed." in said


DETAILS = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failed({DETAILS: "[]"}), "as JSON text"),
        (failed({DETAILS: []}), "as a list"),
        (failed({}), "not at all"),
        (failed({DETAILS: {}}), "in another form"),
        (Answer(502, text="Bad gateway", body="Bad gateway"), ""),
        (Answer(204), ""),
    ],
)
def test_the_form_of_bulk_details(answer: Answer, said: str) -> None:
    assert elastic.describe_details(answer).answer == said


@pytest.mark.parametrize(
    ("written", "left", "said"),
    [
        (failed({}), one(name=elastic.RENAMED), "yes"),
        (failed({}), one(name="live proof"), "no"),
        (Answer(204), one(name=elastic.RENAMED), ""),
        (failed({}), Answer(404, "0x80040217"), ""),
    ],
)
def test_the_other_rows_of_a_bulk_error(written: Answer, left: Answer, said: str) -> None:
    assert elastic.describe_others(written, left, "name").answer == said
