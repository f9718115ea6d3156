"""Preflight and run agree: what preflight calls ready is linked, and what cannot be linked is refused for the same reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from linker.core.capabilities import Capability
from linker.core.model import Mode, Run, Status, TableRun
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.runs.activity_values import RunRef
from linker.durable.activities.discover_tables import survey
from linker.entrypoints.cli.preflight import render_picture
from linker.services import preflight_checks
from tests.fakes.world import World, contact_id


@dataclass(frozen=True, slots=True)
class Case:
    """What is wrong with the world, and what both say about table contact."""

    change: Callable[[World], object]
    outcome: str
    status: Status
    words: str = ""
    severity: Severity = Severity.BLOCKED


def closed(world: World, *, column: bool) -> None:
    world.dataverse.profile_table.primary = False
    world.contacts.column = column


def unlinkable(world: World) -> None:
    world.contacts.creatable = world.contacts.column = False


def elsewhere(world: World) -> None:
    world.contacts.points_to = "account"


def hidden(world: World) -> None:
    """A business unit hides one of three profiles."""
    world.dataverse.profiles = dict(list(world.dataverse.profiles.items())[1:])


def spelled(world: World) -> None:
    """Profiles have the same CustomerIds in capitals: visible anyway."""
    world.dataverse.profiles = {key: customer.upper() for key, customer in world.dataverse.profiles.items()}


READY, REFUSED = Severity.READY, "refused"
CASES = {
    "nothing is wrong": Case(lambda world: None, "ready", Status.QUEUED, severity=READY),
    "profile table takes no relationship, column missing": Case(
        lambda world: closed(world, column=False), REFUSED, Status.SKIPPED, "CanBePrimaryEntityInRelationship is false"
    ),
    "profile table takes no relationship, column there": Case(
        lambda world: closed(world, column=True), "ready", Status.QUEUED, severity=READY
    ),
    "table takes no column": Case(unlinkable, REFUSED, Status.SKIPPED, "CanCreateAttributes is false"),
    "table takes no column and has one": Case(
        lambda world: setattr(world.contacts, "creatable", False), "ready", Status.QUEUED, severity=READY
    ),
    "elastic source table": Case(
        lambda world: setattr(world.contacts, "table_type", "Elastic"), REFUSED, Status.SKIPPED, "is elastic"
    ),
    "virtual source table": Case(
        lambda world: setattr(world.contacts, "table_type", "Virtual"), REFUSED, Status.SKIPPED, "is virtual"
    ),
    "column points elsewhere": Case(elsewhere, REFUSED, Status.SKIPPED, "points to 'account'"),
    "a hidden profile": Case(
        hidden,
        "ready",
        Status.QUEUED,
        "Of 3 sampled customers of table 'contact', 1 have no profile",
        Severity.WARNINGS,
    ),
    "profiles in other letter case": Case(spelled, "ready", Status.QUEUED, severity=READY),
}


@pytest.fixture
def world() -> World:
    """Three contacts of different customers."""
    world = World(declared=("R1", "R2", "R3", "R4", "R5", "R6"))
    world.people(3)
    return world


async def looked(world: World) -> Picture:
    before = list(world.store.writes)
    picture = await preflight_checks.look(world.deps)
    assert world.store.writes == before, "a preflight writes nothing"
    return picture


async def surveyed(world: World, *, dry_run: bool = False) -> tuple[Run, TableRun]:
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.REFRESHING, dry_run=dry_run))
    await survey(world.deps, RunRef("run1"))
    run = await world.deps.runs.load("run1")
    assert run is not None
    (table,) = run.tables
    return run, table


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_preflight_says_what_the_run_does(world: World, case: Case) -> None:
    case.change(world)
    picture = await looked(world)
    run, table = await surveyed(world)
    (seen,) = picture.tables
    assert (seen.outcome, picture.severity, table.status) == (case.outcome, case.severity, case.status)
    for said in ((seen.detail, *picture.warnings), (table.detail, *run.warnings)):
        assert case.words in " ".join(said)
    assert len(picture.warnings) == len(set(picture.warnings))
    assert not world.dataverse.written


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.status is Status.SKIPPED])
async def test_a_dry_run_skips_what_a_run_skips(world: World, case: Case) -> None:
    case.change(world)
    _, table = await surveyed(world, dry_run=True)
    assert table.status is Status.SKIPPED
    assert case.words in table.detail


async def test_preflight_shows_kinds_and_every_capability_and_the_run_keeps_them(world: World) -> None:
    picture = await looked(world)
    assert picture.capabilities is not None
    assert [one.capability for one in picture.capabilities.findings] == list(Capability)
    assert all(one.evidence and one.cost and one.probed_at for one in picture.capabilities.findings)
    await surveyed(world)
    assert await world.deps.capability_store.load() == picture.capabilities


async def test_the_command_line_shows_kinds_and_every_capability(world: World) -> None:
    picture = await looked(world)
    assert picture.capabilities is not None
    console = Console(width=400, record=True, file=StringIO())
    console.print(render_picture(picture))
    text = console.export_text()
    assert (
        f"profile table {picture.capabilities.profile_kind}, mapping table {picture.capabilities.mapping_kind}" in text
    )
    for one in picture.capabilities.findings:
        assert one.name in text
        assert one.evidence in text
        assert (one.cost in text) is not one.available


async def test_a_customer_without_profile_does_not_stop_a_run(world: World) -> None:
    world.dataverse.map(contact_id(9), "c9")
    world.contact(9)
    _, table = await surveyed(world)
    assert table.status is Status.QUEUED
