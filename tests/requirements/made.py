"""Environments as values: what Dataverse holds, what the mapping names, what Customer Insights reports, what is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx

from linker.adapters.customer_insights import Insights
from linker.adapters.dataverse import Connection
from linker.deps import Deps
from sandbox.data.generator import guid, mapping_row
from sandbox.data.seed import Dataset, TableData
from sandbox.database import Database
from sandbox.database.documents import Documents
from sandbox.identity.accounts import ADMIN, LINKER, ApplicationUser
from sandbox.identity.tokens import kept_key, pem_of
from sandbox.runtime import Environment
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.server.app import API_PATH, INSIGHTS_PATH, Sandbox, compose
from sandbox.server.control_api import merge_patch
from sandbox.switches.config import SandboxConfig
from tests.fakes.requests import URL
from tests.fakes.world import World

INSTANCE = "0c5a7c0e-5f5e-4a5b-8f0e-1d2c3b4a5968"
type Change = Callable[[Environment], None]


def ids(table: str, number: int = 30, seed: int = 1) -> tuple[str, ...]:
    """Return the ids of rows of a table; another seed gives rows of another environment."""
    return tuple(guid(seed, table, row) for row in range(number))


CONTACTS, LEADS, MEMBERS = ids("contact"), ids("lead"), ids("new_member")
FOREIGN = ids("contact", seed=2)
CARDS = tuple(f"card-{number}" for number in range(5))
EMAILS = tuple(f"person{number}@contoso.com" for number in range(5))


@dataclass(frozen=True, slots=True)
class Fed:
    """One source in the mapping."""

    data_source: str
    table: str
    keys: tuple[str, ...]
    chosen: str | None = None  # primary key chosen in unification, as the API reports it


CRM_CONTACTS = Fed("crm", "contact", CONTACTS, "contactid")
CRM_LEADS = Fed("crm", "lead", LEADS, "leadid")
LOYALTY = Fed("files", "loyalty", CARDS, "LoyaltyID")


def nothing(environment: Environment) -> None:
    """Leave an environment as it is."""


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that meets every requirement, as far as nothing else is said.

    `instance` is merged into what the API reports of the instance; `before` and `after` change Dataverse around the loading.
    """

    fed: tuple[Fed, ...] = (CRM_CONTACTS, CRM_LEADS, LOYALTY)
    kinds: Mapping[str, str] = field(default_factory=lambda: {"crm": "attachCds", "files": "powerQuery"})
    instance: Mapping[str, Any] = field(default_factory=dict)
    insights: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    profiles: bool = True
    before: Change = nothing
    after: Change = nothing
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"contact": CONTACTS, "lead": LEADS})

    def but(self, **values: Any) -> Made:
        """Return the same environment with something else."""
        return replace(self, **values)


@contextmanager
def running(made: Made) -> Iterator[tuple[Deps, Sandbox, World]]:
    """Serve an environment in this process and give the linker that is set up for it, with an empty storage."""
    config = SandboxConfig(**made.switches)
    database = Database(config=config)
    environment = Environment(database, config, URL)
    Documents(database).put("identity", {"key": _key(), "header": "header"})
    sandbox = compose(environment)
    made.before(environment)
    sandbox.load(_dataset(made))
    made.after(environment)
    world = World(**made.settings)
    try:
        yield _linker(made, sandbox, world), sandbox, world
    finally:
        database.close()


def administrator(sandbox: Sandbox) -> httpx.AsyncClient:
    """Return a client for the Web API as a user who may do everything."""
    token = sandbox.identity.authority.issue(ADMIN, URL, 600)["access_token"]
    transport, headers = httpx.ASGITransport(sandbox.app), {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url=f"{URL}{API_PATH}/", headers=headers)


def _linker(made: Made, sandbox: Sandbox, world: World) -> Deps:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app))
    tokens = _Tokens(sandbox, LINKER)
    insights = Insights(URL + INSIGHTS_PATH, INSTANCE, client, tokens) if made.insights else None
    return replace(world.deps, connection=Connection(URL, client, tokens), insights=insights)


@cache
def _key() -> str:
    """Make the key that signs tokens once; a new one for each environment would take most of the time."""
    return pem_of(kept_key(None))


class _Tokens:
    def __init__(self, sandbox: Sandbox, user: ApplicationUser) -> None:
        self._token = sandbox.identity.authority.issue(user, URL, 600)["access_token"]

    async def token(self) -> str:
        return self._token

    def forget(self) -> None:
        """There is always another one."""


def _dataset(made: Made) -> Dataset:
    mapping = [
        mapping_row(fed.data_source, fed.table, key, f"c{number}")
        for fed in made.fed
        for number, key in enumerate(fed.keys)
    ]
    numbers = range(max((len(fed.keys) for fed in made.fed), default=0)) if made.profiles else ()
    profiles = [
        {"msdynci_customerprofileid": guid(1, "profile", number), "msdynci_customerid": f"c{number}"}
        for number in numbers
    ]
    sources = [_table(name, [{f"{name}id": key} for key in keys]) for name, keys in made.rows.items()]
    return Dataset(
        tables=(*sources, _table(PROFILES, profiles), _table(MAPPING, mapping)),
        instance=merge_patch(_INSTANCE, made.instance),
        datasources=[_data_source(name, kind, made.fed) for name, kind in made.kinds.items()],
    )


_INSTANCE: dict[str, Any] = {
    "instanceId": INSTANCE,
    "name": "Contoso",
    "isB2B": False,
    "isB2C": True,
    "isCdsMdlOrCdsByodl": True,
    "cdsOrgInfo": {"url": URL},
    "cdsMdlInfo": {"privateWorkSpace": {}},
}


def _table(name: str, rows: list[dict[str, Any]]) -> TableData:
    return TableData(name, lambda: rows)


def _data_source(name: str, kind: str, fed: tuple[Fed, ...]) -> dict[str, Any]:
    own = [source for source in fed if source.data_source == name]
    return {
        "dataSourceMetadata": {
            "kind": kind,
            "name": name,
            "entityNames": [source.table for source in own],
            "entityInformation": [{"entityName": s.table, "primaryKey": s.chosen} for s in own if s.chosen],
        }
    }
