"""Every read that a run can do without, times what can happen to it: the run links all rows, in time, and says so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import unquote

import httpx
import pytest

from linker.core.model import Mode, Run
from linker.core.permissions.preflight_report import Severity
from linker.services import preflight_checks
from sandbox.data.generator import guid, mapping_row
from sandbox.database import Stamp, bulk_load
from sandbox.schema.definition import define_table
from sandbox.schema.insights_tables import MAPPING
from tests.matrix.cases import BASE, config_of
from tests.matrix.place import Place, place
from tests.matrix.story import ENDED_WELL, wrong_links

HANG_S = 100_000.0
BOUND_S = 900.0  # simulated seconds of a run, of which it rests 60 to 600
type Answer = Callable[[], httpx.Response]


def refusal(status: int, code: str, text: str) -> Answer:
    return lambda: httpx.Response(status, json={"error": {"code": code, "message": text}})


ANSWERS: dict[str, Answer] = {
    "500": refusal(500, "0x80040216", "An unexpected error occurred."),
    "403": refusal(403, "0x80095fff", "Not for you."),
    "404": refusal(404, "0x80060888", "Resource not found for the segment."),
    "hang": lambda: httpx.Response(599),
    "html": lambda: httpx.Response(200, html="<html>Sign in</html>"),
    "malformed JSON": lambda: httpx.Response(200, content=b'{"value": [', headers={"Content-Type": "application/json"}),
    "another shape": lambda: httpx.Response(200, json={"value": [[1], None, "x"], "Privileges": 1}),
}


@dataclass(frozen=True, slots=True)
class Read:
    """A read by the text of its request, and the words with which a report names it; "" where nothing is left out."""

    pattern: str
    named: str = ""
    most: int = 60  # requests of a run that may be struck
    later: bool = False  # it is asked, or may be missing, only after a first run
    refusals_count: bool = True  # a refusal is named as well


READS: dict[str, Read] = {
    "marks": Read(r"msdynci_\w+\?\S*orderby=(?:modifiedon|versionnumber) desc"),
    "plug-in steps": Read(r"sdkmessageprocessingsteps", "automations"),
    "workflows": Read(r"[/ ]workflows\?", "automations"),
    "flows": Read(r"callbackregistrations", "automations"),
    "bulk updates": Read(r"sdkmessagefilters\?", "bulk updates"),
    "counts": Read(r"msdynci_alternatekeys/\$count|RetrieveTotalRecordCount", "how many rows"),
    "the vendor's account": Read(r"InsightsAppsPlatform", "who else writes", later=True),
    "roles": Read(r"roleprivileges_association", "roles cannot read profiles"),
    "schema of profiles": Read(r"'msdynci_customerprofile'\)/Attributes\?\$select=LogicalName,AttributeType"),
    "labels": Read(r"select=PrimaryNameAttribute"),
    "lookups of all tables": Read(r"OneToManyRelationships"),
    "other tables": Read(r"IsCustomEntity eq true", "tables could not be listed"),
    "keys in another table": Read(r"new_broken\w*\?", "'new_broken'", refusals_count=False),
    "Customer Insights": Read(r"/instances/", "Customer Insights", later=True),
}


class Struck(httpx.ASGITransport):
    """A network on which each request of a kind is answered otherwise. `times` counts them."""

    def __init__(self, here: Place, pattern: str, answer: str) -> None:
        super().__init__(here.sandbox.app)
        self.pattern, self.answer, self.times, self.quiet = re.compile(pattern), answer, 0, False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = b"" if request.method == "GET" else await request.aread()
        text = unquote(f"{request.url}") + " " + unquote(body.decode(errors="replace"))
        if (
            self.quiet
            or not self.pattern.search(text)
            or (request.method == "POST" and not request.url.path.endswith("$batch"))
        ):
            return await super().handle_async_request(request)
        self.times += 1
        if self.answer == "hang":
            await asyncio.sleep(HANG_S)
        return ANSWERS[self.answer]()


def add_renamed_source(here: Place) -> None:
    """Let the mapping name a source whose keys are guids of no table, and add a custom table that it might be."""
    environment = here.sandbox.environment
    table = define_table("new_broken", [], entity_set="new_brokens", custom=True)
    environment.database.create_table(table)
    stamp = Stamp(environment.clock(), bytes(16))
    rows = [mapping_row("shop", "shoppers", guid(9, "shopper", number), f"s{number}") for number in range(5)]
    bulk_load(here.database, MAPPING, rows, stamp)


@contextmanager
def struck(read: Read, answer: str) -> Iterator[tuple[Place, Struck]]:
    with place(config_of(BASE)) as here:
        add_renamed_source(here)
        deps = here.app.world.deps
        network = Struck(here, read.pattern, answer)
        client = httpx.AsyncClient(transport=network, base_url=deps.connection.client.base_url)
        assert deps.insights is not None
        deps.insights._client = client
        here.app.world.deps = replace(deps, connection=replace(deps.connection, client=client))
        if read.later:
            network.quiet = True
            assert here.run().status in ENDED_WELL
            here.clock.pass_s(25 * 3_600)
            here.unify(move=0.2)
            network.quiet = False
        yield here, network


def told(run: Run) -> str:
    return " ".join([run.status_detail, *run.notes, *run.warnings])


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", READS)
def test_a_run_does_without_it(name: str, answer: str) -> None:
    read = READS[name]
    with struck(read, answer) as (here, network):
        began_s = here.clock()
        run = here.run()
        assert (run.status in ENDED_WELL, wrong_links(here)) == (True, []), run.status_detail
        assert run.counts.linked > 0
        assert here.clock() - began_s < BOUND_S
        assert 0 < network.times <= read.most
        if read.refusals_count or answer not in ("403", "404"):
            assert read.named in told(run)
        first = network.times
        assert here.run().status in ENDED_WELL
        assert network.times - first <= first  # a later run asks no more


@pytest.mark.parametrize("answer", ["500", "hang"])
@pytest.mark.parametrize("name", READS)
def test_preflight_does_without_it_and_agrees(name: str, answer: str) -> None:
    with struck(READS[name], answer) as (here, _):
        picture = here.app.do(preflight_checks.look(here.app.world.deps))
        assert picture.severity is not Severity.BLOCKED
        ready = {table.table for table in picture.tables if table.outcome == "ready"}
        run = here.run(mode=Mode.INCREMENTAL, dry_run=True)
        assert {table.table for table in run.tables if table.status in ENDED_WELL} == ready == {"contact", "new_member"}
