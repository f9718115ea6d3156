"""The status of an orchestration, as the platform's Durable extension answers it (its HttpApiHandler.cs)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

RETRY_AFTER_S = 5  # "some clients will otherwise retry in a tight loop"
_UNFINISHED = {"Pending", "Running", "Suspended", "ContinuedAsNew"}
# Event by its name in protobuf: its name in answers, and the event that scheduled it.
_EVENTS = {
    "executionStarted": ("ExecutionStarted", ""),
    "executionCompleted": ("ExecutionCompleted", ""),
    "executionTerminated": ("ExecutionTerminated", ""),
    "taskCompleted": ("TaskCompleted", "taskScheduled"),
    "taskFailed": ("TaskFailed", "taskScheduled"),
    "subOrchestrationInstanceCompleted": ("SubOrchestrationInstanceCompleted", "subOrchestrationInstanceCreated"),
    "subOrchestrationInstanceFailed": ("SubOrchestrationInstanceFailed", "subOrchestrationInstanceCreated"),
    "timerFired": ("TimerFired", ""),
    "eventRaised": ("EventRaised", ""),
    "continueAsNew": ("ContinueAsNew", ""),
}


def describe(
    state: pb.OrchestrationState, history: Iterable[pb.HistoryEvent], query: Mapping[str, str]
) -> dict[str, object]:
    """Return the body of a status answer. `query` may ask for showHistory, showHistoryOutput and showInput=false."""
    output = state.output.value or json.dumps(state.failureDetails.errorMessage or None)
    show_output = is_true(query, "showHistoryOutput")
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": _status(state.orchestrationStatus),
        "input": json.loads(state.input.value or "null") if is_true(query, "showInput", default=True) else None,
        "customStatus": json.loads(state.customStatus.value or "null"),
        "output": json.loads(output),
        "createdTime": _time(state.createdTimestamp),
        "lastUpdatedTime": _time(state.lastUpdatedTimestamp),
        "historyEvents": list(_history(history, show_output=show_output)) if is_true(query, "showHistory") else None,
    }


def status_code(described: Mapping[str, object], query: Mapping[str, str]) -> int:
    """Return 202 while an orchestration runs and 200 when it has ended; 500 for a failed one, if asked for."""
    if described["runtimeStatus"] in _UNFINISHED:
        return 202
    asked = is_true(query, "returnInternalServerErrorOnFailure")
    return 500 if asked and described["runtimeStatus"] == "Failed" else 200


def is_true(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a parameter of a query; its name is compared without case, and what is neither true nor false does not count."""
    given = {key.lower(): value.lower() for key, value in query.items()}.get(name.lower())
    return {"true": True, "false": False}.get(given or "", default)


def _history(events: Iterable[pb.HistoryEvent], *, show_output: bool) -> Iterable[dict[str, Any]]:
    """Yield what happened. A scheduled task has no entry of its own: its time is in that of its end."""
    scheduled: dict[int, pb.HistoryEvent] = {}
    for event in events:
        kind = event.WhichOneof("eventType") or ""
        if kind in ("taskScheduled", "subOrchestrationInstanceCreated"):
            scheduled[event.eventId] = event
        elif kind in _EVENTS:
            yield _entry(event, kind, scheduled, show_output=show_output)


def _entry(
    event: pb.HistoryEvent, kind: str, scheduled: dict[int, pb.HistoryEvent], *, show_output: bool
) -> dict[str, Any]:
    name, began_as = _EVENTS[kind]
    detail = getattr(event, kind)
    entry: dict[str, Any] = {"EventType": name, "Timestamp": _exact(event.timestamp)}
    began = scheduled.get(getattr(detail, "taskScheduledId", -1)) if began_as else None
    if began is not None:
        entry |= {"ScheduledTime": _exact(began.timestamp), "FunctionName": getattr(began, began_as).name}
    if kind == "executionStarted":
        entry["FunctionName"] = detail.name
    if kind == "executionCompleted":
        entry["OrchestrationStatus"] = _status(detail.orchestrationStatus)
    if kind == "timerFired":
        entry["FireAt"] = _exact(detail.fireAt)
    if kind == "eventRaised":
        entry["Name"] = detail.name
    if show_output and hasattr(detail, "result"):
        entry["Result"] = json.loads(detail.result.value or "null")
    if hasattr(detail, "failureDetails") and detail.HasField("failureDetails"):
        entry["Reason"] = detail.failureDetails.errorMessage
    return entry


def _status(status: pb.OrchestrationStatus) -> str:
    return str(helpers.get_orchestration_status_str(status)).title().replace("_", "")


def _time(moment: Any) -> str:
    """Return a protobuf time in whole seconds, as the extension formats it."""
    return f"{moment.ToDatetime():%Y-%m-%dT%H:%M:%SZ}"


def _exact(moment: Any) -> str:
    return str(moment.ToJsonString())
