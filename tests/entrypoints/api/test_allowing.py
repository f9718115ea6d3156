"""An operator lets one run clear what the guard holds back: who, which table, rows, and run (docs/dev/proofs.md G18)."""

from collections.abc import Callable

import pytest

from linker.core.model import Counts, Mode, Run, Status, TableRun, UnlinkAllowance
from linker.entrypoints import api
from tests.fakes.app import FakeApp
from tests.fakes.client import Client
from tests.fakes.world import World, contact_id

PEOPLE, LEFT = 20, 4
ALLOWED = (UnlinkAllowance("contact", LEFT),)


@pytest.fixture
def held(make_app: Callable[..., FakeApp]) -> FakeApp:
    """An app with twenty people linked, of whom a fifth have left the mapping."""
    app = make_app()
    app.world.people(PEOPLE)
    app.run()
    for number in range(1, LEFT + 1):
        app.world.dataverse.map(contact_id(number), None)
    return app


def contact(run: Run) -> TableRun:
    return run.tables[0]


def cleared(world: World) -> set[str]:
    return {row for row, customer in world.links().items() if customer is None}


def test_the_run_says_how_many_rows_were_held_back_and_what_to_do(held: FakeApp) -> None:
    run = held.run()
    assert (run.status, run.counts.deferred, contact(run).held_back) == (Status.WARNINGS, LEFT, LEFT)
    assert f"--allow-unlinking contact={LEFT}" in contact(run).detail
    assert cleared(held.world) == set()


def test_an_allowed_run_clears_exactly_the_departed_rows_and_the_next_one_is_guarded_again(held: FakeApp) -> None:
    run = held.run(unlink_allowed=ALLOWED)
    assert (run.status, run.counts.unlinked, contact(run).held_back) == (Status.SUCCESSFUL, LEFT, 0)
    assert run.unlink_allowed == ALLOWED
    departed = {contact_id(number) for number in range(1, LEFT + 1)}
    assert cleared(held.world) == departed
    for number in range(LEFT + 1, 2 * LEFT + 1):
        held.world.dataverse.map(contact_id(number), None)
    after = held.run()
    assert (after.counts.unlinked, contact(after).held_back, after.unlink_allowed) == (0, LEFT, ())
    assert cleared(held.world) == departed


def test_more_rows_than_allowed_by_then_keep_all_their_links(held: FakeApp) -> None:
    held.world.dataverse.map(contact_id(LEFT + 1), None)
    run = held.run(unlink_allowed=ALLOWED)
    assert (run.counts.unlinked, contact(run).held_back) == (0, LEFT + 1)
    assert "beyond what is allowed for this run" in contact(run).detail
    assert cleared(held.world) == set()


def seen_by(run: Run) -> str:
    """What a page or the command line says for the rows of this run."""
    return contact(run).held_rows


def test_an_allowance_covers_the_rows_that_were_counted(held: FakeApp) -> None:
    seen = seen_by(looked := held.run())
    assert f"--allow-unlinking contact={LEFT}@{seen}" in contact(looked).detail
    run = held.run(unlink_allowed=(UnlinkAllowance("contact", LEFT, seen=seen),))
    assert (run.status, run.counts.unlinked) == (Status.SUCCESSFUL, LEFT)


@pytest.mark.parametrize("back", [1, 2])
def test_other_rows_that_left_meanwhile_are_not_cleared_in_their_place(held: FakeApp, back: int) -> None:
    """As many rows, or fewer, but others than those that the operator saw."""
    seen = seen_by(held.run())
    for number in range(1, back + 1):
        held.world.dataverse.map(contact_id(number), f"c{number}")
    held.world.dataverse.map(contact_id(LEFT + 1), None)
    run = held.run(unlink_allowed=(UnlinkAllowance("contact", LEFT, seen=seen),))
    assert (run.counts.unlinked, cleared(held.world)) == (0, set())
    assert "other rows than those that were allowed" in contact(run).detail
    again = held.run(unlink_allowed=(UnlinkAllowance("contact", LEFT, seen=seen_by(run)),))
    assert again.counts.unlinked == LEFT + 1 - back


def test_the_same_rows_are_the_same_in_every_run(held: FakeApp) -> None:
    assert seen_by(held.run()) == seen_by(held.run(mode=Mode.VERIFY)) != ""


def test_an_allowance_for_another_table_lets_nothing_pass(held: FakeApp) -> None:
    assert held.run(unlink_allowed=(UnlinkAllowance("lead", PEOPLE),)).counts.unlinked == 0


def test_an_empty_mapping_is_cleared_only_when_that_is_said_too(held: FakeApp) -> None:
    for number in range(PEOPLE + 1):
        held.world.dataverse.map(contact_id(number), None)
    held.world.dataverse.map("900", "c1", table="loyalty", source="points")  # the mapping as a whole is there
    rows = held.run(unlink_allowed=(UnlinkAllowance("contact", PEOPLE),))
    assert (rows.counts.unlinked, cleared(held.world)) == (0, set())
    assert "--empty-mapping" in contact(rows).detail
    run = held.run(unlink_allowed=(UnlinkAllowance("contact", PEOPLE, empty_mapping=True),))
    assert (run.status, run.counts.unlinked) == (Status.SUCCESSFUL, PEOPLE)


def test_a_dry_run_with_an_allowance_counts_and_shows_what_would_be_cleared(held: FakeApp) -> None:
    run = held.run(dry_run=True, unlink_allowed=ALLOWED)
    assert run.counts.unlinked == LEFT
    found = held.do(Client(held.world).ask(api.get_samples, run=run.id)).body["value"]
    assert {change["change"] for change in found} == {"unlink"}
    assert cleared(held.world) == set()


# ---- asking for it ----


async def test_the_api_takes_an_allowance_shows_it_in_the_run_and_audits_it() -> None:
    client = Client(World())
    body = {"tables": ["contact"], "allowUnlinking": [{"table": "Contact", "mostRows": 4}]}
    reply = await client.ask(api.post_run, body=body)
    told = {"table": "contact", "mostRows": 4, "emptyMapping": False, "seen": "", "orphans": False}
    assert (reply.status, reply.body["unlinkAllowed"]) == (202, [told])
    assert client.start.started[0].request.unlink_allowed == ALLOWED
    (entry,) = (await client.ask(api.get_audit)).body["value"]
    assert (entry["run"], entry["asked"]["allowUnlinking"]) == (reply.body["id"], [told])


async def test_a_waiting_run_shows_what_is_allowed_for_it_by_now() -> None:
    client = Client(World())
    await client.ask(api.post_run)
    waiting = await client.ask(api.post_run)
    merged = await client.ask(api.post_run, body={"allowUnlinking": [{"table": "contact", "mostRows": 4}]})
    assert merged.body["id"] == waiting.body["id"]
    assert [one["mostRows"] for one in merged.body["unlinkAllowed"]] == [4]


@pytest.mark.parametrize(
    ("allowed", "tables", "place"),
    [
        pytest.param({"table": "contact"}, [], "mostRows", id="without a number"),
        pytest.param({"table": "contact", "mostRows": 0}, [], "mostRows", id="no rows"),
        pytest.param({"table": "contact", "mostRows": 1.5}, [], "mostRows", id="no whole number"),
        pytest.param({"table": "a b", "mostRows": 1}, [], "table", id="no table name"),
        pytest.param(
            {"table": "contact", "mostRows": 1}, ["lead"], "tables leaves out", id="a table that does not run"
        ),
    ],
)
async def test_an_allowance_that_is_wrong_starts_nothing(
    allowed: dict[str, object], tables: list[str], place: str
) -> None:
    client = Client(World())
    reply = await client.ask(api.post_run, body={"tables": tables, "allowUnlinking": [allowed]})
    assert (reply.status, place in reply.body["detail"]) == (400, True)
    assert not client.start.started


def test_nothing_is_held_back_where_nothing_left(make_app: Callable[..., FakeApp]) -> None:
    run = make_app().run()
    assert (run.counts, contact(run).held_back) == (Counts(3, linked=3), 0)
