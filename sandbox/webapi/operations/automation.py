"""Which plug-in steps, workflows and flows a write fires, and what stops them (docs/reference/dataverse.md 9 and 10).

A column counts as changed if it is in the payload, even with the same value. A step's `configuration` may hold JSON
that says how it behaves here: `{"cost_ms": 5, "throws": "text", "rowIds": ["..."]}`. It costs so much each time it runs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from sandbox.database import Database, scan
from sandbox.runtime import Environment, WriteKind, WriteOperation
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import PLUGIN_ABORTED, ApiError
from sandbox.webapi.security.privileges import BYPASS_LOGIC, BYPASS_PLUGINS, require

FiringKind = Literal["step", "async", "flow"]
MAX_BYPASSED_STEPS: Final = 3

# Single and bulk messages share one pipeline: steps of both run (docs/reference/dataverse.md 2.7).
_MESSAGES: Final[dict[str, tuple[str, ...]]] = {
    "Create": ("Create", "CreateMultiple"),
    "CreateMultiple": ("Create", "CreateMultiple"),
    "Update": ("Update", "UpdateMultiple"),
    "UpdateMultiple": ("Update", "UpdateMultiple"),
    "Delete": ("Delete",),
}
_CALLBACK_MESSAGES: Final = {"Create": {1, 4, 5, 7}, "Delete": {2, 5, 6, 7}, "Update": {3, 4, 6, 7}}
_STEP_COLUMNS: Final = (
    "sdkmessageprocessingstepid",
    "name",
    "sdkmessageid",
    "sdkmessagefilterid",
    "filteringattributes",
    "mode",
    "customizationlevel",
    "canbebypassed",
    "configuration",
)
_WORKFLOW_COLUMNS: Final = (
    "name",
    "category",
    "mode",
    "triggeronupdateattributelist",
    "triggeroncreate",
    "triggerondelete",
)
_FLOW_COLUMNS: Final = ("name", "message", "filteringattributes", "softdeletestatus")


@dataclass(frozen=True, slots=True)
class Firing:
    """One automation that a write sets in motion. `executions` is how often; a step may cost time or throw."""

    name: str
    kind: FiringKind
    executions: int
    cost_ms: float = 0.0
    throws: str | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """What the request's headers switch off (docs/reference/dataverse.md 10)."""

    sync: bool = False
    asynchronous: bool = False
    step_ids: frozenset[str] = frozenset()
    flows: bool = False


@dataclass(frozen=True, slots=True)
class _Behaviour:
    """What a step's configuration says: what an execution costs, and what it throws for which rows (None: all)."""

    cost_ms: float = 0.0
    throws: str | None = None
    row_ids: frozenset[str] | None = None


def firings(call: Call, operation: WriteOperation) -> tuple[Firing, ...]:
    """Return what a write fires. Raises the 403 answer if a bypass header is sent without its privilege."""
    bypass = _bypass(call)
    found = [*_steps(call, operation, bypass), *_workflows(call, operation, bypass)]
    if not bypass.flows:
        found += _flows(call, operation)
    return tuple(found)


async def execute(environment: Environment, fired: Iterable[Firing]) -> None:
    """Let synchronous automation take its time, or throw. Raises the 400 answer of a plug-in that throws.

    Time is spent up to the throw, the throwing step's own included (docs/reference/dataverse.md 1.1).
    """
    for firing in fired:
        await environment.hooks.spend(firing.cost_ms * firing.executions)
        if firing.throws is not None:
            raise ApiError(400, PLUGIN_ABORTED, firing.throws)


def _bypass(call: Call) -> Bypass:
    headers = call.request.headers
    logic = {word.strip().lower() for word in headers.get("mscrm.bypassbusinesslogicexecution", "").split(",")} - {""}
    steps = frozenset(_ids(headers.get("mscrm.bypassbusinesslogicexecutionstepids", "")))
    plugins = headers.get("mscrm.bypasscustompluginexecution", "").lower() == "true"
    if unknown := logic - {"customsync", "customasync"}:
        raise ApiError(400, "0x0", f"BypassBusinessLogicExecution does not know {', '.join(sorted(unknown))}.")
    if len(steps) > MAX_BYPASSED_STEPS:
        raise ApiError(400, "0x0", f"Not more than {MAX_BYPASSED_STEPS} step ids can be bypassed.")
    if logic or steps:
        require(call.environment, call.caller, BYPASS_LOGIC)
    if plugins:
        require(call.environment, call.caller, BYPASS_PLUGINS)
    suppressed = headers.get("mscrm.suppresscallbackregistrationexpanderjob", "").lower() == "true"
    return Bypass("customsync" in logic or plugins, "customasync" in logic, steps, suppressed)


def _ids(text: str) -> Iterator[str]:
    return (word.strip(" {}").lower() for word in text.split(",") if word.strip())


def _listed(text: object) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in str(text or "").split(",") if name.strip())


def _touches(attributes: object, operation: WriteOperation) -> bool:
    """Return whether a write sets a listed column; an empty list means any column, and creates have no filter."""
    listed = _listed(attributes)
    return not listed or not _is_update(operation.kind) or not listed.isdisjoint(operation.columns)


def _is_update(kind: WriteKind) -> bool:
    return kind in {"Update", "UpdateMultiple"}


def _steps(call: Call, operation: WriteOperation, bypass: Bypass) -> Iterator[Firing]:
    database = call.environment.database
    steps = [
        dict(zip(_STEP_COLUMNS, row, strict=True))
        for row in scan(database, "sdkmessageprocessingstep", _STEP_COLUMNS, {"statecode": 0})
    ]
    if not steps:
        return
    messages = _names(database, "sdkmessage", "sdkmessageid", "name")
    tables = _names(database, "sdkmessagefilter", "sdkmessagefilterid", "primaryobjecttypecode")
    for step in steps:
        message = messages.get(step["sdkmessageid"])
        table = tables.get(step["sdkmessagefilterid"], operation.table)
        fires = message in _MESSAGES[operation.kind] and table in {operation.table, "none"}
        if fires and _touches(step["filteringattributes"], operation) and not _bypassed(step, bypass):
            yield _step_firing(step, operation, 1 if str(message).endswith("Multiple") else operation.rows)


def _names(database: Database, table: str, key: str, name: str) -> dict[object, object]:
    return {row[0]: row[1] for row in scan(database, table, [key, name])}


def _bypassed(step: Mapping[str, object], bypass: Bypass) -> bool:
    if step["customizationlevel"] == 0 or step["canbebypassed"] is False:
        return False  # published by Microsoft, or marked as not to be bypassed
    if step["sdkmessageprocessingstepid"] in bypass.step_ids:
        return True
    return bypass.asynchronous if step["mode"] == 1 else bypass.sync


def _step_firing(step: Mapping[str, object], operation: WriteOperation, executions: int) -> Firing:
    if step["mode"] == 1:
        return Firing(str(step["name"]), "async", executions)
    behaviour = _behaviour(step["configuration"])
    strikes = behaviour.row_ids is None or not behaviour.row_ids.isdisjoint(operation.row_ids)
    return Firing(str(step["name"]), "step", executions, behaviour.cost_ms, behaviour.throws if strikes else None)


def _behaviour(configuration: object) -> _Behaviour:
    """Return how a step behaves here. A real step's configuration is any text, and whatever else it says is its own."""
    try:
        document = orjson.loads(str(configuration or "{}"))
    except orjson.JSONDecodeError:
        return _Behaviour()
    said = document if isinstance(document, dict) else {}
    cost_ms, throws, rows = (said.get(name) for name in ("cost_ms", "throws", "rowIds"))
    return _Behaviour(
        float(cost_ms) if isinstance(cost_ms, int | float) else 0.0,
        throws if isinstance(throws, str) else None,
        frozenset(str(row).lower() for row in rows) if isinstance(rows, list) else None,
    )


def _workflows(call: Call, operation: WriteOperation, bypass: Bypass) -> Iterator[Firing]:
    where = {"type": 1, "statecode": 1, "primaryentity": operation.table}
    for row in scan(call.environment.database, "workflow", _WORKFLOW_COLUMNS, where):
        workflow = dict(zip(_WORKFLOW_COLUMNS, row, strict=True))
        if not _workflow_fires(workflow, operation):
            continue
        background = workflow["category"] == 0 and workflow["mode"] == 0
        if not (bypass.asynchronous if background else bypass.sync):
            yield Firing(str(workflow["name"]), "async" if background else "step", operation.rows)


def _workflow_fires(workflow: Mapping[str, object], operation: WriteOperation) -> bool:
    if workflow["category"] == 2:
        return operation.kind != "Delete"  # a business rule of the table has no column list
    if workflow["category"] != 0:
        return False
    if _is_update(operation.kind):
        return not _listed(workflow["triggeronupdateattributelist"]).isdisjoint(operation.columns)
    return bool(workflow["triggerondelete" if operation.kind == "Delete" else "triggeroncreate"])


def _flows(call: Call, operation: WriteOperation) -> Iterator[Firing]:
    messages = _CALLBACK_MESSAGES[operation.kind.removesuffix("Multiple")]
    for row in scan(call.environment.database, "callbackregistration", _FLOW_COLUMNS, {"entityname": operation.table}):
        flow = dict(zip(_FLOW_COLUMNS, row, strict=True))
        live = not flow["softdeletestatus"] and flow["message"] in messages
        if live and _touches(flow["filteringattributes"], operation):
            yield Firing(str(flow["name"]), "flow", operation.rows)
