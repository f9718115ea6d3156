"""While runs are paused none begins, whatever asks for it; nothing that was asked for is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from linker.core.model import Mode, RunRequest, Status, Ticket
from linker.core.runs.lifecycle import PAUSED, end_early
from linker.core.runs.lock_state import MAX_DAYS
from linker.core.serialization import iso
from linker.entrypoints import api
from linker.services import housekeeping, run_requests
from tests.core.runs.test_events import body, record
from tests.fakes.browser import Browser
from tests.fakes.client import Client, Starter
from tests.fakes.principal import headers
from tests.fakes.world import START, World

HOUR_S = 3_600.0
OPERATOR = headers(("roles", "operator"))
AUDITOR = headers(("roles", "admin"))


class Place:
    """An app with everything that may ask it for a run."""

    def __init__(self, **settings: object) -> None:
        self.world = World(verify=True, **settings)
        self.client = Client(self.world, authenticated=True, headers=OPERATOR)
        self.browser = Browser(self.world, authenticated=True, headers=OPERATOR)
        self.start: Starter = self.client.start
        self.browser.start = self.start

    async def pause(self, hours: float = 1.0, reason: str = "Maintenance") -> api.Reply:
        until = iso(self.world.clock() + hours * HOUR_S)
        return await self.client.ask(api.post_pause, body={"until": until, "reason": reason})

    async def watch(self) -> str:
        return await housekeeping.watch_runs(self.world.deps, self.start)

    async def waiting(self) -> Ticket | None:
        return (await self.world.deps.lock.peek()).pending


async def poll(place: Place) -> None:
    await run_requests.poll(place.world.deps, place.start)


async def verify(place: Place) -> None:
    await run_requests.verify(place.world.deps, place.start)


async def event(place: Place) -> None:
    await run_requests.unification_events(place.world.deps, [body(record())], place.start)


async def webhook(place: Place) -> None:
    reply = await place.client.ask(api.post_unification_event, body={"jobId": "job"})
    assert (reply.status, reply.body["statusDetail"]) == (202, PAUSED)


async def by_api(place: Place) -> None:
    reply = await place.client.ask(api.post_run, body={"mode": "full"})
    assert (reply.status, reply.body["status"], reply.body["statusDetail"]) == (202, Status.QUEUED, PAUSED)


async def on_the_page(place: Place) -> None:
    token = await place.browser.token("/api/portal/actions")
    reply = await place.browser.post("/api/portal/actions/run", token=token, key="k", mode="full")
    assert reply.status == 303


async def approval(place: Place) -> None:
    held = ("step",), None, ("Plug-in step 'Sync'.",)
    first = place.world.deps.first_links
    await first.hold("contact", *held)
    shown = await first.load("contact")
    assert shown is not None
    reply = await place.client.ask(api.post_approve, body={"digest": shown.digest}, table="contact")
    assert (reply.status, reply.body["trigger"]) == (202, "approval")


async def waiting_run(place: Place) -> None:
    """A run that waited behind another one when the pause began."""
    lock = place.world.deps.lock
    (running,) = place.start.started
    place.start.started.clear()
    await lock.renew(running.run)
    await by_api_behind(place)
    assert await lock.finish(running.run, completed=True) is None
    now = place.world.clock()
    await place.world.deps.runs.advance(running.run, lambda run: end_early(run, Status.CANCELED, "", now))


async def by_api_behind(place: Place) -> None:
    await place.client.ask(api.post_run, body={"mode": "full"})


async def interrupted_run(place: Place) -> None:
    """The work of a run that died."""
    (running,) = place.start.started
    place.start.started.clear()
    await place.world.deps.lock.renew(running.run)
    place.world.clock.pass_s(place.world.settings.lease_seconds)
    await place.watch()


WAYS = [
    pytest.param(verify, Mode.VERIFY, id="timer of the verify run"),
    pytest.param(event, Mode.INCREMENTAL, id="event"),
    pytest.param(webhook, Mode.INCREMENTAL, id="webhook"),
    pytest.param(by_api, Mode.FULL, id="API"),
    pytest.param(on_the_page, Mode.FULL, id="page"),
    pytest.param(approval, Mode.INCREMENTAL, id="approval"),
    pytest.param(waiting_run, Mode.FULL, id="a run that waited"),
    pytest.param(interrupted_run, Mode.INCREMENTAL, id="a run that was interrupted"),
]
type Way = Callable[[Place], Awaitable[None]]


async def asked(place: Place, way: Way) -> None:
    """Pause runs and ask for one in some way."""
    if way in (waiting_run, interrupted_run):
        await run_requests.request_run(place.world.deps, RunRequest(), place.start)
    assert (await place.pause()).status == 200
    await way(place)


@pytest.mark.parametrize(("way", "mode"), WAYS)
@pytest.mark.parametrize("resumed", [False, True], ids=["ends by itself", "is ended by an operator"])
async def test_a_run_waits_for_the_end_of_the_pause_and_begins_then(way: Way, mode: Mode, *, resumed: bool) -> None:
    place = Place()
    await asked(place, way)
    await place.watch()
    assert (place.start.started, (await place.world.deps.lock.peek()).holder) == ([], None)
    waiting = await place.waiting()
    assert waiting is not None
    assert waiting.request.mode is mode
    shown = await place.world.deps.runs.load(waiting.run)
    assert shown is not None
    assert (shown.status, shown.status_detail) == (Status.QUEUED, PAUSED)
    if resumed:
        reply = await place.client.ask(api.post_resume)
        assert reply.body["run"] == shown.id
    else:
        place.world.clock.pass_s(HOUR_S)
        assert await place.watch() == shown.id
    assert [ticket.run for ticket in place.start.started] == [shown.id]


async def test_the_timer_looks_again_after_the_pause() -> None:
    place = Place()
    await place.pause()
    await poll(place)
    assert (place.start.started, await place.waiting()) == ([], None)
    place.world.clock.pass_s(HOUR_S)
    await poll(place)
    assert len(place.start.started) == 1


async def test_a_request_after_the_pause_takes_along_what_waited_and_real_work_goes_first() -> None:
    place = Place()
    await place.pause()
    waiting = (await place.client.ask(api.post_run, body={"mode": "verify"})).body["id"]
    place.world.clock.pass_s(HOUR_S)
    dry = (await place.client.ask(api.post_run, body={"dryRun": True})).body["id"]
    assert [ticket.run for ticket in place.start.started] == [waiting]
    pending = (await place.world.deps.lock.peek()).pending_dry
    assert pending is not None
    assert pending.run == dry


async def test_a_waiting_run_can_be_canceled() -> None:
    place = Place()
    await place.pause()
    run = (await place.client.ask(api.post_run, body={})).body["id"]
    assert (await place.client.ask(api.post_cancel, run=run)).body["status"] == Status.CANCELED
    assert (await place.client.ask(api.post_resume)).body["run"] is None
    assert (place.start.started, await place.watch()) == ([], "")


@pytest.mark.parametrize(
    ("days", "status"), [(0.0, 409), (-1.0, 409), (1 / 86_400, 200), (MAX_DAYS, 200), (MAX_DAYS + 0.001, 409)]
)
async def test_a_pause_ends_in_the_future_and_is_bounded(days: float, status: int) -> None:
    place = Place()
    reply = await place.pause(days * 24)
    assert reply.status == status
    shown = (await place.client.ask(api.get_status)).body["pause"]
    assert (shown is not None) == (status == 200)
    assert status == 200 or "Nothing was changed." in reply.body["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"until": "tomorrow"},
        {"until": "2026-11-24T06:00:00"},
        {"until": 1_795_000_100},
        {"until": iso(START + 60), "reason": "x" * 201},
        {"until": iso(START + 60), "reason": "a\nb"},
        {"until": iso(START + 60), "why": "x"},
    ],
    ids=str,
)
async def test_what_is_not_a_pause_is_refused(body: dict[str, object]) -> None:
    place = Place()
    assert (await place.client.ask(api.post_pause, body=body)).status == 400
    assert (await place.client.ask(api.get_status)).body["pause"] is None


async def test_who_looks_sees_until_when_and_why_and_the_audit_who() -> None:
    place = Place()
    await place.pause(reason="<b>ERP</b>")
    shown = (await place.client.ask(api.get_status)).body["pause"]
    until = iso(START + HOUR_S)
    assert shown == {"until": until, "since": iso(START), "by": "ada@contoso.com", "reason": "<b>ERP</b>"}
    read = until.replace("T", " ").replace("Z", " UTC")
    for page in ("", "/actions", "/pause", "/actions/review"):
        text = await place.browser.text(f"/api/portal{page}")
        assert f"No run begins until {read} . ada@contoso.com paused runs" in text, page
        assert "<b>ERP</b>" in text
    assert "Next Not before" in await place.browser.text()
    place.world.clock.pass_s(HOUR_S)
    assert (await place.client.ask(api.get_status)).body["pause"] is None
    assert "No run begins until" not in await place.browser.text()
    assert (await place.client.ask(api.post_resume)).status == 409
    log = await Client(place.world, authenticated=True, headers=AUDITOR).ask(api.get_audit)
    assert [(entry["action"], entry["status"]) for entry in log.body["value"]] == [
        ("post_resume", 409),
        ("post_pause", 200),
    ]
    assert log.body["value"][1]["asked"]["reason"] == "<b>ERP</b>"


async def test_an_operator_pauses_and_resumes_on_the_page() -> None:
    place = Place()
    token = await place.browser.token("/api/portal/pause")
    local = f"{datetime.fromtimestamp(START + HOUR_S, UTC):%Y-%m-%dT%H:%M}"
    sent = await place.browser.post("/api/portal/pause", token=token, key="k", until=local, reason="ERP")
    assert (sent.status, sent.headers["Location"]) == (303, "/api/portal?notice=paused")
    await by_api(place)
    sent = await place.browser.post("/api/portal/resume", token=token, key="k")
    assert (sent.status, sent.headers["Location"]) == (303, "/api/portal?notice=resumed")
    assert len(place.start.started) == 1
    refused = await place.browser.post("/api/portal/resume", token=token, key="k")
    assert refused.status == 409
    for wrong, status in (("", 400), ("soon", 400), ("2026-01-01T00:00", 409)):
        assert (await place.browser.post("/api/portal/pause", token=token, key="k", until=wrong)).status == status
