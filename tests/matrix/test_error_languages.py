"""Codes decide: in another language, and without any words, a run ends as it does in English, for few more requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import httpx
import pytest

from linker.core.model import Counts, Status
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import bulk_delete, scan
from sandbox.database.collation import guid_key
from sandbox.database.security import revoke_privilege
from sandbox.faults.model import read_faults
from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.matrix.cases import BASE, config_of
from tests.matrix.place import TABLES, URL, Place, place
from tests.requirements.test_access import secured
from tests.sandbox.webapi.steps import add_step

BAD = 3


def contacts(here: Place, number: int) -> list[str]:
    return sorted(str(key) for (key,) in scan(here.database, "contact", ["contactid"]))[:number]


def nothing(here: Place) -> None:
    """Nothing is refused."""


def rows_deleted(here: Place) -> None:
    bulk_delete(here.database, "contact", contacts(here, BAD))


def plug_in(here: Place) -> None:
    configuration = json.dumps({"throws": "Not this one.", "rowIds": contacts(here, BAD)})
    token = here.sandbox.identity.authority.issue(ADMIN, URL, 600)["access_token"]
    api = httpx.AsyncClient(
        transport=httpx.ASGITransport(here.sandbox.app),
        base_url=f"{URL}{API_PATH}/",
        headers={"Authorization": f"Bearer {token}"},
    )
    here.app.do(add_step(api, configuration=configuration))


def without(privilege: str) -> Callable[[Place], None]:
    return lambda here: revoke_privilege(here.database, guid_key(LINKER_ROLE), guid_key(privilege_id(privilege)))


def struck(**fault: object) -> Callable[[Place], None]:
    def arm(here: Place) -> None:
        here.sandbox.faults.arm(read_faults(fault))

    return arm


def column_secured(here: Place) -> None:
    secured("contact", LOOKUP, "read")(here.sandbox.environment)


HURDLES: dict[str, Callable[[Place], None]] = {
    "nothing": nothing,
    "rows that were deleted": rows_deleted,
    "a plug-in that refuses rows": plug_in,
    "no privilege to write a table": without("prvWritenew_member"),
    "no privilege to read a table": without("prvReadnew_member"),
    "no privilege to read the mapping": without("prvReadmsdynci_alternatekey"),
    "no privilege to read who writes": without("prvReadUser"),
    "no privilege to read plug-ins": without("prvReadSdkMessageProcessingStep"),
    "a secured lookup": column_secured,
    "deadlocks": struck(kind="deadlock", times=3, operation="UpdateMultiple"),
    "SQL timeouts of large requests": struck(kind="sql_timeout", times=4, rows_above=4, operation="UpdateMultiple"),
    "unexpected errors": struck(kind="server_error", times=3, operation="UpdateMultiple"),
    "another customization": struck(kind="customization_lock", times=2, path="RelationshipDefinitions"),
    "a name that is taken": struck(kind="name_not_unique", times=1, path="RelationshipDefinitions"),
    "service protection": struck(kind="requests_limit", times=4, path="/api/data/"),
}


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended."""

    status: Status
    counts: Counts
    tables: tuple[tuple[str, Status], ...]
    codes: tuple[str, ...]
    links: tuple[str, ...]


@cache
def ended(hurdle: str, language: str) -> tuple[End, int]:
    """Play a first run, or a later one after a hurdle that needs links, and count its requests."""
    with place(config_of({**BASE, "error_language": language})) as here:
        HURDLES[hurdle](here)
        counted: list[str] = []

        async def remember(request: httpx.Request) -> None:
            counted.append(request.method)

        here.app.world.deps.connection.client.event_hooks["request"].append(remember)
        run = here.run()
        codes = here.app.do(_codes(here, run.id))
        tables = tuple((table.table, table.status) for table in run.tables)
        return End(run.status, run.counts, tables, codes, links_of(here)), len(counted)


def links_of(here: Place) -> tuple[str, ...]:
    """Return the links of all tables that have the column."""
    schema = here.database.schema
    linked = [(table, key) for table, key in TABLES.items() if LOOKUP in schema.tables[table].columns]
    return tuple(
        sorted(f"{row}: {link}" for table, key in linked for row, link in scan(here.database, table, [key, LOOKUP]))
    )


async def _codes(here: Place, run: str) -> tuple[str, ...]:
    return tuple(sorted([issue.code async for _, issue in here.app.world.deps.issues.of_run(run)]))


@pytest.mark.parametrize("language", ["de", "none"])
@pytest.mark.parametrize("hurdle", HURDLES)
def test_a_run_ends_as_in_english(hurdle: str, language: str) -> None:
    english, few = ended(hurdle, "en")
    end, requests = ended(hurdle, language)
    assert end == english
    assert requests <= 2 * few + 50


@pytest.mark.parametrize(
    ("hurdle", "codes"),
    [
        ("nothing", set()),
        ("rows that were deleted", {"RowNotFound"}),
        ("a plug-in that refuses rows", {"PluginRefused"}),
    ],
)
def test_the_hurdles_are_there(hurdle: str, codes: set[str]) -> None:
    end, _ = ended(hurdle, "en")
    assert set(end.codes) == codes
