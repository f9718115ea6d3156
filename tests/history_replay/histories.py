"""Saved durable histories, and their replay episode by episode through the executor that runs in Azure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import json_format

FOLDER = Path(__file__).parents[1] / "data" / "histories"
ASKED = ("taskScheduled", "timerCreated", "subOrchestrationInstanceCreated")  # events that say what was asked for

type Orchestrator = Callable[[Any, dict[str, Any]], Any]
type Asked = tuple[Any, ...]
"""One thing that an orchestrator asked for: its kind, its number, then what makes it unlike others; payloads as parsed JSON."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One turn of an orchestrator: what had happened before, what came in, and what it asked for then."""

    past: tuple[pb.HistoryEvent, ...]
    new: tuple[pb.HistoryEvent, ...]
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one orchestration instance went through, oldest first."""

    events: tuple[pb.HistoryEvent, ...]

    @property
    def started(self) -> pb.ExecutionStartedEvent:
        """Name, input and id of the instance."""
        return next(event.executionStarted for event in self.events if event.HasField("executionStarted"))

    def episodes(self) -> Iterator[Episode]:
        """Yield the turns in order."""
        events = self.events
        starts = [at for at, event in enumerate(events) if event.HasField("orchestratorStarted")]
        for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
            new = tuple(event for event in events[start:end] if _came_in(event))
            yield Episode(events[:start], new, tuple(asked_by_event(e) for e in events[start:end] if not _came_in(e)))


def replayed(orchestrator: Orchestrator, history: History, episode: Episode) -> tuple[Asked, ...]:
    """Return what an orchestrator asks for now in an episode. One that fails, also for another order, asks to end."""
    request = pb.OrchestratorRequest(
        instanceId=history.started.orchestrationInstance.instanceId, pastEvents=episode.past, newEvents=episode.new
    )
    body = base64.b64encode(request.SerializeToString()).decode()
    answer = DurableFunctionsWorker().execute_orchestration_request(orchestrator, body)
    return tuple(
        asked_by_action(action) for action in pb.OrchestratorResponse.FromString(base64.b64decode(answer)).actions
    )


def asked_by_action(action: pb.OrchestratorAction) -> Asked:
    """Return what an action asks for, comparable with an event."""
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            return "activity", action.id, action.scheduleTask.name, _parsed(action.scheduleTask.input.value)
        case "createTimer":
            return "timer", action.id, action.createTimer.fireAt.ToJsonString()
        case "createSubOrchestration":
            child = action.createSubOrchestration
            return "child", action.id, child.name, child.instanceId, _parsed(child.input.value)
        case "completeOrchestration":
            end = action.completeOrchestration
            return "end", end.orchestrationStatus, _parsed(end.result.value), end.failureDetails.errorMessage
        case other:
            raise AssertionError(f"The orchestrators ask for no {other}.")


def asked_by_event(event: pb.HistoryEvent) -> Asked:
    """Return what an event says was asked for."""
    match event.WhichOneof("eventType"):
        case "taskScheduled":
            return "activity", event.eventId, event.taskScheduled.name, _parsed(event.taskScheduled.input.value)
        case "timerCreated":
            return "timer", event.eventId, event.timerCreated.fireAt.ToJsonString()
        case "subOrchestrationInstanceCreated":
            child = event.subOrchestrationInstanceCreated
            return "child", event.eventId, child.name, child.instanceId, _parsed(child.input.value)
        case "executionCompleted":
            end = event.executionCompleted
            return "end", end.orchestrationStatus, _parsed(end.result.value), end.failureDetails.errorMessage
        case other:
            raise AssertionError(f"{other} is nothing that an orchestrator asked for.")


def holds(now: Any, then: Any) -> bool:
    """Whether what is asked for now says all that was said then. A member that is new has a default and changes nothing."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(name in now and holds(now[name], value) for name, value in then.items())
    if isinstance(then, list | tuple):
        return isinstance(now, list | tuple) and len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


def save(histories: Iterable[Sequence[pb.HistoryEvent]], folder: Path) -> None:
    """Write each history into a file of its own, one event a line, numbered as they began."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, events in enumerate(histories, 1):
        lines = [json.dumps(json_format.MessageToDict(event), ensure_ascii=False) for event in events]
        name = History(tuple(events)).started.name
        (folder / f"{number}-{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(path: Path) -> History:
    """Return the history in a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return History(tuple(json_format.Parse(line, pb.HistoryEvent()) for line in lines))


def payload_bytes(event: pb.HistoryEvent) -> int:
    """Return the size of what an event carries into or out of an activity or orchestration."""
    parts = (part for part in json_format.MessageToDict(event).values() if isinstance(part, dict))
    return max((len(part[name].encode()) for part in parts for name in ("input", "result") if name in part), default=0)


def _parsed(payload: str) -> Any:
    return json.loads(payload) if payload else None


def _came_in(event: pb.HistoryEvent) -> bool:
    return event.WhichOneof("eventType") not in (*ASKED, "executionCompleted")
