"""Tables and their rows: what may be linked, and what is known of one row.

An operator decides about a table whose first link waits. A row has its last error, its link as it is now, and what it reaches
through the link.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from linker.adapters.dataverse.insight_reader import reach
from linker.adapters.dataverse.lookup_column import find_linked_table
from linker.adapters.dataverse.response_models import LiveLink
from linker.adapters.storage import FirstLink
from linker.core.errors import DataverseError, LinkerError
from linker.core.insight_paths import Reach
from linker.core.keys import key_text, row_key
from linker.core.linking.hash_blocks import Entry, hash_link, is_confirmed, names_link
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import shard_of
from linker.core.model import RowKey, Run, RunRequest
from linker.core.permissions.preflight_report import Picture
from linker.core.roles import Role
from linker.core.serialization import to_json
from linker.deps import INSIGHTS_COST, PREFLIGHT_COST, ROW_COST, ROW_KEPT_S, Deps
from linker.entrypoints.api.answers import Comparison, HeldLink, LookupNow, RowState
from linker.entrypoints.api.runs import STRICT, request_and_show
from linker.entrypoints.messages import ProblemError, Reply, not_found
from linker.entrypoints.operations import Call, operation
from linker.services.preflight_checks import hold, look


class ApproveBody(BaseModel):
    """What is approved: what `GET /api/tables/{table}/first-link` showed, by its digest."""

    model_config = STRICT
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="From GET /api/tables/{table}/first-link.")]


@operation("GET", "/tables/{table}/first-link", role=Role.OPERATOR, answer=HeldLink, refusals=(404,))
async def get_first_link(call: Call) -> Reply:
    """Show what the first link of a table fires, with the digest that an approval names."""
    held = await find_held_link(call.deps, call.parameters["table"])
    link = HeldLink(held.table, held.digest, held.waits, held.held_since, held.shown, held.estimate, held.approval)
    return Reply(200, to_json(link))


@operation(
    "POST",
    "/tables/{table}/approve",
    role=Role.OPERATOR,
    body=ApproveBody,
    answer=Run,
    status=202,
    refusals=(404,),
    audited=True,
    asks_for_run=True,
)
async def post_approve(call: Call[ApproveBody]) -> Reply:
    """Allow the first link of a table that was held because it fires automations. The answer is the run that will do it."""
    table = call.parameters["table"]
    if await call.deps.first_links.approve(table, call.caller.name, call.body.digest) is None:
        raise _nothing_waits()
    call.deps.looks.forget()
    return await request_and_show(call, RunRequest(trigger="approval"))


async def find_held_link(deps: Deps, table: str) -> FirstLink:
    """Return the first link of a table as it is held. Raises ProblemError 404 when it is not held.

    A preflight shows a table as held before any run remembers it, so one that is not known is looked at.
    """
    held = await deps.first_links.load(table)
    if held is None or not held.shown:  # an earlier version did not keep what is shown
        await deps.looks.once(f"hold {table}", PREFLIGHT_COST, deps.clock(), lambda: hold(deps, table))
        held = await deps.first_links.load(table)
    if held is None:
        raise _nothing_waits()
    return held


def _nothing_waits() -> ProblemError:
    return not_found("table of this name whose first link waits for an approval", "See GET /api/preflight.")


@operation("GET", "/preflight", answer=Picture)
async def get_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen. Looks at Dataverse, which takes some seconds, and writes nothing."""
    return Reply(200, to_json(await share_look(call.deps)))


async def share_look(deps: Deps) -> Picture:
    """Return the picture that a look of the last seconds gave, or that a new one gives."""
    return await deps.looks.once("preflight", PREFLIGHT_COST, deps.clock(), lambda: look(deps))


# ---- rows ----


@operation("GET", "/rows/{table}/{row}", answer=RowState, refusals=(404,))
async def get_row(call: Call) -> Reply:
    """Show one row: what was last confirmed and by which run, its last error, and its link read now."""
    return Reply(200, to_json(await row_state(call.deps, **call.parameters)))


async def row_state(deps: Deps, table: str, row: str) -> RowState:
    """Return what is known of a row, and its link read now. Raises ProblemError 404 when the table isn't linked."""
    key, state = await find_linked_row(deps, table, row)
    block = (await deps.blocks.load_or_split(table, shard_of(key, state.bits), state.earlier_bits)).block
    entries = block.entries.get(key)
    run = await deps.runs.load(block.header.run)
    now, detail = await _look(deps, table, key, entries)
    return RowState(
        table=table,
        row=key_text(key),
        known=entries is not None,
        confirmed=entries is not None and is_confirmed(entries),
        run=block.header.run or None,
        confirmed_at=run.ended_at or run.last_updated if run else None,
        now=now,
        now_detail=detail,
        comparison=compare_links(now),
        last_error=await deps.issues.last_of(table, key_text(key)),
    )


async def find_linked_row(deps: Deps, table: str, row: str) -> tuple[RowKey, TableState]:
    """Return the key of a row and the state of its table. Raises ProblemError 404 when the table is not a linked one."""
    key, found = row_key(row), await deps.states.load(table)
    if key is None or found is None:
        raise not_found("linked table of this name")
    return key, found[0]


async def _look(deps: Deps, table: str, key: RowKey, entries: tuple[Entry, ...] | None) -> tuple[LookupNow | None, str]:
    async def read() -> LookupNow:
        return await _now(deps, table, key, entries)

    try:
        return await deps.looks.once(f"row {table} {key.hex()}", ROW_COST, deps.clock(), read, kept_s=ROW_KEPT_S), ""
    except LinkerError as error:  # what is stored is worth an answer without it
        return None, str(error)


async def _now(deps: Deps, table: str, key: RowKey, entries: tuple[Entry, ...] | None) -> LookupNow:
    dataverse = deps.dataverse()
    target = await find_linked_table(dataverse, table)
    try:
        link = await dataverse.link(target, key)
    except DataverseError as error:
        if error.status != 404:
            raise
        return LookupNow(exists=False)
    profile = link.link.profile if link.link else None
    return LookupNow(True, profile, link.label, await _as_confirmed(deps, key, link, entries))


def compare_links(now: LookupNow | None) -> Comparison:
    """Return how a link that was read now stands to the one that was last confirmed."""
    if now is None or (now.exists and now.as_confirmed is None):
        return Comparison.UNKNOWN
    if not now.exists:
        return Comparison.GONE
    return Comparison.EQUAL if now.as_confirmed else Comparison.DIFFERS


async def _as_confirmed(deps: Deps, key: RowKey, live: LiveLink, entries: tuple[Entry, ...] | None) -> bool | None:
    if entries is None or not is_confirmed(entries):
        return None
    return live.link is not None and names_link(entries, hash_link(key, live.link, await deps.salt()))


@operation("GET", "/rows/{table}/{row}/insights", answer=Reach, refusals=(404,))
async def get_insights(call: Call) -> Reply:
    """Show what a row reaches through its link, read now: columns of its profile, measures, and rows of related tables."""
    return Reply(200, to_json(await row_reach(call.deps, **call.parameters)))


async def row_reach(deps: Deps, table: str, row: str) -> Reach:
    """Return what a row reaches now. Raises ProblemError 404 when the row doesn't exist, or the table isn't linked."""
    key, _ = await find_linked_row(deps, table, row)
    dataverse = deps.dataverse()

    async def read() -> Reach | None:
        return await reach(dataverse, await find_linked_table(dataverse, table), key)

    found = await deps.looks.once(f"insights {table} {key.hex()}", INSIGHTS_COST, deps.clock(), read, kept_s=ROW_KEPT_S)
    if found is None:
        raise not_found("row with this id in the table")
    return found
