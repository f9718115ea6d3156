"""Preflight and a whole run agree for every kind of table and every value of the sandbox's switches, each alone.

What preflight calls ready is linked, right and whole; what it refuses is skipped by the run for the same reason, and nothing
is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from linker.adapters.dataverse import http
from linker.core.model import Run, Status
from linker.core.names import LOOKUP_SCHEMA_NAME
from linker.core.permissions.preflight_report import Picture
from linker.deps import Deps
from linker.services.preflight_checks import look
from sandbox.server.app import Sandbox
from sandbox.switches.config import SandboxConfig
from sandbox.switches.registry import registry
from tests.fakes.app import FakeApp
from tests.fakes.world import Clock, World
from tests.requirements.made import Fed, Made, administrator, ids, running

KINDS = ("elastic", "standard", "virtual")
ELASTIC = {"profile_table": "elastic", "mapping_table": "elastic"}
VIRTUAL = {"profile_table": "virtual", "mapping_table": "virtual"}
DECLARED = ("R1", "R2", "R3", "R4", "R5", "R6")
# Switches about load, time and the sandbox's surroundings decide nothing that a preflight says.
OTHERS = [
    "ms_per",
    "limit_",
    "protection",
    "latency",
    "servers",
    "dop_hint",
    "time_scale",
    "customiz",
    "privileges",
    "token_life",
    "events_url",
    "metadata_lag",
    "strong_",
    "change_tracking",
    "expired_delta",
    "hydration",
    "profiles_vanish",
    "profile_ids",
    "second_writer",
    "profile_table",
    "mapping_table",
]


def switches() -> Iterator[tuple[str, object]]:
    """Yield each value of each switch about tables and optional services."""
    for name, entry in registry(SandboxConfig).items():
        if not name.startswith(tuple(OTHERS)):
            yield from ((name, value) for value in entry.values)


ROWS = 60
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    **{
        f"{profile} profiles, {mapping} mapping": (ROWS, {"profile_table": profile, "mapping_table": mapping})
        for profile, mapping in product(KINDS, KINDS)
    },
    **{f"elastic, {name}={value}": (ROWS, ELASTIC | {name: value}) for name, value in switches()},
    **{
        f"virtual, {name}={value}": (1_100, VIRTUAL | {name: value})
        for name, value in switches()
        if name.startswith("virtual_")
    },
    "virtual mapping at its limit": (1_000, VIRTUAL),
    "virtual mapping below its limit": (999, VIRTUAL),
    "elastic mapping beyond a response": (1_100, ELASTIC),
}


@dataclass(slots=True)
class Hosted:
    """What a FakeApp runs on."""

    deps: Deps
    clock: Clock


@pytest.mark.parametrize(("rows", "values"), CASES.values(), ids=CASES.keys())
def test_preflight_says_what_a_run_does(rows: int, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    agree("crm", rows, values, monkeypatch)


@pytest.mark.parametrize("ranges", ["allow", "400"])
@pytest.mark.parametrize("name", ["my_crm", "a[b]c", "100%", "o'neil & co", "crm|contact"])
def test_names_with_wildcards_need_no_ranges(name: str, ranges: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(name, 20, ELASTIC | {"elastic_ranges": ranges}, monkeypatch)


def agree(data_source: str, rows: int, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at an environment, run in it, and compare."""
    keys = ids("contact", rows)
    fed = (Fed(data_source, "contact", keys, "contactid"),)
    monkeypatch.setattr(http, "TABLE_WAIT_S", 0.05)  # how long a bare 429 of an elastic table is waited for
    made = Made(fed=fed, rows={"contact": keys}, switches=values, settings={"declared": DECLARED})
    with asyncio.Runner() as loop, running(made) as (deps, sandbox, world):
        picture = loop.run(look(deps))
        run = done(deps, world, monkeypatch, loop)
        links, wanted = loop.run(linked(sandbox))
    (shown,), (table,) = picture.tables, run.tables
    limited = values["mapping_table"] == "virtual" and rows >= 1_000 and values.get("virtual_limit") != "page"
    refused = limited or values.get("profile_relationships") == "refused"
    assert shown.outcome == ("refused" if refused else "ready"), told(picture, run)
    if shown.outcome == "ready":
        good = Status.WARNINGS if values.get("hidden_profiles") else Status.SUCCESSFUL
        assert (run.status, table.status) == (good, good), told(picture, run)
        assert links.items() <= wanted.items()
        assert len(links) == rows - table.counts.deferred
        assert (good is Status.WARNINGS) is bool(table.counts.deferred)
        assert ("have no profile that the app can see" in told(picture, run)) is bool(table.counts.deferred)
    else:
        assert (run.status, table.status, links) == (Status.SKIPPED, Status.SKIPPED, {}), told(picture, run)
        assert table.detail == shown.detail
        assert "Nothing was written" in shown.detail


def done(deps: Deps, world: World, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> Run:
    return FakeApp(Hosted(deps, world.clock), monkeypatch, loop).run()


def told(picture: Picture, run: Run) -> str:
    return f"{picture.severity}: {picture.warnings} {[t.detail for t in picture.tables]}; run: {run.status_detail}"


async def linked(sandbox: Sandbox) -> tuple[dict[str, str], dict[str, str]]:
    """Return the profile of each linked contact, and the one that the mapping means. A table without the column has none."""
    admin, value = administrator(sandbox), f"_{LOOKUP_SCHEMA_NAME}_value"
    answer = (await admin.get(f"contacts?$select=contactid,{value}")).json()
    links = {row["contactid"]: row[value] for row in answer.get("value", ()) if row[value]}
    profiles = await everything(admin, "msdynci_customerprofiles?$select=msdynci_customerid")
    by_customer = {row["msdynci_customerid"]: row["msdynci_customerprofileid"] for row in profiles}
    mapping = await everything(admin, "msdynci_alternatekeys?$select=msdynci_alternatevalue,msdynci_customerid")
    wanted = {row["msdynci_alternatevalue"]: by_customer.get(row["msdynci_customerid"]) for row in mapping}
    return links, {key: profile for key, profile in wanted.items() if profile}


async def everything(admin: Any, path: str) -> list[dict[str, Any]]:
    """Return all rows of a query that the server lets us read."""
    rows: list[dict[str, Any]] = []
    link: str | None = path
    while link:
        answer = await admin.get(link)
        if answer.status_code == 429:  # of the table itself
            continue
        body = answer.json()
        rows += body.get("value", [])
        link = body.get("@odata.nextLink")
    return rows
