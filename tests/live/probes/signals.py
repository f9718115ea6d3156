"""P15 to P17: what Customer Insights - Data writes of its own work, and who writes links beside the linker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from linker.core import odata
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import LOOKUP, SOURCES, Row, Scene
from tests.live.probes.wire import Answer, Asker

ABSENT = Answer(404)  # stands for the answer of a table that does not exist
VENDOR = "99ff962b-6252-4b98-8478-0c65a3ea1925"
_WORD = re.compile(r"[A-Za-z][A-Za-z .]{0,39}")
_LINKING = re.compile(r"hydrat|backstamp", re.IGNORECASE)

WORKFLOW = Point(
    "workflow-rows",
    "7.2",
    "Do rows of jobs, tasks, and nodes exist?",
    "workflow_tables",
    {state: state for state in ("filled", "empty", "absent")},
)
WORD_CASE = Point(
    "case-of-workflow-words",
    "7.2",
    "In which letter case are their words?",
    "workflow_words",
    {case: case for case in ("camel", "pascal", "upper")},
)
WORDS = Point("workflow-words", "7.2", "Which words do their statuses and types use?")
HYDRATION = Point("hydration-rows", "7.2", "Does one of them name hydration or the linking of rows?")
RETENTION = Point("workflow-retention", "7.2", "How far back do they reach?")
_WORKFLOW = {
    "job": ("jobstatus", "jobtype", "operationtype"),
    "task": ("taskstatus", "jobtype", "operationtype"),
    "node": ("taskstatus", "operationtype"),
}


@probe("P15", "Jobs, tasks, and nodes of the workflow", (WORKFLOW, WORDS, WORD_CASE, HYDRATION, RETENTION))
async def ask_workflow(ask: Asker, scene: Scene) -> Sequence[Result]:
    sets = await find_sets(ask, [f"msdyn_ciworkflow{kind}" for kind in _WORKFLOW])
    newest = {kind: await _newest(ask, sets.get(f"msdyn_ciworkflow{kind}"), "desc") for kind in _WORKFLOW}
    oldest = await _newest(ask, sets.get("msdyn_ciworkflowjob"), "asc")
    rows = {kind: answer.rows for kind, answer in newest.items()}
    found = WORKFLOW.settle(describe_presence(newest))
    if not any(rows.values()):
        why = "There is no row to look at."
        return found, *(point.leave_open(why) for point in (WORDS, WORD_CASE, HYDRATION, RETENTION))
    named = [row for some in rows.values() for row in some if _LINKING.search(json.dumps(row))]
    return (
        found,
        WORDS.settle(describe_words(rows)),
        WORD_CASE.settle(describe_word_case(rows)),
        HYDRATION.settle("yes" if named else "no", f"{len(named)} of {sum(map(len, rows.values()))} rows"),
        RETENTION.settle(describe_age(rows["job"], oldest.rows)),
    )


async def find_sets(ask: Asker, tables: Sequence[str]) -> dict[str, str]:
    """Return the entity set names of the tables that exist, by logical name."""
    either = " or ".join(f"LogicalName eq {odata.literal(table)}" for table in tables)
    answer = await ask.get("EntityDefinitions" + odata.query(select="LogicalName,EntitySetName", filter=either))
    return {str(row["LogicalName"]): str(row["EntitySetName"]) for row in answer.rows}


async def _newest(ask: Asker, entity_set: str | None, direction: str) -> Answer:
    if entity_set is None:
        return ABSENT
    return await ask.get(entity_set + odata.query(orderby=f"createdon {direction}", top=20))


def describe_presence(answers: dict[str, Answer]) -> str:
    """Return for which of job, task, and node there are rows, an empty table, or no table."""
    states = {kind: _presence(answer) for kind, answer in answers.items()}
    if len(set(states.values())) == 1:
        return next(iter(states.values()))
    return ", ".join(f"{kind} {state}" for kind, state in states.items())


def _presence(answer: Answer) -> str:
    if answer is ABSENT:
        return "absent"
    return "filled" if answer.rows else "empty" if answer.is_ok else f"refused ({answer.refusal})"


def describe_words(rows: dict[str, list[Row]]) -> str:
    """Return the status and type words of each table as they are written; other texts are shown as 'other'."""
    parts = []
    for kind, columns in _WORKFLOW.items():
        for column in columns:
            words = {_word(row.get(f"msdyn_{column}")) for row in rows.get(kind, ())} - {""}
            if words:
                parts.append(f"{kind} {column}: {', '.join(sorted(words))}")
    return "; ".join(parts) or "none"


def describe_word_case(rows: dict[str, list[Row]]) -> str:
    """Return how words are written: camel such as 'successful', pascal such as 'Successful', or upper."""
    words = {
        _word(row.get(f"msdyn_{column}"))
        for kind, columns in _WORKFLOW.items()
        for column in columns
        for row in rows.get(kind, ())
    } - {"", "other"}
    cases = {"upper" if word.isupper() else "pascal" if word[0].isupper() else "camel" for word in words}
    return ", ".join(sorted(cases)) or "no words"


def _word(value: Any) -> str:
    text = str(value or "")
    return text if not text or _WORD.fullmatch(text) else "other"


def describe_age(newest: Sequence[Row], oldest: Sequence[Row]) -> str:
    """Return the days between the first and the last job, by their date alone."""
    days = [str(row.get("createdon"))[:10] for row in (*newest, *oldest) if row.get("createdon")]
    return f"{min(days)} to {max(days)}" if days else "no dates"


PRIVATE = ("datasourcemetadata", "conflationmetadata", "instancesettings", "profilestorestateinfo")
# Words of the published API models that would answer a requirement. Other names in a payload are counted, never shown.
_KNOWN_WORDS = frozenset(
    {
        "kind", "name", "isactive", "refreshstate", "primarykey", "entityname", "entityinformation", "entitytype", "keys",
        "datasourcemetadata", "isb2b", "isb2c", "cdsorginfo", "cdsmdlinfo", "iscdsmdlorcdsbyodl", "url", "instancetype",
        "outputtype", "storagetype", "attributes",
    }
)  # fmt: skip
PAYLOADS = Point("payloads-of-private-tables", "7.3", "Do rows of mscipriv tables say what requirements R1 to R6 need?")


@probe("P16", "Private tables", (PAYLOADS,))
async def ask_private(ask: Asker, scene: Scene) -> Sequence[Result]:
    sets = await find_sets(ask, [f"mscipriv_{name}" for name in PRIVATE])
    found = {
        name: await ask.get(sets[f"mscipriv_{name}"] + odata.query(top=1)) if f"mscipriv_{name}" in sets else ABSENT
        for name in PRIVATE
    }
    return (PAYLOADS.settle("; ".join(f"{name}: {describe_payloads(answer)}" for name, answer in found.items())),)


def describe_payloads(answer: Answer) -> str:
    """Return which known words the payloads of a row hold; values are never looked at."""
    if answer is ABSENT:
        return "absent"
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    if not answer.rows:
        return "empty"
    payloads = [value for name, value in answer.rows[0].items() if "payload" in name and isinstance(value, str)]
    words = {word for payload in payloads for word in words_in(payload)}
    shown = sorted(words & _KNOWN_WORDS)
    return (
        f"{', '.join(shown) or 'no known name'} and {len(words - _KNOWN_WORDS)} other names"
        if payloads
        else "no payload"
    )


def words_in(payload: str) -> frozenset[str]:
    """Return the names of properties in a JSON text, in lower case; nothing where it is none."""
    try:
        return frozenset(_names(json.loads(payload)))
    except (ValueError, RecursionError):
        return frozenset()


def _names(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name).lower()
            yield from _names(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _names(inner)


SECOND_WRITER = Point("account-of-the-second-writer", "8", "Is the vendor's account a user of the environment?")
WRITER = Point("writer-of-links", "8", "Who changed linked rows last?")


@probe("P17", "The second writer", (SECOND_WRITER, WRITER))
async def ask_writers(ask: Asker, scene: Scene) -> Sequence[Result]:
    users = await ask.get("systemusers" + odata.query(select="systemuserid", filter=f"applicationid eq {VENDOR}"))
    ids = {str(row["systemuserid"]).lower() for row in users.rows}
    there = SECOND_WRITER.settle("yes" if ids else "no" if users.is_ok else f"refused: {users.refusal}")
    rows: list[Row] = []
    for source in scene.sources:
        query = odata.query(select=f"{source.key},_modifiedby_value", filter=f"{LOOKUP} ne null", top=200)
        rows += (await ask.get(source.entity_set + query)).rows
    if not rows:
        return there, WRITER.leave_open(f"No row of {', '.join(SOURCES)} is linked.")
    by_vendor = sum(str(row.get("_modifiedby_value")).lower() in ids for row in rows)
    return there, WRITER.settle(describe_share(by_vendor, len(rows)), f"{by_vendor} of {len(rows)} rows")


def describe_share(part: int, whole: int) -> str:
    """Return whether the vendor's account changed all, some, or none of the linked rows last."""
    return "the vendor's account" if part == whole else "others" if part == 0 else "the vendor's account and others"


PROBES = (ask_workflow, ask_private, ask_writers)
