"""The last phase: each profile that got a newly linked row is written once more, unchanged.

This is the second update of the described task. It is apart from the links: nothing here makes a run fail, and what was not
touched is said in the run's notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched, takewhile
from typing import NotRequired, TypedDict

from linker.adapters.dataverse import Dataverse, response_models
from linker.adapters.dataverse.web_api import Part
from linker.adapters.storage.table_states import SLICES
from linker.adapters.write_limiter import SHORT_WAIT_S
from linker.core import odata
from linker.core.capabilities import Capability, TableKind
from linker.core.errors import DataverseError, LinkerError, TableBusyError, TransientError
from linker.core.model import Progress, Run, Touches
from linker.core.names import CUSTOMER_COLUMN, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE
from linker.core.permissions import automations
from linker.core.runs.activity_values import Go
from linker.core.runs.generation_values import TouchOutcome, TouchPlan, TouchRef, TouchReport, TouchTask
from linker.core.runs.history import touching_progress
from linker.core.serialization import iso
from linker.deps import Deps
from linker.durable.boundary import go_of
from linker.durable.writes import PATCHES
from linker.services.write_permits import find_registered

PROFILES_A_PART = 1_000  # one or two writes: few profiles are touched at full width too
REQUESTS_A_MINUTE = 1_200  # 6,000 in five minutes (docs/reference/dataverse.md)
PROFILES_A_CALL = 10_000  # an activity stays short, so that cancelling and renewing stay quick


async def plan_touch(deps: Deps, ref: TouchRef) -> TouchPlan:
    """Look how many profiles wait, and whether they can be written at all."""
    waiting = await deps.waiting.rows(ref.run, dry_run=ref.dry_run)
    if not waiting:
        return TouchPlan()
    try:
        plan, fires = await _make_plan(deps, waiting)
    except TransientError:
        raise
    except LinkerError as error:
        return TouchPlan(left_out=str(error)[:400])
    if fires and plan.parts:
        note = f"Customer profiles are touched although that sets something in motion: {fires}."
        await deps.runs.advance(ref.run, lambda run: replace(run, notes=tuple(dict.fromkeys((*run.notes, note)))))
    if plan.parts:
        await deps.runs.advance(ref.run, lambda run: _touching(run, waiting))
    return plan


def _touching(run: Run, waiting: int) -> Run:
    """Return a run that begins to touch so many profiles."""
    progress = replace(run.progress or Progress(), profiles_total=waiting, eta_seconds=None)
    return replace(run, touches=run.touches or Touches(), progress=progress)


async def _make_plan(deps: Deps, waiting: int) -> tuple[TouchPlan, str]:
    """Return the plan and what a touch fires, in words."""
    dataverse = deps.dataverse()
    if (await deps.capabilities()).profile_kind is TableKind.VIRTUAL:
        return TouchPlan(left_out="the profile table is virtual, so its rows are kept outside Dataverse"), ""
    if waiting > deps.settings.touch_max_profiles:
        return TouchPlan(left_out=_too_many(waiting, deps.settings.touch_max_profiles)), ""
    fires = await _fires(deps, dataverse)
    if fires and deps.settings.automations == "block":
        return TouchPlan(left_out=f"{fires} (LINKER_AUTOMATIONS=block)"), fires
    return TouchPlan(parts_for(waiting)), fires


def _too_many(waiting: int, most: int) -> str:
    """Return what a touch of so many profiles would cost: each is a request of its own, since it carries a version."""
    minutes = waiting / REQUESTS_A_MINUTE
    return (
        f"{waiting:,} wait, more than {most:,} (LINKER_TOUCH_MAX_PROFILES). Each takes a request of its own, about "
        f"{minutes:,.0f} minutes in all within the limits of Dataverse"
    )


async def _fires(deps: Deps, dataverse: Dataverse) -> str:
    """Return what a touch fires for each profile in spite of the policy, empty when nothing."""
    registered, unread = await find_registered(dataverse, PROFILE_TABLE)
    if registered is None:
        return f"which automations a touch fires could not be read: {unread}"
    found = automations.find_fired(registered, CUSTOMER_COLUMN)
    if deps.settings.automations == "bypass":
        found = automations.not_bypassed(found)
    named = ", ".join(f"{each.kind} '{each.name}'" for each in found[: automations.MAX_NAMED])
    return (
        f"{automations.count_noun(len(found), 'automation')} on updates of profiles, such as {named}" if found else ""
    )


def parts_for(waiting: int) -> int:
    """Return the fewest parts that keep a part within PROFILES_A_PART profiles: a power of two, as SLICES is."""
    parts = 1
    while parts < SLICES and waiting > parts * PROFILES_A_PART:
        parts *= 2
    return parts


async def touch_profiles(deps: Deps, task: TouchTask) -> TouchOutcome:
    """Touch the next profiles of a part. What keeps it from its work comes back with what is done. Safe to repeat."""
    dataverse = deps.dataverse()
    deps.limiter.adopt(task.pace)
    outcome = TouchOutcome(after=task.after)
    try:
        part = await deps.waiting.part(task.run, task.part, task.parts, dry_run=task.dry_run)
        waiting = [profile for profile in part if profile > task.after]
        if task.dry_run:
            return TouchOutcome(Touches(profiles=len(waiting)))
        for some in batched(waiting[:PROFILES_A_CALL], PATCHES):
            outcome = await _touch(deps, dataverse, some, outcome)
            if outcome.later_s:
                break
        if len(waiting) <= PROFILES_A_CALL and not outcome.later_s:
            outcome = replace(outcome, after=None)
    except TransientError as error:
        outcome = replace(outcome, later_s=error.wait_s, later_reason=str(error)[:300])
    except LinkerError as error:
        outcome = replace(outcome, after=None, left_out=str(error)[:400])
    return replace(outcome, load=deps.load(dataverse, throttled=bool(outcome.later_s)))


async def _touch(deps: Deps, dataverse: Dataverse, ids: Sequence[str], before: TouchOutcome) -> TouchOutcome:
    """Touch some profiles. What interrupts it comes back with those before the first one that has no answer yet: what is
    repeated is touched again.
    """
    can = await deps.capabilities()
    options = {"has_in": can.has(Capability.IN_FILTER), "has_partitions": can.has(Capability.PARTITION_COLUMN)}
    found = await read_profiles(dataverse, ids, **options)
    left, refused = write_parts_of(dataverse, found), dict[str, DataverseError]()
    later: TransientError | None = None
    try:
        await write_again(dataverse, left, refused)
    except TransientError as error:
        later = error
    done = list(takewhile(lambda profile: profile not in left, ids))
    if later is not None and not done:
        raise later
    errors = [refused[profile] for profile in done if profile in refused and refused[profile].status != CONFLICT]
    there, gone = sum(1 for profile in done if profile in found), sum(1 for error in errors if error.status == 404)
    touches = Touches(len(done), there - len(errors), len(done) - there + gone, len(errors) - gone)
    refusal = next((str(error)[:300] for error in errors if error.status != 404), before.refusal)
    outcome = replace(before, touches=before.touches + touches, after=done[-1], refusal=refusal)
    return replace(outcome, later_s=later.wait_s, later_reason=str(later)[:300]) if later else outcome


async def report_touch(deps: Deps, news: TouchReport) -> Go:
    """Show how far the touch is, keep the lock, and return whether to continue. At its end, forget what waited."""
    if news.over and not news.again:
        # A run that lost its lock may get here late. Only what was noted while it held the lock is its own to forget, so the
        # notes are listed first: a successor begins after the look at the lock, and its notes are not among them.
        notes = await deps.waiting.notes(dry_run=news.dry_run)
        if not (await deps.lock.renew(news.run)).held:
            return Go(held=False)
        await deps.waiting.forget(notes, dry_run=news.dry_run)
    now = deps.clock()

    def change(run: Run) -> Run:
        began = run.steps.get("touch", iso(now))
        touches = max(news.touches, run.touches or Touches(), key=lambda each: each.profiles)  # news may come late
        progress = touching_progress(run.progress or Progress(), touches, began, now, news.paused_s)
        detail = "" if news.over else f"Touching customer profiles: {news.touches.profiles:,} so far."
        notes = tuple(dict.fromkeys((*run.notes, *_notes(news))))
        return replace(run, touches=touches, progress=progress, status_detail=detail, notes=notes)

    await deps.runs.advance(news.run, change)
    return go_of(deps, await deps.lock.renew(news.run))


def _notes(news: TouchReport) -> list[str]:
    if not news.over:
        return []
    next_time = "The next run touches them." if news.again else "Links are not concerned."
    which = "The other customer" if news.touches.touched else "Customer"
    left_out = f"{which} profiles were not touched: {news.left_out.rstrip('.')}. {next_time}"
    refused = f"Customer profiles that could not be touched: {news.touches.refused:,}. {news.refusal}"
    return [text for true, text in ((news.left_out, left_out), (news.touches.refused, refused)) if true]


# ---- writing a profile once more ----

TRIES = 6  # of writes in a row of which a busy table takes none
CONFLICT = 412  # the profile has another version than the one that was read

_Row = TypedDict("_Row", {"msdynci_customerid": str, "partitionid": NotRequired[str | None], "@odata.etag": str})


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says of itself. `customer` is exactly as stored, because it is written back."""

    customer: str
    etag: str
    partition: str = ""


async def read_profiles(
    dataverse: Dataverse, ids: Sequence[str], *, has_in: bool, has_partitions: bool
) -> dict[str, Profile]:
    """Return the profiles that exist, by id."""
    select = f"{CUSTOMER_COLUMN},partitionid" if has_partitions else CUSTOMER_COLUMN
    queries = [
        PROFILE_SET + odata.query(select=select, filter=expression)
        for expression in odata.any_guid(PROFILE_KEY, ids, has_in=has_in)
    ]
    rows = [row for answer in await dataverse.read_all(queries) for row in answer]
    return {response_models.guid_in(row, PROFILE_KEY): _profile(row) for row in rows}


def _profile(row: response_models.Fields) -> Profile:
    found, profile = response_models.check_model(_Row, row), response_models.guid_in(row, PROFILE_KEY)
    partition = response_models.normalize_partition(profile, found.get("partitionid"))
    return Profile(found["msdynci_customerid"], found["@odata.etag"], partition)


def write_parts_of(dataverse: Dataverse, profiles: Mapping[str, Profile]) -> dict[str, Part]:
    """Return the writes that give each profile its own CustomerId again, in the order of their ids.

    Each write holds only for the version that was read (If-Match). So a value that Customer Insights wrote meanwhile is never
    set back, and no profile is created. A bulk message cannot carry versions, which is why there is none here. A conflict
    means that another writer has just updated the profile, which is what the touch is for.
    """
    return {
        profile: dataverse.patch(
            PROFILE_SET, _profile_key(profile, known), {CUSTOMER_COLUMN: known.customer}, known.etag
        )
        for profile, known in sorted(profiles.items())
    }


async def write_again(dataverse: Dataverse, parts: dict[str, Part], refused: dict[str, DataverseError]) -> None:
    """Send writes of profiles; those that were refused one by one join `refused`, and `parts` are what has no answer yet.

    A busy table is waited for in place as long as it writes some of them for each pause. Raises TransientError for a pause
    that is longer, or brings nothing.
    """
    tries = 0
    while parts:
        left = len(parts)
        try:
            async with dataverse.connection.limiter.lane(left):
                await dataverse.write_parts(parts, refused)
        except TableBusyError as error:
            tries = tries + 1 if len(parts) == left else 0
            if tries == TRIES or error.wait_s > SHORT_WAIT_S:
                raise
            await dataverse.connection.limiter.rest(error.wait_s)


def _profile_key(profile: str, known: Profile) -> str:
    """Return what stands in parentheses in the address of a profile."""
    address = odata.address(PROFILE_SET, PROFILE_KEY, profile, known.partition)
    return address.removeprefix(f"/{PROFILE_SET}(").removesuffix(")")
