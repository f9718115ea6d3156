"""An optional service never prevents, delays for long, or fails a run: whatever the Customer Insights API does is a note."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from linker.adapters import customer_insights as insights_module
from linker.adapters.customer_insights import Insights, NoAnswer
from linker.adapters.outgoing import only_to
from linker.core.errors import ConfigurationError, TransientError
from linker.core.model import Mode, Run, Status, Ticket
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.runs.activity_values import RunRef, Survey
from linker.deps import Deps
from linker.durable.activities.discover_tables import survey
from linker.services import preflight_checks, run_requests
from tests.fakes.requests import URL
from tests.fakes.world import StaticTokens, World

API = "https://api.ci.ai.dynamics.com/v1"
DECLARED = ("R1", "R2", "R3", "R4", "R5", "R6")
type Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


def status(number: int, **headers: str) -> Handler:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(number, headers=headers, json={})

    return answer


def body(content: bytes) -> Handler:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=content)

    return answer


def raises(error: Exception) -> Handler:
    async def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


async def hangs(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(3_600)
    raise AssertionError("nobody waits so long")


class Tokens(StaticTokens):
    """Tokens of an identity that may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    async def token(self) -> str:
        if self.error:
            raise self.error
        return await super().token()


def service(answer: Handler, error: Exception | None = None) -> Insights:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks={"request": [only_to([URL, API])]})
    return Insights(API, "one", client, Tokens(error))


def good() -> Insights:
    """Customer Insights that says everything a run asks."""
    answers: dict[str, Any] = {
        "/v1/instances/one": {"cdsOrgInfo": {"url": URL}, "isB2C": True, "cdsMdlInfo": {"x": 1}},
        "/v1/instances/one/manage/datasources": [
            {
                "dataSourceMetadata": {
                    "name": "crm",
                    "kind": "attachCds",
                    "entityNames": ["contact"],
                    "entityInformation": [{"entityName": "contact", "primaryKey": "contactid"}],
                }
            }
        ],
        "/v1/instances/one/workflows/main/jobs": [],
    }

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answers[request.url.path])

    return service(answer)


TROUBLES: dict[str, Callable[[], Insights]] = {
    **{f"status {n}": lambda n=n: service(status(n)) for n in (400, 401, 403, 404, 405, 410, 429, 500, 502, 503, 599)},  # type: ignore[misc]
    **{
        f"redirect {n}": lambda n=n: service(status(n, Location="https://evil.example/x"))  # type: ignore[misc]
        for n in (301, 302, 303, 307, 308)
    },
    "redirect to itself": lambda: service(status(302, Location=API)),
    "no content": lambda: service(status(204)),
    "unknown host": lambda: service(raises(httpx.ConnectError("[Errno -2] Name or service not known"))),
    "no answer": lambda: service(raises(httpx.ReadTimeout("timed out"))),
    "broken off": lambda: service(raises(httpx.RemoteProtocolError("peer closed connection"))),
    "certificate": lambda: service(raises(httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"))),
    "hangs": lambda: service(hangs),
    "a web page": lambda: service(body(b"<html>Sign in</html>")),
    "another shape": lambda: service(body(json.dumps({"value": [1, None]}).encode())),
    "deep JSON": lambda: service(body(b"[" * 200_000)),
    "null": lambda: service(body(b"null")),
    "no token: refused": lambda: service(status(200), ConfigurationError("No token. Nothing was written.")),
    "no token: silence": lambda: service(status(200), TransientError("No token.")),
    "a fault of a library": lambda: service(raises(RuntimeError("boom"))),
    "a fault of ours": lambda: service(status(200), KeyError("boom")),
    "another host in the settings": lambda: Insights(
        "https://elsewhere.example",
        "one",
        httpx.AsyncClient(event_hooks={"request": [only_to([URL, API])]}, timeout=120),
        StaticTokens(),
    ),
    "an address that is none": lambda: Insights("https://[", "one", httpx.AsyncClient(timeout=120), StaticTokens()),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Two contacts of which everything is declared that Customer Insights would say."""
    monkeypatch.setattr(insights_module, "ANSWER_S", 0.05)
    world = World(declared=DECLARED)
    world.people(2)
    return world


async def surveyed(world: World, run: str = "run1") -> tuple[Survey, Run]:
    await world.deps.runs.create(Run(run, Mode.INCREMENTAL, Status.REFRESHING))
    answer = await survey(world.deps, RunRef(run))
    shown = await world.deps.runs.load(run)
    assert shown is not None
    return answer, shown


def with_insights(world: World, insights: Insights | None) -> Deps:
    world.insights = insights
    world.deps = world.host()
    return world.deps


async def looked(world: World) -> Picture:
    return await preflight_checks.look(world.deps)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_run_links_the_same_tables_as_without_the_service_and_has_a_note(world: World, trouble: str) -> None:
    with_insights(world, None)
    without = await surveyed(world, "run0")
    with_insights(world, TROUBLES[trouble]())
    answer, run = await surveyed(world)
    before = without[0]
    assert (answer.tables, answer.status, answer.full_reason) == (before.tables, before.status, before.full_reason)
    assert (answer.tables, answer.status) == (("contact",), None)
    assert run.warnings == without[1].warnings
    (note,) = set(run.notes) - set(without[1].notes)
    assert "Until it answers, its facts count as unknown." in note


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_preflight_is_as_ready_as_without_the_service_and_has_a_note(world: World, trouble: str) -> None:
    with_insights(world, None)
    without = await looked(world)
    with_insights(world, TROUBLES[trouble]())
    picture = await looked(world)
    assert picture.severity is without.severity is not Severity.BLOCKED
    assert [(table.table, table.outcome) for table in picture.tables] == [("contact", without.tables[0].outcome)]
    assert picture.warnings == without.warnings
    assert len(picture.notes) == len(without.notes) + 1


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_timer_decides_by_the_marks(world: World, trouble: str) -> None:
    deps = with_insights(world, TROUBLES[trouble]())
    started: list[Ticket] = []

    async def start(ticket: Ticket) -> None:
        started.append(ticket)

    assert await run_requests.poll(deps, start) == started[0].run


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_no_method_raises(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_module, "ANSWER_S", 0.05)
    one = TROUBLES[trouble]()
    answers = [await ask() for ask in (one.instance, one.data_sources, one.last_unification, one.has_never_unified)]
    silences = [answer for answer in answers if isinstance(answer, NoAnswer)]
    assert len(silences) >= 3  # an instance may say nothing about itself
    assert all(silence.reason for silence in silences)


async def test_what_it_said_last_counts_for_a_week_of_silence(world: World) -> None:
    world.settings = world.settings.model_copy(update={"declared": ()})
    with_insights(world, good())
    answer, run = await surveyed(world)
    assert (answer.tables, run.notes) == (("contact",), ())
    with_insights(world, TROUBLES["status 503"]())
    answer, run = await surveyed(world, "run2")
    assert answer.tables == ("contact",)
    assert [note for note in run.notes if "is used instead" in note]
    world.clock.pass_s(8 * 86_400)
    answer, run = await surveyed(world, "run3")
    assert answer.tables == ()
    assert "R2" in " ".join(table.detail for table in run.tables)


async def test_a_preflight_remembers_nothing(world: World) -> None:
    with_insights(world, good())
    before = list(world.store.writes)
    await looked(world)
    assert world.store.writes == before


async def test_a_refused_token_is_renewed_once() -> None:
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Authorization"])
        return httpx.Response(401 if len(asked) == 1 else 200, json=[])

    assert await service(answer).data_sources() == ()
    assert asked == ["Bearer token0", "Bearer token1"]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("status 401", "LINKER_INSIGHTS_INSTANCE_ID"),
        ("status 403", "the app's identity has a role there"),
        ("status 404", "LINKER_INSIGHTS_URL"),
        ("status 410", "no longer offers"),
        ("redirect 302", "is not followed"),
        ("unknown host", "could not be reached"),
        ("hangs", "did not answer within"),
        ("no token: refused", "No token"),
    ],
)
async def test_the_note_says_what_happened(trouble: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_module, "ANSWER_S", 0.05)
    monkeypatch.setattr(insights_module, "PAUSE_S", 0.0)
    answer = await TROUBLES[trouble]().instance()
    assert isinstance(answer, NoAnswer)
    assert words in answer.reason
