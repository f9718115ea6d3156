"""P6: the labels of links, and the partition column beside a link."""

from __future__ import annotations

from collections.abc import Sequence

from linker.core import odata
from linker.core.names import LOOKUP_SCHEMA_NAME, PROFILE_SET
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import (
    CUSTOMER,
    LABEL,
    LOOKUP,
    Linked,
    Scene,
    need_link,
)
from tests.live.probes.wire import ANNOTATIONS, Answer, Asker

SINGLE_LABEL = Point("label-of-one-row", "3", "Does a linked row that is read alone show the label of its link?")
LIST_LABEL = Point(
    "label-in-a-list",
    "3",
    "Does a linked row in a list show the label of its link?",
    "elastic_list_labels",
    {"the CustomerId": "given", "missing": "absent"},
)
PID_SERVED = Point(
    "partition-column-on-rows",
    "3",
    "Do rows have the partition column that metadata name beside a link?",
    "link_partition",
    {"yes": "served", "no": "metadata_only"},
)
PID_READ = Point(
    "partition-column-read",
    "3",
    "What does the partition column of a link hold that the vendor wrote?",
    "second_writer_partition",
    {"the profile's id in lower case": "own_id", "null": "null"},
)


@probe("P6", "What a linked row shows", (SINGLE_LABEL, LIST_LABEL, PID_SERVED, PID_READ))
async def ask_labels(ask: Asker, scene: Scene) -> Sequence[Result]:
    source, row = need_link(scene)
    key, target = str(row[source.key]), str(row[LOOKUP])
    select = odata.query(select=f"{source.key},{LOOKUP}")
    alone = await ask.get(f"{source.entity_set}({key}){select}", prefer=ANNOTATIONS)
    listed = await ask.get(_listed(source, LOOKUP, key), prefer=ANNOTATIONS)
    profile = await ask.get(f"{PROFILE_SET}({target})" + odata.query(select=CUSTOMER))
    customer = str(profile.rows[0].get(CUSTOMER)) if profile.rows else None
    column = f"{LOOKUP_SCHEMA_NAME}pid"
    pid = await ask.get(_listed(source, column, key))
    return (
        SINGLE_LABEL.settle(describe_label(alone, customer)),
        LIST_LABEL.settle(describe_label(listed, customer)),
        judge_pid_column(pid, is_named=column in scene.columns(source.table)),
        PID_READ.settle(describe_pid(pid, target)) if pid.rows else PID_READ.leave_open(f"Refused: {pid.refusal}."),
    )


def _listed(source: Linked, column: str, key: str) -> str:
    return source.entity_set + odata.query(select=f"{source.key},{column}", filter=f"{source.key} eq {key}", top=1)


def describe_label(answer: Answer, customer: str | None) -> str:
    """Return whether the label of a link is there and is the CustomerId of its profile; None: it leads nowhere."""
    if not answer.rows:
        return f"refused: {answer.refusal}"
    label = answer.rows[0].get(LOOKUP + LABEL)
    if customer is None:
        return f"the profile is missing, the label is {'missing too' if label is None else 'there'}"
    return "missing" if label is None else "the CustomerId" if label == customer else "another text"


def judge_pid_column(answer: Answer, *, is_named: bool) -> Result:
    """Return whether rows have the partition column of a link, by the answer to a request that selects it."""
    if not is_named:
        return PID_SERVED.leave_open("Metadata name no such column.")
    if answer.is_ok or answer.status == 400:
        return PID_SERVED.settle("yes" if answer.is_ok else "no", answer.text)
    return PID_SERVED.leave_open(f"Refused: {answer.refusal}.")


def describe_pid(answer: Answer, target: str) -> str:
    """Return what the partition column of a link holds beside the profile that the link leads to."""
    value = answer.rows[0].get(f"{LOOKUP_SCHEMA_NAME}pid")
    key = target.lower()
    known = {None: "null", key: "the profile's id in lower case", key.upper(): "the profile's id in upper case"}
    return known.get(value, "another value")
