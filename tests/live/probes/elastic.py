"""W3: links to an elastic table of our own, whose rows can be deleted and put into a partition of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from linker.core import odata
from linker.core.requirements.facts import DataverseTable
from tests.live import ground
from tests.live.check import Unanswered
from tests.live.probes.binding import PARTITION, Link, WritingProbe, bind, describe_link, describe_outcome, read_names
from tests.live.probes.points import Point, Result
from tests.live.probes.scene import Scene
from tests.live.probes.wire import ANNOTATIONS, Answer, Maker
from tests.live.site import Site

ELASTIC = Point("own-elastic-table", "2.1", "Can an elastic table be made through the Web API?")
OWN_PARTITION = Point("partition-not-given", "2.2", "What does partitionid hold in a row that was created without it?")
CUSTOM_PLAIN = Point("custom-partition-by-id", "3", "What is a link by id alone to a row in a partition of its own?")
CUSTOM_KEYED = Point("custom-partition-by-key", "3", "What is a link by id and partition to such a row?")
ORPHAN = Point("deleted-target", "3", "What becomes of a link when its elastic row is deleted?")
TOKEN = Point("session-token", "2.5", "Which writes return a session token?")
DETAILS = Point(
    "rows-of-a-bulk-error",
    "2.6",
    "How does the error of UpdateMultiple list the rows, when one row of an elastic table is missing?",
    "bulk_details",
    {"as JSON text": "text", "as a list": "list", "not at all": "absent"},
)
PARTIAL = Point("other-rows-of-a-bulk-error", "2.6", "Does that UpdateMultiple write the rows that exist?")
RENAMED = "live proof, renamed"
_DETAILS = "BulkApiErrorDetails"  # the end of the annotation's name


async def ask_elastic(make: Maker, scene: Scene, site: Site) -> Sequence[Result]:
    table = await ground.make_elastic(site)
    if table.table_type != "Elastic":
        raise Unanswered(f"The table was made as {table.table_type}.")
    link = Link(site, table.logical_name, table.entity_set, table.primary_id, f"{site.own.prefix}_far")
    await link.create(make, "NoCascade")
    link = await read_names(make, link)
    default, custom = str(uuid4()), str(uuid4())
    created = await _create(make, table, site, {table.primary_id: default})
    partitioned = await _create(make, table, site, {table.primary_id: custom, "partitionid": PARTITION})
    shown = await make.get(f"{table.entity_set}({default})" + odata.query(select="partitionid"))
    rows = await site.new_rows(3)
    first = await bind(make, link, rows[0], link.plain(default), default)
    results = (
        ELASTIC.settle(f"yes, a link to its row is {first}"),
        OWN_PARTITION.settle(describe_own_partition(shown, default)),
        *(
            await _custom(make, link, rows[1:], custom)
            if partitioned.is_ok
            else _no_custom(f"The row was {describe_outcome(partitioned)}.")
        ),
    )
    several = await _update_several(make, table, site, default)
    deleted = await make.send("DELETE", f"{table.entity_set}({default})")
    left = describe_link(await link.read(make, rows[0]), link, default)
    tokens = {"create": created, "delete": deleted}
    return (
        *results,
        ORPHAN.settle(left)
        if deleted.is_ok
        else ORPHAN.leave_open(f"The row could not be deleted: {deleted.refusal}."),
        TOKEN.settle(
            ", ".join(name for name, answer in tokens.items() if "x-ms-session-token" in answer.headers) or "none"
        ),
        *several,
    )


async def _update_several(make: Maker, table: DataverseTable, site: Site, row: str) -> tuple[Result, Result]:
    """Rename a row that exists, together with one that does not, and look at the error and at the row."""
    kind = f"Microsoft.Dynamics.CRM.{table.logical_name}"
    targets = [{"@odata.type": kind, table.primary_id: key, site.own.name: RENAMED} for key in (row, str(uuid4()))]
    path = f"{table.entity_set}/Microsoft.Dynamics.CRM.UpdateMultiple"
    written = await make.send("POST", path, {"Targets": targets}, {"Prefer": ANNOTATIONS})
    left = await make.get(f"{table.entity_set}({row})" + odata.query(select=site.own.name))
    return describe_details(written), describe_others(written, left, site.own.name)


def describe_details(answer: Answer) -> Result:
    """Return the form in which an error lists the rows of a bulk request."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    if answer.is_ok or not isinstance(error, dict):
        return DETAILS.leave_open("UpdateMultiple with a missing row brought no error in JSON.")
    found = next((value for name, value in error.items() if name.endswith(_DETAILS)), None)
    forms = {str: "as JSON text", list: "as a list", type(None): "not at all"}
    return DETAILS.settle(forms.get(type(found), "in another form"), answer.text)


def describe_others(written: Answer, left: Answer, name: str) -> Result:
    """Return whether the row that exists has the new name after the error."""
    if written.is_ok:
        return PARTIAL.leave_open("UpdateMultiple with a missing row was accepted.")
    if not left.rows:
        return PARTIAL.leave_open(f"The row could not be read back: {left.refusal}.")
    return PARTIAL.settle("yes" if left.rows[0].get(name) == RENAMED else "no")


async def _create(make: Maker, table: DataverseTable, site: Site, row: Mapping[str, Any]) -> Answer:
    return await make.send("POST", table.entity_set, {site.own.name: "live proof", **row})


async def _custom(make: Maker, link: Link, rows: Sequence[str], target: str) -> tuple[Result, Result]:
    return (
        CUSTOM_PLAIN.settle(await bind(make, link, rows[0], link.plain(target), target)),
        CUSTOM_KEYED.settle(await bind(make, link, rows[1], link.keyed(target, PARTITION), target)),
    )


def _no_custom(why: str) -> tuple[Result, Result]:
    return CUSTOM_PLAIN.leave_open(why), CUSTOM_KEYED.leave_open(why)


def describe_own_partition(answer: Answer, key: str) -> str:
    """Return what partitionid holds in a row of our own that was created without one."""
    if not answer.rows:
        return f"refused: {answer.refusal}"
    known = {None: "null", key: "own id in lower case", key.upper(): "own id in upper case"}
    return known.get(answer.rows[0].get("partitionid"), "another value")


WRITING = (
    WritingProbe(
        "W3",
        "Links to an elastic table of our own",
        (ELASTIC, OWN_PARTITION, CUSTOM_PLAIN, CUSTOM_KEYED, ORPHAN, TOKEN, DETAILS, PARTIAL),
        "An elastic table of our own with two rows, links of our own rows to them, and the change and the deletion of one "
        "of them.",
        ask_elastic,
    ),
)
