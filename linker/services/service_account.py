"""The account that writes: which privileges it has, which it lacks, and the setup that gives it what it needs.

Setup prepares a Dataverse environment for the app: its application user, a least-privilege role, and the one in the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypedDict

from linker.adapters.dataverse import Dataverse, insight_reader, metadata, users
from linker.adapters.dataverse.metadata import ServiceAccount, send_json
from linker.adapters.dataverse.registered_automations import READ_TABLES
from linker.adapters.dataverse.response_models import Fields, guid_in, odd, read
from linker.adapters.dataverse.users import column_rights, find_secured_columns
from linker.core import odata
from linker.core.errors import ConfigurationError, DataverseError
from linker.core.insight_paths import MEASURE_TABLE
from linker.core.permissions import privileges
from linker.core.permissions.privileges import Depth, Missing, Need, Privilege, Right
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


async def missing_permissions(
    deps: Deps, dataverse: Dataverse, needs: Sequence[privileges.ColumnNeed]
) -> tuple[Missing, ...]:
    """Return the permissions on secured columns that the account lacks. Permissions are asked for only where a needed column is
    secured. Where they cannot be read, they count as not held: a link that reads as null must not be taken for an empty one.
    """
    secured = await find_secured_columns(dataverse, (need.table for need in needs))
    if not privileges.concerns(needs, secured):
        return ()
    try:
        rights = await _column_rights(deps, dataverse)
    except DataverseError as error:
        unknown = f"not known, since Dataverse answered {error.status}"
        return tuple(replace(one, level=unknown) for one in privileges.missing_on_columns(needs, secured, {}))
    return privileges.missing_on_columns(needs, secured, rights)


async def _column_rights(deps: Deps, dataverse: Dataverse) -> privileges.ColumnRights:
    """Return what the account may do with secured columns: what both users may do where it acts for another one."""
    acting = await column_rights(dataverse, await deps.user(dataverse))
    if not deps.settings.impersonate:
        return acting
    own = Dataverse(replace(dataverse.connection, extra_headers={}), dataverse.meter)
    real = await column_rights(own, await own.user())
    return {column: acting[column] & real[column] for column in acting.keys() & real.keys()}


# ---- setup ----

ROLE = "Customer Profile Linker"
_GLOBAL = "3"  # the number of Depth.GLOBAL (docs/reference/dataverse.md 10)


class _User(TypedDict):
    isdisabled: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """An environment as it is: ids of what is there, what the role lacks and holds, and what is needed and `unknown` there."""

    client_id: str
    role_name: str
    business_unit: str = ""
    user: str = ""
    disabled: bool = False
    role: str = ""
    lacking: tuple[Privilege, ...] = ()
    held: tuple[Privilege, ...] = ()
    assigned: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """What is left to do, in the order of doing it."""
        names = ", ".join(sorted(privilege.name for privilege in self.lacking))
        left = (
            (not self.user, f"create the application user of client id {self.client_id}"),
            (self.disabled, "enable the application user, which is disabled"),
            (not self.role, f"create the role '{self.role_name}'"),
            (bool(self.lacking), f"give the role '{self.role_name}' these privileges at level organization: {names}"),
            (not self.assigned, f"assign the role '{self.role_name}' to the user"),
        )
        return tuple(text for wanted, text in left if wanted)


def setup_needs(settings: Settings, tables: Sequence[str]) -> tuple[Need, ...]:
    """Return everything that the app may need with these settings to link some tables."""
    of_tables = [need for table in tables for need in privileges.of_table(table)]
    return (*general_needs(settings), *of_tables, *privileges.to_create_column())


async def needs_of_measures(dataverse: Dataverse) -> tuple[Need, ...]:
    """Return what showing the measures of a row needs: no run asks for it (docs/insights.md)."""
    related = [table.name for table in await insight_reader.find_related_tables(dataverse)]
    return tuple(Need(table, Right.READ, "show measures") for table in (MEASURE_TABLE, *related))


async def plan_setup(dataverse: Dataverse, client_id: str, role_name: str, wanted: Sequence[Need]) -> Setup:
    """Return how much of the set-up is there. Writes nothing."""
    catalogue = {**await users.of_tables(dataverse, wanted), **await users.of_no_table(dataverse, wanted)}
    found = {catalogue[need.table, need.right] for need in wanted if (need.table, need.right) in catalogue}
    known = {table for table, _ in catalogue}
    unknown = {
        f"what privileges.concerns table '{need.table}'" if need.table else need.right
        for need in wanted
        if need.table not in known or not (need.table or ("", need.right) in catalogue)
    }
    empty = Setup(client_id, role_name, lacking=_sort_privileges(found), unknown=tuple(sorted(unknown)))
    return await _with_role(dataverse, await _with_user(dataverse, empty))


async def _with_user(dataverse: Dataverse, setup: Setup) -> Setup:
    """A role serves users of its own business unit, so both are looked for in the same one."""
    select, expression = "isdisabled,_businessunitid_value", f"applicationid eq {setup.client_id}"
    user = await _first(dataverse, "systemusers", select, expression)
    if user is None:
        return replace(setup, business_unit=guid_in(await dataverse.one("WhoAmI", Fields), "BusinessUnitId"))
    unit, disabled = guid_in(user, "_businessunitid_value"), read(_User, user)["isdisabled"]
    return replace(setup, user=guid_in(user, "systemuserid"), disabled=disabled, business_unit=unit)


async def _with_role(dataverse: Dataverse, setup: Setup) -> Setup:
    named = f"name eq {odata.literal(setup.role_name)} and _businessunitid_value eq {setup.business_unit}"
    role = await _first(dataverse, "roles", "name", named)
    if role is None:
        return setup
    role_id = guid_in(role, "roleid")
    depths = await users.role_depths(dataverse, role_id)
    held = {privilege for privilege in setup.lacking if depths.get(privilege.id) is Depth.GLOBAL}
    assigned = bool(setup.user) and await _is_assigned(dataverse, setup.user, role_id)
    lacking = _sort_privileges({*setup.lacking} - held)
    return replace(setup, role=role_id, lacking=lacking, held=_sort_privileges(held), assigned=assigned)


async def apply_setup(dataverse: Dataverse, setup: Setup) -> Setup:
    """Do what is left to do and return the environment as it is then."""
    unit = {"businessunitid@odata.bind": f"/businessunits({setup.business_unit})"}
    if not setup.user:
        body = {"applicationid": setup.client_id, **unit}
        setup = replace(setup, user=await _create(dataverse, "systemusers", body))
    if setup.disabled:
        await _switch(dataverse, setup.user, disabled=False)
    if not setup.role:
        setup = replace(setup, role=await _create(dataverse, "roles", {"name": setup.role_name, **unit}))
    if setup.lacking:
        added = [{"PrivilegeId": privilege.id, "Depth": _GLOBAL} for privilege in setup.lacking]
        path = f"roles({setup.role})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
        await send_json(dataverse, "POST", path, {"Privileges": added})
    if not setup.assigned:
        role = {"@odata.id": dataverse.connection.address(f"roles({setup.role})")}
        await send_json(dataverse, "POST", f"systemusers({setup.user})/systemuserroles_association/$ref", role)
    held = _sort_privileges({*setup.held, *setup.lacking})
    return replace(setup, disabled=False, lacking=(), held=held, assigned=True)


def undo_steps(setup: Setup) -> tuple[str, ...]:
    """Return what `undo` does."""
    left = (
        (setup.assigned, f"take the role '{setup.role_name}' from the user"),
        (bool(setup.role), f"delete the role '{setup.role_name}'"),
        (bool(setup.user) and not setup.disabled, f"disable the application user of client id {setup.client_id}"),
    )
    return tuple(text for wanted, text in left if wanted)


async def undo_setup(dataverse: Dataverse, setup: Setup) -> Setup:
    """Take the role from the user, delete the role and disable the user, as far as they are there."""
    if setup.assigned:
        path = f"systemusers({setup.user})/systemuserroles_association({setup.role})/$ref"
        await send_json(dataverse, "DELETE", path)
    if setup.role:
        await send_json(dataverse, "DELETE", f"roles({setup.role})")
    if setup.user and not setup.disabled:
        await _switch(dataverse, setup.user, disabled=True)
    lacking = _sort_privileges({*setup.lacking, *setup.held})
    return replace(setup, disabled=bool(setup.user), role="", assigned=False, lacking=lacking, held=())


async def _first(dataverse: Dataverse, entity_set: str, select: str, expression: str) -> Fields | None:
    rows = await dataverse.first(entity_set + odata.query(select=select, filter=expression, top=1), Fields)
    return rows[0] if rows else None


async def _is_assigned(dataverse: Dataverse, user: str, role: str) -> bool:
    path = f"systemusers({user})/systemuserroles_association" + odata.query(select="name", filter=f"roleid eq {role}")
    return bool(await dataverse.first(path, Fields))


async def _create(dataverse: Dataverse, entity_set: str, body: dict[str, str]) -> str:
    """Return the id of a new row."""
    answer = await send_json(dataverse, "POST", entity_set, body)
    address = str(answer.headers.get("OData-EntityId", ""))
    if not address.endswith(")"):
        raise odd("a created row has no address")
    return guid_in({"id": address.rpartition("(")[2].rstrip(")")}, "id")


async def _switch(dataverse: Dataverse, user: str, *, disabled: bool) -> None:
    await send_json(dataverse, "PATCH", f"systemusers({user})", {"isdisabled": disabled})


def _sort_privileges(found: set[Privilege]) -> tuple[Privilege, ...]:
    return tuple(sorted(found, key=lambda privilege: privilege.name))
