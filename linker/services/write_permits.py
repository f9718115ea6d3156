"""What is looked at before a table may be written: privileges, automations, approvals, a second writer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from linker.adapters.dataverse import Dataverse, lookup_column, metadata, users
from linker.adapters.dataverse.patient_reads import Unread, ask_optional
from linker.adapters.dataverse.registered_automations import automations
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.capabilities import Capabilities, TableKind, with_capabilities
from linker.core.errors import ConfigurationError, DataverseError, ThrottledError, TransientError
from linker.core.linking.mapping_scan import KeySpan
from linker.core.linking.shards import fold_customer, is_customer
from linker.core.model import WIRE, Target
from linker.core.names import MAPPING_SET, MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns
from linker.core.permissions import privileges
from linker.core.permissions.automations import Automation
from linker.core.permissions.privileges import Missing, Need, Right
from linker.core.permissions.write_permission import Permission, Refusal, SecondWriter, TableLook, permission
from linker.core.requirements.facts import DataverseTable, name_of
from linker.core.requirements.table_eligibility import JudgedTable
from linker.core.serialization import iso
from linker.core.throttling.pace import Pace
from linker.deps import Deps
from linker.services.service_account import AccountRights, missing_permissions, read_catalogue

LATELY_S = 30 * 86_400.0  # how far back a second writer is looked for
SURROUNDINGS_S = 86_400.0  # how long what surrounds a linked table is remembered
SAMPLED_CUSTOMERS = 40
VIRTUAL_ROWS = 1_000  # most that a query of a virtual table returns
COUNT_CAP = 5_000  # docs/reference/dataverse.md 5.3


@dataclass(frozen=True, slots=True)
class _Look:
    """What looking at several tables shares."""

    deps: Deps
    dataverse: Dataverse
    who: AccountRights
    columns: MappingColumns
    catalogue: privileges.Catalogue
    can: Capabilities
    there: Mapping[str, str]  # navigation of lookup columns by table, as far as they are known together
    lacking: tuple[Missing, ...] = ()  # permissions on secured columns
    remembers: bool = False  # what surrounds a linked table may have been read by an earlier run


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What surrounds a table and rarely changes, as it was read at a time (epoch s). The names are those of TableLook.

    Reading it takes about ten requests a table, so runs over tables that are linked already read it once a day.
    """

    __pydantic_config__ = WIRE
    at: float
    rows: int
    rows_a_request: int
    registered: tuple[Automation, ...] | None
    unread: str
    customers: int
    without_profile: int
    second_writer: SecondWriter | None
    blind_roles: tuple[str, ...]
    unseen: tuple[str, ...] = ()  # questions without an answer, in sentences


async def permissions(
    deps: Deps,
    dataverse: Dataverse,
    who: AccountRights,
    tables: Sequence[JudgedTable],
    columns: MappingColumns,
    can: Capabilities,
    *,
    remembers: bool = False,
) -> dict[str, Permission]:
    """Return for each table whether it may be written now. Writes nothing to Dataverse. `remembers` see _Look."""
    wanted = [need for judged in tables for need in privileges.of_table(judged.table.logical_name)]
    links = [need for judged in tables for need in privileges.of_links(judged.table.logical_name)]
    catalogue, there, lacking = await asyncio.gather(
        read_catalogue(deps, dataverse, [*wanted, Need(PROFILE_TABLE, Right.READ, "")]),
        ask_optional(dataverse, lookup_column.find_all),
        missing_permissions(deps, dataverse, links),
    )
    look = _Look(
        deps, dataverse, who, columns, catalogue, can, {} if isinstance(there, Unread) else there, lacking, remembers
    )
    found = await asyncio.gather(*(_permission(look, judged) for judged in tables))
    return {judged.table.logical_name: one for judged, one in zip(tables, found, strict=True)}


async def remember_held(deps: Deps, found: Mapping[str, Permission]) -> None:
    """Save what an approval would allow."""
    for one in found.values():
        if one.refusal is Refusal.HELD:
            await deps.first_links.hold(one.table, one.approvable, one.estimate, one.shown)


async def _permission(look: _Look, judged: JudgedTable) -> Permission:
    deps, settings, name = look.deps, look.deps.settings, judged.table.logical_name
    state, held = await deps.states.load(name), await deps.first_links.load(name)
    there, unfit = await _column(look, judged.table)
    unfit = unfit or await _unreadable(look, judged)
    linked = state[0].linked if state is not None else await deps.states.is_of_version_1(name)
    around = await _surroundings(look, judged, there=there, linked=linked)
    seen = TableLook(
        name,
        rows=around.rows,
        rows_a_request=around.rows_a_request,
        linked=linked,
        registered=around.registered,
        unread=around.unread,
        missing=_missing(look, name, creates=not there and not unfit),
        unfit=unfit,
        customers=around.customers,
        without_profile=around.without_profile,
        approval=held.approval if held else None,
        second_writer=around.second_writer,
        blind_roles=around.blind_roles,
        unseen=around.unseen,
    )
    hold, account = settings.first_link == "hold", look.who.account.name
    return permission(seen, policy=settings.automations, hold=hold, account=account)


async def _surroundings(look: _Look, judged: JudgedTable, *, there: bool, linked: bool) -> Surroundings:
    """Return what surrounds a table: read now, or by an earlier run of the last day where nothing depends on the minute.

    A first link waits for what is registered, and the policy `block` refuses a table for it, so both read it now.
    """
    documents, row = look.deps.documents, f"around-{judged.table.logical_name}"
    if look.remembers and linked and there and look.deps.settings.automations != "block":
        found = await documents.load(Surroundings, row)
        if found is not None and 0 <= look.deps.clock() - found[0].at < SURROUNDINGS_S:
            return found[0]
    around = await _read_surroundings(look, judged, there=there)
    if look.remembers:
        await documents.save(row, around)
    return around


async def _read_surroundings(look: _Look, judged: JudgedTable, *, there: bool) -> Surroundings:
    """Return what surrounds a table. Each question is optional: what has no answer is named in `unseen`."""
    name, unseen = judged.table.logical_name, dict[str, None]()
    target = with_capabilities(judged.target(look.columns.table), look.can)
    no_roles: tuple[str, ...] = ()

    async def known[T](what: str, ask: Callable[[Dataverse], Awaitable[T]], otherwise: T) -> T:
        found = await ask_optional(look.dataverse, ask)
        if not isinstance(found, Unread):
            return found
        if found.refusal is None or privileges.find_refused(found.refusal) is None:  # a privilege is reported elsewhere
            unseen[f"Not known for table '{name}': {what}. {found.reason}"] = None
        return otherwise

    async def second_writer(dataverse: Dataverse) -> SecondWriter | None:
        return await _second_writer(look, dataverse, judged.table) if there else None

    sampled, registered, rows, bulk, writer, blind = await asyncio.gather(
        known(
            "whose profiles are visible", lambda dataverse: sample_customers(dataverse, look.columns, target), (0, 0)
        ),
        find_registered(look.dataverse, name),
        known("how many rows a first link writes", lambda dataverse: _rows(look, dataverse, judged), 0),
        known("whether it takes bulk updates", lambda d: metadata.supports_update_multiple(d, name), False),
        known("who else writes its links", second_writer, None),
        known("whose roles cannot read profiles", lambda dataverse: _blind_roles(look, dataverse, name), no_roles),
    )
    return Surroundings(
        look.deps.clock(),
        rows=rows,
        rows_a_request=Pace().batch if bulk else 1,
        registered=registered[0],
        unread=registered[1],
        customers=sampled[0],
        without_profile=sampled[1],
        second_writer=writer,
        blind_roles=blind,
        unseen=tuple(unseen),
    )


async def _column(look: _Look, table: DataverseTable) -> tuple[bool, str]:
    """Return whether a table has the lookup column, and why it cannot have one: what preparing the table would find."""
    name = table.logical_name
    try:
        known = look.there.get(name)
        found = await lookup_column.find_or_plan(look.dataverse, table, look.deps.settings.solution, known)
    except ConfigurationError as error:
        return False, str(error)
    if found is None and await _profiles_closed(look.dataverse):
        return False, (
            f"Table '{PROFILE_TABLE}' takes no new relationships (CanBePrimaryEntityInRelationship is false), so table "
            f"'{name}' cannot get its lookup column. Nothing was written. Ask Microsoft support for Customer Insights - Data "
            "to allow relationships to that table."
        )
    return found is not None, ""


async def _profiles_closed(dataverse: Dataverse) -> bool:
    """Return whether the profile table takes no new relationships."""
    return any(not table.can_be_primary for table in await metadata.find_tables(dataverse, PROFILE_TABLE))


async def _unreadable(look: _Look, judged: JudgedTable) -> str:
    """Return why the mapping rows of a table cannot be read to their end. Only virtual tables limit the rows of a query: some
    refuse a larger one, and some leave out the rest without an error, which would look as if rows had left the mapping.
    """
    if look.can.mapping_kind is not TableKind.VIRTUAL:
        return ""
    target = with_capabilities(judged.target(look.columns.table), look.can)
    for facts in judged.sources:
        path = look.dataverse.stream_path(look.columns, target, facts.source, KeySpan())
        try:
            rows, more = await look.dataverse.mapping_page(look.columns, facts.source, path)
        except DataverseError as error:
            return f"{_UNREADABLE.format(name_of(facts.source))} Dataverse refused to read it: {error.text[:300]}"
        if len(rows) == VIRTUAL_ROWS and not more:
            return f"{_UNREADABLE.format(name_of(facts.source))} They end after {VIRTUAL_ROWS:,} rows, the limit of a query."
    return ""


_UNREADABLE = (
    f"Nothing was written. Table '{MAPPING_TABLE}' is virtual, and the rows of {{}} cannot be read completely. Set the output "
    "of Customer Insights - Data to Dataverse, which keeps the mapping in an elastic table."
)


async def sample_customers(dataverse: Dataverse, columns: MappingColumns, target: Target) -> tuple[int, int]:
    """Return how many customers of a table's mapping rows were sampled, and how many of these have no visible profile."""
    texts: dict[str, None] = {}
    for source in target.sources:
        path = MAPPING_SET + odata.query(
            select=columns.customer, filter=columns.of_source(source), top=SAMPLED_CUSTOMERS
        )
        rows = await dataverse.first(path, Fields)
        texts |= {str(row[columns.customer]): None for row in rows if is_customer(row.get(columns.customer))}
    found = await dataverse.profiles(texts, target)
    return len(texts), sum(1 for text in texts if not found.get(fold_customer(text)))


async def find_registered(dataverse: Dataverse, table: str) -> tuple[tuple[Automation, ...] | None, str]:
    """Return what is registered on updates of a table, or None and why it could not be read."""
    found = await ask_optional(dataverse, lambda alone: automations(alone, table))
    return (None, found.reason) if isinstance(found, Unread) else (found, "")


async def _rows(look: _Look, dataverse: Dataverse, judged: JudgedTable) -> int:
    """Return how many rows a first link writes at most: those mapped; where they cannot be counted, those of the table."""
    sources = [look.columns.of_source(facts.source) for facts in judged.sources]
    counts = [await _unless_refused(dataverse.count(MAPPING_SET, source)) for source in sources]
    known = [count for count in counts if count is not None]
    if len(known) == len(counts) and COUNT_CAP not in known:
        return sum(known)
    of_table = metadata.total_rows(dataverse, judged.table.logical_name)
    return max(sum(known), (await _unless_refused(of_table) or 0) if known else await of_table)


def _missing(look: _Look, table: str, *, creates: bool) -> tuple[Missing, ...]:
    needs = (*privileges.of_table(table), *(privileges.to_create_column() if creates else ()))
    columns = [one for one in look.lacking if one.table == table]
    return (*privileges.missing(needs, look.catalogue, look.who.held), *columns)


async def _second_writer(look: _Look, dataverse: Dataverse, table: DataverseTable) -> SecondWriter | None:
    vendor = await users.vendor_account(dataverse)
    if vendor is None:
        return None
    return await users.find_second_writer(dataverse, table, vendor, iso(look.deps.clock() - LATELY_S))


async def _blind_roles(look: _Look, dataverse: Dataverse, table: str) -> tuple[str, ...]:
    reads = look.catalogue.get((table, Right.READ))
    profiles = look.catalogue.get((PROFILE_TABLE, Right.READ))
    return await users.roles_that_miss(dataverse, reads, profiles) if reads and profiles else ()


async def _unless_refused[T](ask: Awaitable[T]) -> T | None:
    """Return an optional answer, None when Dataverse denies it or takes too long. It never fails the run.

    A missing privilege is reported elsewhere.
    """
    try:
        return await ask
    except ThrottledError:
        raise
    except (DataverseError, TransientError):
        return None
