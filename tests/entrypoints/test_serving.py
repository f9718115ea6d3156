"""Who may ask for what, and what is written down of what people do by hand (docs/dev/proofs.md D30)."""

import json

import pytest

from linker.core.errors import ConfigurationError, TransientError
from linker.core.roles import Role
from linker.core.serialization import iso
from linker.deps import Deps
from linker.entrypoints import api
from linker.entrypoints.messages import to_continuation
from linker.services.run_requests import unification_events
from tests.core.runs.test_events import body, record
from tests.fakes.browser import Browser
from tests.fakes.client import Client, Starter
from tests.fakes.principal import headers
from tests.fakes.world import START, World

READS = [one for one in api.OPERATIONS if one.role is Role.VIEWER]
ACTS = [one for one in api.OPERATIONS if one.role is Role.OPERATOR and one.method != "GET"]
PREPARES = [api.get_first_link]  # a look for those who decide
ADMINISTERS = [one for one in api.OPERATIONS if one.role is Role.ADMIN]
RUN = "20261123T000000Z-00000000"


@pytest.fixture
def world() -> World:
    return World()


def signed_in(world: World, *roles: str) -> Client:
    """Return a user whom App Service Authentication lets through."""
    return Client(world, authenticated=True, headers=headers(*(("roles", role) for role in roles)))


async def ask(client: Client, wanted: api.Operation) -> api.Reply:
    return await client.ask(wanted, **dict.fromkeys(wanted.parameters, RUN))


async def audit(world: World) -> list[dict[str, object]]:
    """Return what the audit says, newest first."""
    return (await Client(world).ask(api.get_audit)).body["value"]  # type: ignore[no-any-return]


# ---- roles ----


def test_every_operation_that_changes_something_asks_for_more_than_a_look() -> None:
    assert {one.method for one in READS} == {"GET"}
    assert {one.name for one in api.OPERATIONS if one.method != "GET"} == {one.name for one in ACTS}


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        pytest.param("viewer", [*PREPARES, *ACTS, *ADMINISTERS], id="viewer"),
        pytest.param("operator", ADMINISTERS, id="operator"),
        pytest.param("admin", [], id="admin"),
        pytest.param("owner", list(api.OPERATIONS), id="none of ours"),
    ],
)
async def test_a_role_opens_what_is_for_it_and_nothing_else(
    world: World, role: str, refused: list[api.Operation]
) -> None:
    statuses = {one.name: (await ask(signed_in(world, role), one)).status for one in api.OPERATIONS}
    assert {name for name, status in statuses.items() if status == 403} == {one.name for one in refused}
    assert 401 not in statuses.values()


@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_no_visitor_gets_in_without_signing_in(world: World, one: api.Operation) -> None:
    reply = await ask(Client(world, authenticated=True), one)
    assert (reply.status, reply.media_type) == (401, "application/problem+json")
    assert not world.store.writes


async def test_a_forged_header_gives_no_more_and_no_less_than_the_key(world: World) -> None:
    forger = Client(world, headers=headers(("roles", "viewer")))
    assert (await forger.ask(api.post_run)).status == 202
    assert [entry["who"] for entry in await audit(world)] == ["holder of a function key"]


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param({}, 202, id="no browser"),
        pytest.param({"sec-fetch-site": "same-origin"}, 202, id="same origin"),
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="another site"),
        pytest.param({"sec-fetch-site": "same-site"}, 403, id="another app of the same site"),
        pytest.param({"origin": "https://evil.example", "host": "app"}, 403, id="another origin"),
    ],
)
async def test_a_page_of_another_site_can_ask_for_nothing_in_ones_name(
    world: World, says: dict[str, str], status: int
) -> None:
    client = signed_in(world, "operator")
    client.headers |= says
    assert (await client.ask(api.post_run)).status == status
    assert bool(client.start.started) is (status == 202)
    assert (await client.ask(api.get_runs)).status == (200 if status == 202 else 403)  # looks cost something, too


@pytest.mark.parametrize("origin", ["http://[", "https://a]b", "null", "", "http://", "\ud800", "x" * 10_000])
@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_an_origin_that_is_not_an_address_is_a_foreign_one(world: World, one: api.Operation, origin: str) -> None:
    client = signed_in(world, "admin")
    client.headers |= {"origin": origin, "host": "app"}
    assert (await ask(client, one)).status == 403
    assert not client.start.started


@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_no_answer_is_kept_or_taken_for_something_else(world: World, one: api.Operation) -> None:
    for client in (Client(world), Client(world, authenticated=True)):
        kept = (await ask(client, one)).headers
        assert (kept["Cache-Control"], kept["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert kept["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_who_is_refused_starts_nothing(world: World) -> None:
    viewer = signed_in(world, "viewer")
    assert (await viewer.ask(api.post_run)).status == 403
    assert not viewer.start.started
    assert not world.store.writes


@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_an_app_that_is_not_set_up_says_what_is_missing(world: World, one: api.Operation) -> None:
    def missing() -> Deps:
        raise ConfigurationError("The setting LINKER_STORAGE is missing.")

    client = Client(world)
    client.api = api.Api(missing)
    reply = await ask(client, one)
    assert (reply.status, reply.body["detail"]) == (503, "The setting LINKER_STORAGE is missing.")


# ---- audit ----


async def test_what_a_user_does_is_written_down_with_who_when_what_and_the_run(world: World) -> None:
    world.dataverse.table("lead")
    operator = signed_in(world, "operator")
    run = (await operator.ask(api.post_run, body={"mode": "full", "tables": ["lead"]})).body["id"]
    world.clock.pass_s(1)
    await operator.ask(api.post_cancel, run=run)
    canceled, started = await audit(world)
    assert started.pop("id") > canceled.pop("id")  # type: ignore[operator]  # ids are texts
    assert started == {
        "at": iso(START),
        "who": "ada@contoso.com",
        "whoId": "7c0f",
        "action": "post_run",
        "parameters": {},
        "asked": {"mode": "full", "dryRun": False, "tables": ["lead"], "allowUnlinking": []},
        "status": 202,
        "run": run,
    }
    assert (canceled["action"], canceled["parameters"], canceled["status"]) == ("post_cancel", {"run": run}, 202)


async def test_what_was_refused_is_written_down_with_its_status(world: World) -> None:
    await Client(world).ask(api.post_cancel, run=RUN)
    assert [(entry["action"], entry["status"]) for entry in await audit(world)] == [("post_cancel", 404)]


async def test_nothing_begins_that_cannot_be_written_down(world: World) -> None:
    def breaks(operation: str, partition: str, row: str) -> None:
        if operation == "replace" and partition == "env":
            raise TransientError("busy")

    world.store.hooks.append(breaks)
    client = Client(world)
    assert (await client.ask(api.post_run)).status == 503
    assert not client.start.started


async def test_an_action_whose_end_cannot_be_written_down_is_still_answered(world: World) -> None:
    client, writes = Client(world), []

    def breaks(operation: str, partition: str, row: str) -> None:
        if operation == "replace" and row.endswith("-id0"):
            writes.append(row)
            if len(writes) == 2:
                raise TransientError("busy")

    world.store.hooks.append(breaks)
    reply = await client.ask(api.post_run)
    assert (reply.status, len(client.start.started)) == (202, 1)
    assert [entry["status"] for entry in await audit(world)] == [None]


async def test_looking_does_not_count_as_an_action(world: World) -> None:
    client = Client(world)
    for one in READS:
        await ask(client, one)
    assert await audit(world) == []


def test_every_operation_that_is_more_than_a_look_is_audited() -> None:
    assert {one.name for one in api.OPERATIONS if one.audited} == {
        one.name for one in api.OPERATIONS if one.method != "GET"
    }


async def test_a_run_that_the_webhook_starts_names_its_caller(world: World) -> None:
    run = (await signed_in(world, "operator").ask(api.post_unification_event, body={"jobId": "job"})).body["id"]
    (entry,) = await audit(world)
    assert (entry["action"], entry["who"], entry["whoId"], entry["run"]) == (
        "post_unification_event",
        "ada@contoso.com",
        "7c0f",
        run,
    )


async def test_runs_that_events_start_and_sessions_of_the_page_are_written_down(world: World) -> None:
    start = Starter()
    await unification_events(world.deps, [body(record())], start)
    browser = Browser(world)
    await browser.sign_in()
    session, events = sorted(await audit(world), key=lambda entry: str(entry["action"]))
    assert (session["action"], session["who"]) == ("open_session", "holder of a function key")
    assert (events["action"], events["who"], events["asked"]) == (
        "unification_events",
        "event hub",
        {"jobs": ["job"]},
    )


async def test_the_audit_comes_page_by_page(world: World) -> None:
    client = Client(world)
    for _ in range(3):
        world.clock.pass_s(1)
        await client.ask(api.post_cancel, run=RUN)
    first = (await client.ask(api.get_audit, top=2)).body
    rest = (await client.ask(api.get_audit, top=2, continuation=first["continuation"])).body
    ids = [entry["id"] for entry in first["value"] + rest["value"]]
    assert (ids, len(ids), rest["continuation"]) == (sorted(ids), 3, None)


async def test_a_continuation_from_elsewhere_shows_nothing_of_elsewhere(world: World) -> None:
    await Client(world).ask(api.post_cancel, run=RUN)
    page = await Client(world).ask(api.get_audit, continuation=to_continuation("~"))
    assert json.loads(page.text) == {"value": [], "continuation": None}
