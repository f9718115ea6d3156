"""An environment after a unification with measures: leads, one of them linked to its profile, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from linker.adapters.dataverse import lookup_column, metadata
from linker.adapters.dataverse.probing import read_tables
from linker.core.keys import row_key
from linker.core.model import Target
from sandbox.data.generator import Sizes, generate
from sandbox.data.measures import Measures, measures_of, with_measures
from sandbox.data.seed import store
from sandbox.identity.accounts import ADMIN
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.sandboxed import Sandboxed, sandboxed

TABLE = "lead"


@dataclass(frozen=True, slots=True)
class Measured:
    """`row` is linked to `profile`, `other` to nothing; both are guid texts."""

    sandboxed: Sandboxed
    target: Target
    row: str
    other: str
    profile: dict[str, Any]

    @property
    def key(self) -> bytes:
        """The key of the linked row."""
        found = row_key(self.row)
        assert found is not None
        return found

    @property
    def kind(self) -> str:
        """The kind of the profile table."""
        return str(self.sandboxed.environment.config.profile_table)

    @property
    def customer(self) -> str:
        """The CustomerId of the profile."""
        return str(self.profile["msdynci_customerid"])

    @property
    def measures(self) -> Measures:
        """What the sandbox measured for the customer."""
        return measures_of(self.customer)

    async def deny(self, privilege: str) -> None:
        """Take a privilege from the app's role."""
        body = {"PrivilegeId": privilege_id(privilege)}
        path = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.RemovePrivilegeRole"
        (await self.sandboxed.admin.post(path, json=body)).raise_for_status()

    async def link(self, row: str, profile: str | None) -> None:
        """Set the link of a row as a person would."""
        bind = {f"{self.target.navigation}@odata.bind": f"/msdynci_customerprofiles({profile})" if profile else None}
        answer = await self.sandboxed.admin.patch(f"{self.target.entity_set}({row})", json=bind)
        answer.raise_for_status()


@asynccontextmanager
async def measured(config: SandboxConfig | None = None, **settings: Any) -> AsyncIterator[Measured]:
    """Give such an environment with the switches of `config`, and the linker on it with some `settings`."""
    with sandboxed(config, **settings) as made:
        store(with_measures(generate(Sizes(contacts=0, leads=2))), made.environment.database)
        admin = made.dataverse_as(ADMIN)
        (table,) = await metadata.find_tables(admin, TABLE)
        await lookup_column.create(admin, table, None, (await read_tables(admin))[0])
        target = await lookup_column.find_linked_table(admin, TABLE)
        rows = (await admin.get(f"{target.entity_set}?$select={target.key}"))["value"]
        profile = (await admin.get("msdynci_customerprofiles?$top=1"))["value"][0]
        world = Measured(made, target, rows[0][target.key], rows[1][target.key], profile)
        await world.link(world.row, profile["msdynci_customerprofileid"])
        yield world
