"""What is looked at before a table may be written: who writes and what it may do, automations, approvals, a second writer."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from linker import privileges
from linker.activities.life import iso
from linker.automations import Automation
from linker.dataverse import Dataverse, column, identity, metadata
from linker.dataverse.automations import READ_TABLES, automations
from linker.dataverse.client import MAPPING_SET
from linker.dataverse.metadata import ServiceAccount
from linker.deps import Deps
from linker.errors import ConfigurationError, DataverseError, ThrottledError, TransientError
from linker.facts import DataverseTable
from linker.judgement import JudgedTable
from linker.model import PROFILE_TABLE, Pace
from linker.odata import MappingColumns
from linker.permission import Permission, Refusal, SecondWriter, TableLook, permission
from linker.privileges import Depth, Missing, Need, Right
from linker.settings import Settings

LATELY = timedelta(days=30)  # how far back a second writer is looked for
COUNT_CAP = 5_000  # dataverse.md 5.3


@dataclass(frozen=True, slots=True)
class Standing:
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
def naming(account: str) -> Iterator[None]:
    """Raise PrivilegeError instead of the DataverseError that names a missing privilege."""
    try:
        yield
    except DataverseError as error:
        if (missing := privileges.refused(error.text)) is None:
            raise
        raise PrivilegeError(missing, account) from error


async def standing(deps: Deps, dataverse: Dataverse) -> Standing:
    """Return who writes and what it lacks. A refusal that names a privilege is an answer as well."""
    unknown = ServiceAccount("", "of this app")
    try:
        with naming(unknown.name):
            return await _standing(deps, dataverse)
    except PrivilegeError as error:
        return Standing(unknown, {}, (error.missing,))


async def _standing(deps: Deps, dataverse: Dataverse) -> Standing:
    account = await metadata.service_account(dataverse)
    held = await identity.held(dataverse, account.id)
    if deps.settings.impersonate:
        own = Dataverse(replace(dataverse.connection, extra_headers={}), dataverse.meter)
        real = await metadata.service_account(own)
        held = privileges.shared(held, await identity.held(own, real.id))
        account = ServiceAccount(account.id, f"{account.name}, through {real.name}")
    needs = general_needs(deps.settings)
    catalogue = await identity.of_tables(dataverse, needs)
    return Standing(account, held, privileges.missing(needs, catalogue, held))


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


async def permissions(
    deps: Deps, dataverse: Dataverse, who: Standing, tables: Sequence[JudgedTable], columns: MappingColumns
) -> dict[str, Permission]:
    """Return for each table whether it may be written now, and remember those that are held."""
    vendor = await _unless_refused(identity.vendor_account(dataverse))
    found = [await _permission(deps, dataverse, who, table, columns, vendor) for table in tables]
    return {one.table: one for one in found}


async def remember_held(deps: Deps, found: Mapping[str, Permission]) -> None:
    """Save what an approval would allow."""
    for one in found.values():
        if one.refusal is Refusal.HELD:
            ids = tuple(automation.id for automation in one.automations)
            await deps.first_links.hold(one.table, ids, one.estimate)


async def _permission(
    deps: Deps,
    dataverse: Dataverse,
    who: Standing,
    judged: JudgedTable,
    columns: MappingColumns,
    vendor: ServiceAccount | None,
) -> Permission:
    table, plan = judged.table, await deps.plans.load(judged.table.logical_name)
    there = await _has_column(dataverse, table)
    bulk = await metadata.supports_update_multiple(dataverse, table.logical_name)
    registered, unread = await registered_on(dataverse, table.logical_name)
    held = await deps.first_links.load(table.logical_name)
    look = TableLook(
        table.logical_name,
        rows=await _rows(dataverse, judged, columns),
        rows_a_request=Pace().batch if bulk else 1,
        linked=plan is not None and plan[0].linked,
        registered=registered,
        unread=unread,
        missing=await _missing(dataverse, who, table, creates=not there),
        approval=held.approval if held else None,
        second_writer=await _second_writer(deps, dataverse, table, vendor) if there else None,
        blind_roles=await _unless_refused(_blind_roles(dataverse, table)) or (),
    )
    settings = deps.settings
    hold = settings.first_link == "hold"
    return permission(look, policy=settings.automations, hold=hold, account=who.account.name)


async def _has_column(dataverse: Dataverse, table: DataverseTable) -> bool:
    """Return whether the lookup's name is taken. By what is looked at, and refused, when the table is prepared."""
    try:
        return await column.find(dataverse, table.logical_name) is not None
    except ConfigurationError:
        return True


async def registered_on(dataverse: Dataverse, table: str) -> tuple[tuple[Automation, ...] | None, str]:
    """Return what is registered on updates of a table, or None and why it could not be read."""
    try:
        return await automations(dataverse, table), ""
    except DataverseError as error:
        return None, str(error)


async def _rows(dataverse: Dataverse, judged: JudgedTable, columns: MappingColumns) -> int:
    """Return how many rows a first link writes at most: those mapped; beyond what can be counted, those of the table."""
    counts = [await dataverse.count(MAPPING_SET, columns.of_source(facts.source)) for facts in judged.sources]
    if max(counts, default=0) < COUNT_CAP:
        return sum(counts)
    return max(COUNT_CAP, await metadata.total_rows(dataverse, judged.table.logical_name))


async def _missing(dataverse: Dataverse, who: Standing, table: DataverseTable, *, creates: bool) -> tuple[Missing, ...]:
    needs = (*privileges.of_table(table.logical_name), *(privileges.to_create_column() if creates else ()))
    return privileges.missing(needs, await identity.of_tables(dataverse, needs), who.held)


async def _second_writer(
    deps: Deps, dataverse: Dataverse, table: DataverseTable, vendor: ServiceAccount | None
) -> SecondWriter | None:
    if vendor is None:
        return None
    since = datetime.fromtimestamp(deps.clock(), UTC) - LATELY
    return await _unless_refused(identity.written_by(dataverse, table, vendor, iso(since.timestamp())))


async def _blind_roles(dataverse: Dataverse, table: DataverseTable) -> tuple[str, ...]:
    wanted = [Need(name, Right.READ, "") for name in (table.logical_name, PROFILE_TABLE)]
    found = await identity.of_tables(dataverse, wanted)
    reads, profiles = found.get((wanted[0].table, Right.READ)), found.get((PROFILE_TABLE, Right.READ))
    return await identity.roles_that_miss(dataverse, reads, profiles) if reads and profiles else ()


async def _unless_refused[T](ask: Awaitable[T]) -> T | None:
    """Return an answer that is worth having, None when Dataverse refuses it or takes too long: no run fails for want of it.

    A missing privilege is told elsewhere.
    """
    try:
        return await ask
    except ThrottledError:
        raise
    except (DataverseError, TransientError):
        return None
