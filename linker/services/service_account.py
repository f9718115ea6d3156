"""The account that writes: which privileges it has, and which of those that are needed it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from linker.adapters.dataverse import Dataverse, metadata, users
from linker.adapters.dataverse.metadata import ServiceAccount
from linker.adapters.dataverse.registered_automations import READ_TABLES
from linker.adapters.dataverse.users import column_rights, find_secured_columns
from linker.core.errors import ConfigurationError, DataverseError
from linker.core.permissions import privileges
from linker.core.permissions.privileges import (
    ColumnNeed,
    ColumnRights,
    Depth,
    Missing,
    Need,
    concerns,
    missing_on_columns,
)
from linker.deps import Deps
from linker.settings import Settings


@dataclass(frozen=True, slots=True)
class AccountRights:
    """Who writes, and what it may do. `missing` is what every run needs and the account lacks."""

    account: ServiceAccount
    held: Mapping[str, Depth]
    missing: tuple[Missing, ...]

    @property
    def obstacle(self) -> str:
        """Why no run can begin, empty when one can."""
        vital = [missing for missing in self.missing if missing.vital]
        return f"Nothing was written. {privileges.complaint(vital, self.account.name)}" if vital else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stays undone or unseen in every run."""
        rest = [missing for missing in self.missing if not missing.vital]
        return (f"Something is left out. {privileges.complaint(rest, self.account.name)}",) if rest else ()


class PrivilegeError(ConfigurationError):
    """Dataverse refused a request for the lack of a privilege that it names."""

    def __init__(self, missing: Missing, account: str) -> None:
        super().__init__(f"Nothing was written. {privileges.complaint([missing], account)}")
        self.missing = missing


@contextmanager
def naming_privileges(account: str) -> Iterator[None]:
    """Raise PrivilegeError instead of the DataverseError that names a missing privilege."""
    try:
        yield
    except DataverseError as error:
        if (missing := privileges.find_refused(error)) is None:
            raise
        raise PrivilegeError(missing, account) from error


async def read_account_rights(deps: Deps, dataverse: Dataverse) -> AccountRights:
    """Return who writes and what it lacks. A refusal that names a privilege is an answer as well."""
    unknown = ServiceAccount("", "of this app")
    try:
        with naming_privileges(unknown.name):
            return await _read_rights(deps, dataverse)
    except PrivilegeError as error:
        return AccountRights(unknown, {}, (error.missing,))


async def _read_rights(deps: Deps, dataverse: Dataverse) -> AccountRights:
    user, needs = await deps.user(dataverse), general_needs(deps.settings)
    account, held, catalogue, columns = await asyncio.gather(
        metadata.service_account(dataverse, user),
        users.read_privileges(dataverse, user),
        read_catalogue(deps, dataverse, needs),
        missing_permissions(deps, dataverse, privileges.of_every_run(touches=deps.settings.touch_profiles)),
    )
    if deps.settings.impersonate:
        own = Dataverse(replace(dataverse.connection, extra_headers={}), dataverse.meter)
        real = await metadata.service_account(own, await own.user())
        held = privileges.share_privileges(held, await users.read_privileges(own, real.id))
        account = ServiceAccount(account.id, f"{account.name}, through {real.name}")
    return AccountRights(account, held, (*privileges.missing(needs, catalogue, held), *columns))


async def read_catalogue(deps: Deps, dataverse: Dataverse, needs: Sequence[Need]) -> privileges.Catalogue:
    """Return the privileges of the tables that some needs name. What a privilege is called never changes, so each table is
    asked for once.
    """
    known = deps.cache.privileges
    tables = {table for table, _ in known}
    known |= await users.of_tables(dataverse, [need for need in needs if need.table not in tables])
    return known


def general_needs(settings: Settings) -> tuple[Need, ...]:
    """Return what every run needs with these settings, whatever the tables."""
    return (
        *privileges.always(scanned=READ_TABLES, touches=settings.touch_profiles),
        *privileges.of_settings(
            bypass=settings.automations == "bypass",
            impersonate=settings.impersonate is not None,
            solution=settings.solution is not None,
        ),
    )


async def missing_permissions(deps: Deps, dataverse: Dataverse, needs: Sequence[ColumnNeed]) -> tuple[Missing, ...]:
    """Return the permissions on secured columns that the account lacks. Permissions are asked for only where a needed column is
    secured. Where they cannot be read, they count as not held: a link that reads as null must not be taken for an empty one.
    """
    secured = await find_secured_columns(dataverse, (need.table for need in needs))
    if not concerns(needs, secured):
        return ()
    try:
        rights = await _column_rights(deps, dataverse)
    except DataverseError as error:
        unknown = f"not known, since Dataverse answered {error.status}"
        return tuple(replace(one, level=unknown) for one in missing_on_columns(needs, secured, {}))
    return missing_on_columns(needs, secured, rights)


async def _column_rights(deps: Deps, dataverse: Dataverse) -> ColumnRights:
    """Return what the account may do with secured columns: what both users may do where it acts for another one."""
    acting = await column_rights(dataverse, await deps.user(dataverse))
    if not deps.settings.impersonate:
        return acting
    own = Dataverse(replace(dataverse.connection, extra_headers={}), dataverse.meter)
    real = await column_rights(own, await own.user())
    return {column: acting[column] & real[column] for column in acting.keys() & real.keys()}
