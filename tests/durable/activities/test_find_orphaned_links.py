"""Links that nothing accounts for: which rows are found, what is marked, what an operator may let go, and what never goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.core.capabilities import TableKind
from linker.core.keys import digest_rows
from linker.core.model import Counts, Mode, Run, Status, UnlinkAllowance
from linker.core.runs.generation_values import Strays, StraysTask
from linker.durable.activities import find_orphaned_links as strays
from linker.durable.activities.find_orphaned_links import find_strays, guard_orphans
from linker.entrypoints import api
from linker.services.write_permits import SAMPLED_CUSTOMERS
from tests.fakes.app import FakeApp
from tests.fakes.client import Client
from tests.fakes.requests import Refusal, Request
from tests.fakes.world import World, contact_id, key_of

PEOPLE = 6
ORPHANS = (contact_id(11), contact_id(12))  # linked by others to a profile that is gone
STRAY = contact_id(13)  # linked by others to a profile that exists
DIGEST = digest_rows([key_of(11), key_of(12)])
SEEN = UnlinkAllowance("contact", 2, orphans=True, seen=DIGEST)


def link_by_others(world: World) -> None:
    """Add links that neither the mapping nor the app knows; two of them are orphaned."""
    for number, customer in ((11, "c0"), (12, "c00"), (13, "c1")):
        if customer not in world.dataverse.profiles.values():
            world.dataverse.profile(customer)
        world.dataverse.link_by_hand(world.contact(number), customer)
    world.dataverse.vanish("c0")
    world.dataverse.vanish("c00")


@pytest.fixture
async def world() -> World:
    """Six people who are linked, and three links of others."""
    world = World()
    world.people(PEOPLE)
    await world.link()
    link_by_others(world)
    return world


async def found_in(world: World, *allowed: UnlinkAllowance, dry_run: bool = False) -> Strays:
    return await find_strays(world.deps, StraysTask("run1", "contact", dry_run, allowed))


def cleared(world: World) -> set[str]:
    return {row for row, customer in world.links().items() if customer is None}


# ---- what is found ----


@pytest.mark.parametrize("kind", list(TableKind))
async def test_rows_that_nothing_accounts_for_are_counted_and_orphaned_ones_reported(
    world: World, kind: TableKind
) -> None:
    await world.can(kind=kind)
    assert await found_in(world) == Strays(rows=3, orphans=2, digest=DIGEST)
    assert {row: found.code for row, found in (await world.issues()).items()} == dict.fromkeys(ORPHANS, "OrphanedLink")
    assert cleared(world) == set()


@pytest.mark.parametrize(
    ("kind", "link", "marked"),
    [
        pytest.param(TableKind.ELASTIC, "gone", 1, id="elastic: the link stays, and is marked"),
        pytest.param(TableKind.VIRTUAL, "gone", 1, id="virtual: the link stays, and is marked"),
        pytest.param(TableKind.STANDARD, None, 0, id="standard: Dataverse empties the link"),
    ],
)
async def test_a_link_of_ours_to_a_deleted_profile(
    world: World, kind: TableKind, link: str | None, marked: int
) -> None:
    await world.can(kind=kind)
    (world.dataverse.delete_profile if kind is TableKind.STANDARD else world.dataverse.vanish)("c2")
    assert (await found_in(world)).orphans == 2
    unconfirmed = sum(header.unconfirmed for header in (await world.deps.blocks.headers("contact")).values())
    assert (world.links()[contact_id(2)], unconfirmed) == (link, marked)
    assert contact_id(2) not in await world.issues()


async def test_a_row_that_the_mapping_names_is_not_an_orphan_whichever_account_wrote_its_link(world: World) -> None:
    """Its profile may still arrive, or be visible to others only."""
    world.dataverse.map(ORPHANS[0], "c1")
    assert await found_in(world, UnlinkAllowance("contact", 9, orphans=True)) == Strays(rows=2, cleared=1)
    assert (world.links()[ORPHANS[0]], cleared(world)) == ("gone", {ORPHANS[1]})


@pytest.mark.parametrize(("held_at_once", "links_at_once"), [(2, 200), (200, 2), (3, 3)])
async def test_many_profiles_are_held_a_share_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, held_at_once: int, links_at_once: int
) -> None:
    monkeypatch.setattr(strays, "PROFILES_HELD", held_at_once)
    monkeypatch.setattr(strays, "LINKS_HELD", links_at_once)
    assert await found_in(world) == Strays(rows=3, orphans=2, digest=DIGEST)


# ---- the allowance ----


@pytest.mark.parametrize(
    ("allowed", "customers", "kept"),
    [
        pytest.param([SEEN], (40, 0), "", id="these rows"),
        pytest.param([UnlinkAllowance("contact", 2, orphans=True)], (40, 0), "", id="as many, whichever they are"),
        pytest.param([UnlinkAllowance("contact", 1, orphans=True)], (40, 0), "more than", id="more than allowed"),
        pytest.param([UnlinkAllowance("contact", 2, orphans=True, seen="0" * 16)], (40, 0), "other rows", id="others"),
        pytest.param([UnlinkAllowance("contact", 1), SEEN], (40, 0), "", id="one of two is enough"),
        pytest.param([SEEN], (40, 1), "no profile that the app can see", id="a profile is hidden, or not written yet"),
        pytest.param([SEEN], (0, 0), "", id="the mapping names no customer"),
    ],
)
def test_the_guard_of_orphaned_links(allowed: list[UnlinkAllowance], customers: tuple[int, int], kept: str) -> None:
    reason = guard_orphans(2, DIGEST, allowed, *customers)
    assert kept in reason
    assert bool(reason) is bool(kept)


@pytest.mark.parametrize("kind", list(TableKind))
async def test_an_allowed_run_clears_the_orphaned_links_and_no_other(world: World, kind: TableKind) -> None:
    await world.can(kind=kind)
    assert await found_in(world, SEEN) == Strays(rows=3, cleared=2)
    assert cleared(world) == set(ORPHANS)
    assert await world.issues() == {}


async def test_a_dry_run_lists_the_rows_and_writes_nothing(world: World) -> None:
    assert await found_in(world, SEEN, dry_run=True) == Strays(rows=3, cleared=2)
    assert set(await world.issues()) == set(ORPHANS)
    shown = [(change.row, change.change) async for change in world.deps.samples.of_run("run1", "contact")]
    assert shown == [(row, "unlink") for row in ORPHANS]
    assert cleared(world) == set()


async def test_other_rows_than_those_that_were_allowed_keep_their_links_and_say_why(world: World) -> None:
    world.dataverse.link_by_hand(STRAY, None)
    other = UnlinkAllowance("contact", 2, orphans=True, seen=digest_rows([key_of(11), key_of(13)]))
    found = await found_in(world, other)
    assert (found.cleared, found.kept) == (0, "they are other rows than those that were allowed")
    assert "they are other rows" in (await world.issues())[ORPHANS[0]].reason
    assert cleared(world) == {STRAY}


async def test_where_profiles_are_hidden_from_the_app_nothing_counts_as_orphaned(world: World) -> None:
    """Business units may hide profiles of customers that the mapping names; then those of others may be hidden as well."""
    world.dataverse.vanish("c2")
    found = await found_in(world, SEEN)
    assert (found.cleared, cleared(world)) == (0, set())
    assert "no profile that the app can see" in found.kept


CHANGES: dict[str, Callable[[World, str], object]] = {
    "its profile comes back": lambda world, row: world.dataverse.profile("c0", world.contacts.rows[row].link),
    "the mapping names it": lambda world, row: world.dataverse.map(row, "c1"),
    "another writer links it": lambda world, row: world.dataverse.link_by_hand(row, "c3"),
    "the row is deleted": lambda world, row: world.contacts.rows.pop(row),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changes_after_the_search_keeps_its_link(world: World, change: str) -> None:
    """The decision is made on a whole reading; each row is looked at again before it is written."""

    def meanwhile(asked: Request) -> None:
        if asked.options.get("$top") == f"{SAMPLED_CUSTOMERS}" and not done:  # after the search, before a write
            done.append(CHANGES[change](world, ORPHANS[0]))

    done: list[object] = []
    world.dataverse.hooks.append(meanwhile)
    found = await found_in(world, SEEN)
    assert (len(done), found.cleared, found.orphans) == (1, 1, 1)
    assert cleared(world) == {ORPHANS[1]}


async def test_a_row_that_changes_between_reading_and_clearing_keeps_its_link(world: World) -> None:
    def meanwhile(asked: Request) -> None:
        if asked.method == "PATCH" and asked.path.endswith(f"({ORPHANS[0]})"):
            world.contacts.rows[ORPHANS[0]].version += 1

    world.dataverse.hooks.append(meanwhile)
    found = await found_in(world, SEEN)
    assert (found.cleared, found.orphans, cleared(world)) == (1, 1, {ORPHANS[1]})
    assert set(await world.issues()) == {ORPHANS[0]}


async def test_a_refused_or_unstored_clearing_is_not_counted(world: World) -> None:
    world.dataverse.refuse[ORPHANS[0]] = Refusal(400, "0x80040265", "The plug-in said no.")
    world.dataverse.drop[ORPHANS[1]] = 1
    found = await found_in(world, SEEN)
    assert (found.cleared, found.orphans, cleared(world)) == (0, 2, set())


# ---- a run ----


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    app = make_app()
    app.world.people(PEOPLE)
    app.run()
    link_by_others(app.world)
    return app


def option_of(run: Run) -> str:
    return run.status_detail.partition("--clear-orphans ")[2].partition("'")[0]


def test_a_run_names_orphaned_links_and_the_option_that_clears_exactly_these(app: FakeApp) -> None:
    run = app.run(mode=Mode.VERIFY)
    assert (run.status, run.tables[0].orphans, run.tables[0].orphan_rows) == (Status.WARNINGS, 2, DIGEST)
    assert option_of(run) == f"contact=2@{DIGEST}"
    assert "left alone: 1." in run.status_detail


def test_an_allowed_run_counts_what_it_clears_and_the_next_one_finds_nothing(app: FakeApp) -> None:
    run = app.run(unlink_allowed=(SEEN,))
    assert (run.counts.unlinked, run.counts.rows_read, run.counts.outcomes) == (2, PEOPLE + 2, PEOPLE + 2)
    assert cleared(app.world) == set(ORPHANS)
    assert app.run(mode=Mode.VERIFY).tables[0].orphans == 0


def test_a_dry_run_counts_and_lists_what_an_allowed_run_would_clear(app: FakeApp) -> None:
    run = app.run(dry_run=True, unlink_allowed=(SEEN,))
    assert (run.counts.unlinked, cleared(app.world)) == (2, set())
    listed = app.do(Client(app.world).ask(api.get_errors, run=run.id)).body["value"]
    assert [(row["row"], row["code"]) for row in listed] == [(row, "OrphanedLink") for row in ORPHANS]


def test_an_allowance_for_removed_rows_clears_no_orphaned_link(app: FakeApp) -> None:
    run = app.run(mode=Mode.VERIFY, unlink_allowed=(UnlinkAllowance("contact", 9),))
    assert (run.counts.unlinked, cleared(app.world)) == (0, set())


def test_orphaned_links_do_not_make_delta_scans_whole(app: FakeApp) -> None:
    """No mapping row names them, so no scan of the mapping has anything to look up."""
    app.run(mode=Mode.VERIFY)
    assert app.do(app.world.deps.issues.open_rows("contact", 9)) == []


# ---- asking for it ----


async def test_the_api_takes_an_allowance_for_orphaned_links_and_audits_it() -> None:
    client = Client(World())
    body = {"allowUnlinking": [{"table": "contact", "mostRows": 2, "orphans": True, "seen": DIGEST}]}
    reply = await client.ask(api.post_run, body=body)
    assert (reply.status, reply.body["unlinkAllowed"][0]["orphans"]) == (202, True)
    assert client.start.started[0].request.unlink_allowed == (SEEN,)
    (entry,) = (await client.ask(api.get_audit)).body["value"]
    assert entry["asked"]["allowUnlinking"][0]["orphans"] is True


async def test_an_allowance_is_about_removed_rows_or_orphaned_links() -> None:
    client = Client(World())
    allowed = {"table": "contact", "mostRows": 2, "orphans": True, "emptyMapping": True}
    reply = await client.ask(api.post_run, body={"allowUnlinking": [allowed]})
    assert (reply.status, "emptyMapping" in reply.body["detail"]) == (400, True)
    assert not client.start.started


def test_nothing_is_said_where_every_link_is_accounted_for(make_app: Callable[..., FakeApp]) -> None:
    run = make_app().run(mode=Mode.VERIFY)
    assert (run.counts, run.tables[0].orphans, run.status) == (Counts(3, linked=3), 0, Status.SUCCESSFUL)
