"""W4 and W5: what one unification changes while it runs, and which events its writes raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from linker.core import odata
from linker.core.names import MAPPING_SET, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE
from tests.live.check import Unanswered
from tests.live.probes.binding import WritingProbe
from tests.live.probes.points import Point, Result
from tests.live.probes.scene import LOOKUP, MAPPING_KEY, Linked, Row, Scene
from tests.live.probes.wire import Answer, Maker
from tests.live.site import Site

MINUTE_S = 60.0
LOOK_S = 10.0  # between two looks for events
_NO_WATCH = "Give --watch MINUTES and start a unification when the call says so."

SETTLING = Point("settling", "7.4", "How long do mapping and profiles change during one unification?")
_WRITES = {"all": "all", "some": "changed", "none": "changed"}
PROFILES_REWRITTEN = Point(
    "rewritten-profiles", "5", "Which profiles get a new modifiedon by one unification?", "hydration_writes", _WRITES
)
MAPPING_REWRITTEN = Point(
    "rewritten-mapping-rows",
    "5",
    "Which mapping rows get a new modifiedon by one unification?",
    "hydration_writes",
    _WRITES,
)
JOB = Point("job-of-the-unification", "7.2", "Does a new job row show while the unification runs?")
JOB_FIRST = Point(
    "job-before-hydration",
    "7.2",
    "Does the job of the unification end before profiles and mapping stop changing?",
    "job_ends_first",
    {"yes": "true", "no": "false"},
)
LINKS_WRITTEN = Point("links-of-the-vendor", "8", "Are linked rows written during the unification?")


@dataclass(frozen=True, slots=True)
class Moment:
    """What one look at the environment saw: the newest change of each table, and its newest job."""

    mapping: str
    profile: str
    job: str  # when it began
    ended: str = ""  # when it ended, "" while it runs

    @property
    def changes(self) -> tuple[str, str]:
        """The newest change of each table."""
        return self.mapping, self.profile


async def watch_unification(make: Maker, scene: Scene, site: Site) -> Sequence[Result]:
    if not site.watch_minutes:
        raise Unanswered(_NO_WATCH)
    before = await _stamps(make, scene)
    moments = [await _look(make)]
    for _ in range(site.watch_minutes):
        await site.pause(MINUTE_S)
        moments.append(await _look(make))
    after = await _stamps(make, scene)
    if len({moment.changes for moment in moments}) == 1:
        raise Unanswered(f"Neither table changed within {site.watch_minutes} minutes: no unification wrote.")
    return (
        SETTLING.settle(describe_settling(moments)),
        PROFILES_REWRITTEN.settle(describe_rewritten(before["profile"], after["profile"])),
        MAPPING_REWRITTEN.settle(describe_rewritten(before["mapping"], after["mapping"])),
        JOB.settle("yes" if len({moment.job for moment in moments}) > 1 else "no"),
        describe_end(moments),
        LINKS_WRITTEN.settle(describe_rewritten(before["linked"], after["linked"])),
    )


async def _look(make: Maker) -> Moment:
    return Moment(
        await _newest(make, MAPPING_SET, "modifiedon"),
        await _newest(make, PROFILE_SET, "modifiedon"),
        *await _newest_job(make),
    )


async def _newest_job(make: Maker) -> tuple[str, str]:
    query = odata.query(select="createdon,msdyn_endtimestamp", orderby="createdon desc", top=1)
    rows = (await make.get("msdyn_ciworkflowjobs" + query)).rows
    return (str(rows[0].get("createdon")), str(rows[0].get("msdyn_endtimestamp") or "")) if rows else ("", "")


async def _newest(make: Maker, entity_set: str, column: str) -> str:
    answer = await make.get(entity_set + odata.query(select=column, orderby=f"{column} desc", top=1))
    return str(answer.rows[0].get(column)) if answer.rows else ""


async def _stamps(make: Maker, scene: Scene) -> dict[str, dict[str, str]]:
    """Return modifiedon of the sampled profiles and mapping rows, and of some linked rows, by key."""
    return {
        "profile": await _of(make, PROFILE_SET, PROFILE_KEY, [str(row[PROFILE_KEY]) for row in scene.profiles]),
        "mapping": await _of(make, MAPPING_SET, MAPPING_KEY, [str(row[MAPPING_KEY]) for row in scene.mappings]),
        "linked": await _linked(make, scene.linked),
    }


async def _of(make: Maker, entity_set: str, key: str, ids: Sequence[str]) -> dict[str, str]:
    if not ids:
        return {}
    query = odata.query(select=f"{key},modifiedon", filter=" or ".join(f"{key} eq {some}" for some in ids))
    return stamps_in(await make.get(entity_set + query), key)


async def _linked(make: Maker, source: Linked | None) -> dict[str, str]:
    if source is None:
        return {}
    query = odata.query(
        select=f"{source.key},modifiedon,{LOOKUP}", filter=f"{LOOKUP} ne null", orderby=source.key, top=50
    )
    return stamps_in(await make.get(source.entity_set + query), source.key)


def stamps_in(answer: Answer, key: str) -> dict[str, str]:
    """Return modifiedon by key."""
    return {str(row[key]): str(row.get("modifiedon")) for row in answer.rows}


def describe_settling(moments: Sequence[Moment]) -> str:
    """Return for how many minutes the newest changes moved."""
    moved = [number for number, (one, other) in enumerate(pairwise(moments), start=1) if one.changes != other.changes]
    if not moved:
        return "no change was seen"
    last = "they still changed at the end" if moved[-1] == len(moments) - 1 else "then nothing"
    return f"from minute {moved[0]} to minute {moved[-1]}, {last}"


def describe_end(moments: Sequence[Moment]) -> Result:
    """Return whether the tables still changed in a look after the one that first showed the end of a new job."""
    known = {moment.ended for moment in moments[:1]} | {""}
    ends = [number for number, moment in enumerate(moments) if moment.ended not in known]
    if not ends:
        return JOB_FIRST.leave_open("No look showed a job that had ended.")
    last = max(number for number, (one, other) in enumerate(pairwise(moments), start=1) if one.changes != other.changes)
    return JOB_FIRST.settle(
        "yes" if ends[0] < last else "no", f"ended by minute {ends[0]}, last change by minute {last}"
    )


def describe_rewritten(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return whether all, some, or none of the rows that are still there have another modifiedon."""
    there = [key for key in before if key in after]
    changed = sum(before[key] != after[key] for key in there)
    if not there:
        return "no row could be compared"
    kind = "all" if changed == len(there) else "none" if not changed else "some"
    gone = len(before) - len(there)
    return f"{kind}: {changed} of {len(there)}" + (f", {gone} gone" if gone else "")


MESSAGES = ("Create", "Update", "Upsert")
EVENTS = Point("profile-events", "7.4", "Which events do the unification's writes of profiles raise?")
ADDRESS = "https://linkerlive.invalid/events"  # .invalid never resolves (RFC 2606): no row leaves Dataverse
_WEBHOOK, _BY_KEY, _ASYNC, _AFTER = 8, 4, 1, 40


async def watch_events(make: Maker, scene: Scene, site: Site) -> Sequence[Result]:
    if not site.watch_minutes:
        raise Unanswered(_NO_WATCH)
    endpoint = await _created(make, "serviceendpoints", _endpoint(site))
    steps = {message: await _step(make, site, endpoint, message) for message in MESSAGES}
    fired: dict[str, Answer] = {}
    for _ in range(round(site.watch_minutes * MINUTE_S / LOOK_S)):
        await site.pause(LOOK_S)
        for message, step in steps.items():
            if step and not (message in fired and fired[message].rows):
                fired[message] = await _fired(make, step)
    return (EVENTS.settle(describe_events(steps, fired)),)


async def _fired(make: Maker, step: str) -> Answer:
    """Return the first system job of a step. The step is deleted with it: each write of a profile would make another."""
    jobs = await _jobs(make, step)
    if jobs.rows:
        await make.send("DELETE", f"sdkmessageprocessingsteps({step})")
    return jobs


def _endpoint(site: Site) -> Row:
    return {
        "name": site.own.publisher,
        "contract": _WEBHOOK,
        "authtype": _BY_KEY,
        "authvalue": site.own.tag,
        "url": ADDRESS,
    }


async def _created(make: Maker, entity_set: str, body: Row) -> str:
    """Return the id of a new row. Raises Unanswered when it was refused."""
    answer = await make.send("POST", entity_set, body)
    if not answer.is_ok:
        raise Unanswered(f"A row of {entity_set} was refused: {answer.refusal}.")
    return answer.headers["odata-entityid"].rpartition("(")[2].rstrip(")")


async def _step(make: Maker, site: Site, endpoint: str, message: str) -> str:
    """Return the id of an asynchronous step on profiles for a message, "" where the table has no such message."""
    wanted = (
        f"sdkmessageid/name eq {odata.literal(message)} and primaryobjecttypecode eq {odata.literal(PROFILE_TABLE)}"
    )
    query = odata.query(select="sdkmessagefilterid,_sdkmessageid_value", filter=wanted)
    found = (await make.get("sdkmessagefilters" + query)).rows
    if not found:
        return ""
    body = {
        "name": site.own.publisher,
        "mode": _ASYNC,
        "stage": _AFTER,
        "rank": 1,
        "supporteddeployment": 0,
        "asyncautodelete": False,
        "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({endpoint})",
        "sdkmessageid@odata.bind": f"/sdkmessages({found[0]['_sdkmessageid_value']})",
        "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({found[0]['sdkmessagefilterid']})",
    }
    return await _created(make, "sdkmessageprocessingsteps", body)


async def _jobs(make: Maker, step: str) -> Answer:
    query = odata.query(select="asyncoperationid", filter=f"_owningextensionid_value eq {step}", top=1)
    return await make.get("asyncoperations" + query)


def describe_events(steps: Mapping[str, str], fired: Mapping[str, Answer]) -> str:
    """Return for each message whether a system job of its step shows that it fired."""
    return ", ".join(f"{message}: {_event(step, fired.get(message))}" for message, step in steps.items())


def _event(step: str, jobs: Answer | None) -> str:
    if not step or jobs is None:
        return "no such message"
    return f"refused ({jobs.refusal})" if not jobs.is_ok else "raised" if jobs.rows else "not raised"


WRITING = (
    WritingProbe(
        "W4",
        "What one unification changes",
        (SETTLING, PROFILES_REWRITTEN, MAPPING_REWRITTEN, JOB, JOB_FIRST, LINKS_WRITTEN),
        "Nothing: for --watch minutes it reads the newest changes of profiles, mapping rows, jobs, and linked rows.",
        watch_unification,
    ),
    WritingProbe(
        "W5",
        "Events of profile changes",
        (EVENTS,),
        f"A service endpoint with an address that does not exist, and one asynchronous step each on {', '.join(MESSAGES)} of "
        "profiles, until each has fired or --watch minutes have passed; their system jobs.",
        watch_events,
    ),
)
