"""Rows of the sandbox and what they reach."""

from typing import Any
from urllib.parse import unquote

from linker.adapters.dataverse import Dataverse
from linker.core.errors import DataverseError
from sandbox.data.generator import guid
from sandbox.switches.tables import TableKind
from tests.fakes.measured import Measured

KINDS: tuple[TableKind, ...] = ("elastic", "standard", "virtual")
RELATED = ("msdynci_segmentmembership", "msdynci_supportissue", "msdynci_unifiedactivity")


PROFILES = "msdynci_customerprofiles"


class Watched(Dataverse):
    """Remembers the addresses that are read; `refuse` answers one beginning of them with a status."""

    def __init__(self, world: Measured, refuse: str = "-", status: int = 404) -> None:
        super().__init__(world.sandboxed.deps.connection)
        self.paths: list[str] = []
        self.refuse, self.status = refuse, status

    async def get(self, path: str, **how: Any) -> Any:
        self.paths.append(unquote(path))
        if path.startswith(self.refuse):
            raise DataverseError(self.status, "0x80048d0b", f"refused for {path}")
        return await super().get(path, **how)


async def partitioned(world: Measured, partition: str, *, named: bool) -> str:
    """Put the linked row's profile into a partition of its own under a new id, and link the row to it, naming the partition
    or not; returns the id."""
    profile = guid(0, "partitioned", 0)
    body = {"msdynci_customerprofileid": profile, "partitionid": partition, "msdynci_customerid": world.customer}
    (await world.sandboxed.admin.post(PROFILES, json=body)).raise_for_status()
    doubled = partition.replace("'", "''")
    key = f"msdynci_customerprofileid={profile},partitionid='{doubled}'" if named else profile
    bind = {f"{world.target.navigation}@odata.bind": f"/{PROFILES}({key})"}
    (await world.sandboxed.admin.patch(f"leads({world.row})", json=bind)).raise_for_status()
    return profile
