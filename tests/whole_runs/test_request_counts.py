"""How many requests a run asks of Dataverse: every other client of the environment shares the same limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import httpx
import pytest

from linker.core.model import Counts, Mode, Run, Status
from sandbox.data.generator import Sizes
from sandbox.switches.config import SandboxConfig
from sandbox.switches.tables import TableKind
from tests.matrix.place import Place, place

QUIET_DELTA = 25  # design goal for a run that finds nothing to do, whatever the number of rows
PAGE = 500  # rows of a response of an elastic table
API = "/api/data/v9.2/"
WITHOUT_TOLD_APART = "$orderby=versionnumber desc"  # asked only where one second has more changes than are read


@contextmanager
def linked(contacts: int, leads: int, kind: TableKind = "elastic") -> Iterator[tuple[Place, list[str]]]:
    """Give an environment whose tables are linked and at rest, and the requests to Dataverse from then on."""
    asked: list[str] = []

    async def remember(request: httpx.Request) -> None:
        address = unquote(str(request.url)).partition(API)[2]
        if address:
            asked.append(re.sub(r"'[^']*'|[0-9a-f-]{36}", "x", f"{request.method} {address}"))

    config = SandboxConfig(profile_table=kind, mapping_table=kind)
    with place(config, Sizes(contacts=contacts, leads=leads, members=0)) as made:
        made.app.world.deps.connection.client.event_hooks["request"].append(remember)
        made.unify()
        assert made.run().status is Status.SUCCESSFUL
        made.clock.pass_s(600)
        made.run()  # what is read once a day is known then
        made.clock.pass_s(600)
        asked.clear()
        yield made, asked


def nothing_happened(run: Run, rows: int) -> bool:
    return run.counts == Counts(rows_read=rows, unchanged=rows) and run.status is Status.SUCCESSFUL


def kinds(asked: list[str]) -> list[str]:
    """Return what was asked for, without options."""
    return [one.partition("?")[0].partition("(")[0] for one in asked]


def test_a_quiet_delta_run_over_two_tables_asks_these_questions_and_no_others() -> None:
    with linked(contacts=60, leads=40) as (made, asked):
        assert nothing_happened(made.run(), 100)
    of_a_table = ["GET EntityDefinitions", "POST $batch"]  # its column; a sample of its links
    assert kinds([one for one in asked if WITHOUT_TOLD_APART not in one]) == [
        "POST $batch",  # newest changes of profiles and mapping
        "POST $batch",  # the account and what it may do
        "POST $batch",  # columns of the mapping; whether there are profiles
        *["GET msdynci_alternatekeys"] * 3,  # each source, and that no other exists
        "POST $batch",  # definitions of the tables
        "POST $batch",  # keys of each source
        "POST $batch",  # rows with these keys
        "POST $batch",  # kinds of the profile and the mapping table
        "GET EntityDefinitions",  # lookup columns of all tables
        "GET EntityDefinitions",  # which columns of the tables are secured
        "GET EntityDefinitions",  # columns of the profile table
        *of_a_table,
        "GET contacts",  # rows whose link is empty
        "GET msdynci_customerprofiles",  # new profiles, for both tables
        *of_a_table,
        "GET leads",
        *["GET msdynci_alternatekeys"] * 2,  # changed mapping rows
        "POST $batch",  # newest changes again
    ]
    assert len(asked) <= QUIET_DELTA


@pytest.mark.parametrize("kind", ["elastic", "standard"])
def test_a_quiet_delta_run_stays_within_its_goal_on_tables_that_show_changes(kind: TableKind) -> None:
    with linked(contacts=60, leads=40, kind=kind) as (made, asked):
        assert made.run().status is Status.SUCCESSFUL
    assert len(asked) <= QUIET_DELTA


def test_a_full_scan_asks_for_pages_and_little_else() -> None:
    rows = 6 * PAGE
    with linked(contacts=rows, leads=0) as (made, asked):
        made.run()
        quiet = len(asked)
        asked.clear()
        run = made.run(mode=Mode.FULL)
    assert (run.counts.unchanged, run.counts.linked) == (rows, 0)
    pages = [one for one in asked if "$skiptoken" in one or "$select=msdynci_alternatevalue,msdynci_customerid" in one]
    assert len(pages) <= rows / PAGE * 1.05 + 1
    assert len(asked) - len(pages) <= quiet + rows / PAGE + 10  # and the live links, which a full run compares


def test_requests_grow_with_the_change_and_not_with_the_table() -> None:
    counts = []
    for contacts in (200, 2_000):
        with linked(contacts=contacts, leads=0) as (made, asked):
            made.unify(move=20 / contacts)
            asked.clear()
            made.run()
            counts.append(len(asked))
    assert counts[1] <= counts[0] + 10
