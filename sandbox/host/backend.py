"""durabletask's in-memory task hub, made fit to run an app for hours.

What this class changes, and why (durabletask 1.12.0, `durabletask/testing/in_memory_backend.py`):
- A parent waits for a child orchestration in a thread that gives up after 30 s, so a longer child hangs its parent.
  Here the child's end answers the parent.
- Each durable timer is a sleeping thread. Here the event loop's clock fires it.
- Results and timers carry no execution, so a late one reaches the next execution under the same id, and one that
  comes after the end starts the orchestrator again. Here completion tokens, which only grow, distinguish executions.
- An orchestrator that is due while it runs goes back to the queue, and nothing is notified when it may run: up to 100 ms
  lost for each episode. Here its completion makes it due.
- It refuses an id whose instance has ended. The real host replaces those and stamps
  defaultVersion (docs/reference/azure.md 1.8).
- It listens on every interface with ten threads, of which each waiting client holds one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.orchestrator_service_pb2_grpc import add_TaskHubSidecarServiceServicer_to_server
from durabletask.testing import InMemoryOrchestrationBackend
from durabletask.testing.in_memory_backend import OrchestrationInstance

from sandbox.host.config import HostConfig

_ENDED = [
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_CANCELED,
]
_RUNNABLE = {pb.ORCHESTRATION_STATUS_PENDING, pb.ORCHESTRATION_STATUS_RUNNING}
_UNFINISHED = [*_RUNNABLE, pb.ORCHESTRATION_STATUS_SUSPENDED]
_SERVER_THREADS = 256  # started on demand; a client that waits for an orchestration holds one
_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class _Caller:
    """The task of an execution that waits for something: a child orchestration or a timer."""

    instance_id: str
    task_id: int
    token: int  # completion token when the task was scheduled


class Backend(InMemoryOrchestrationBackend):
    """Task hub of one process. Must be built on the running event loop."""

    def __init__(self, config: HostConfig) -> None:
        super().__init__(max_history_size=sys.maxsize, port=0)
        self._loop = asyncio.get_running_loop()
        self._default_version = config.default_version
        self._replaceable = _ENDED + (_UNFINISHED if config.replaces_running else [])
        self._callers: dict[str, _Caller] = {}  # child instance id -> who waits for it
        self._first_tokens: dict[str, int] = {}  # instance id -> first token of its current execution

    def start(self) -> str:
        """Serve gRPC on a free loopback port without message limits and return "host:port"."""
        self._shutdown_event.clear()
        self._server = grpc.server(ThreadPoolExecutor(_SERVER_THREADS), options=_UNLIMITED)
        add_TaskHubSidecarServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]  # generated
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return f"127.0.0.1:{port}"

    def stop(self, grace: float | None = None) -> None:
        """Stop serving. Clients that wait for an orchestration are let go first, else their threads would stay."""
        with self._lock:
            for waiter in (waiter for waiters in self._state_waiters.values() for waiter in waiters):
                waiter.event.set()
        super().stop(grace)

    def work_items(self) -> Iterator[pb.WorkItem]:
        """Yield work until the backend stops. Blocks, so it belongs in a thread of its own."""
        connected = SimpleNamespace(is_active=lambda: True)
        while not self._shutdown_event.is_set():
            yield from self.GetWorkItems(pb.GetWorkItemsRequest(), connected)

    def StartInstance(self, request: pb.CreateInstanceRequest, context: Any) -> pb.CreateInstanceResponse:  # noqa: N802
        """Start an orchestration; an instance that has ended is replaced, a running one refused (ALREADY_EXISTS)."""
        if request.HasField("scheduledStartTimestamp"):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "The local host does not delay the start of orchestrations.")
        if self._default_version and not request.HasField("version"):
            request.version.value = self._default_version
        if not request.orchestrationIdReusePolicy.replaceableStatus:
            request.orchestrationIdReusePolicy.replaceableStatus.extend(self._replaceable)
        with self._lock:
            answer = super().StartInstance(request, context)
            self._begin_execution(answer.instanceId)
        return answer

    def CompleteOrchestratorTask(  # noqa: N802
        self, request: pb.OrchestratorResponse, context: Any
    ) -> pb.CompleteTaskResponse:
        """Save an episode, and make the instance due again if something came in meanwhile."""
        with self._lock:
            answer = super().CompleteOrchestratorTask(request, context)
            instance = self._instances.get(request.instanceId)
            if instance and instance.pending_events and instance.status in _RUNNABLE:
                self._enqueue_orchestration(request.instanceId)
        return answer

    def CompleteActivityTask(self, request: pb.ActivityResponse, context: Any) -> pb.CompleteTaskResponse:  # noqa: N802
        """Hand an activity's result to the execution that asked for it. `completionToken` is the work item's."""
        with self._lock:
            if not self._waits(_Caller(request.instanceId, request.taskId, int(request.completionToken))):
                return pb.CompleteTaskResponse()
            return super().CompleteActivityTask(request, context)

    def PurgeInstances(self, request: pb.PurgeInstancesRequest, context: Any) -> pb.PurgeInstancesResponse:  # noqa: N802
        """Forget instances that have ended."""
        with self._lock:
            answer = super().PurgeInstances(request, context)
            self._first_tokens = {key: token for key, token in self._first_tokens.items() if key in self._instances}
        return answer

    def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """Return what happened to an instance in its present execution, oldest first."""
        with self._lock:
            instance = self._instances.get(instance_id)
            return list(instance.history) if instance else []

    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version or self._default_version)
        self._begin_execution(instance_id)

    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        super()._process_complete_orchestration_action(instance, complete_action)
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            self._first_tokens[instance.instance_id] = self._next_completion_token

    def _begin_execution(self, instance_id: str) -> None:
        self._first_tokens[instance_id] = self._instances[instance_id].completion_token

    def _waits(self, caller: _Caller) -> bool:
        """Whether the execution that scheduled this task still runs."""
        instance = self._instances.get(caller.instance_id)
        if instance is None or self._is_terminal_status(instance.status):
            return False
        return caller.token >= self._first_tokens[caller.instance_id]

    def _enqueue_orchestration(self, instance_id: str) -> None:
        if instance_id not in self._orchestration_in_flight:
            super()._enqueue_orchestration(instance_id)

    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        caller = _Caller(instance.instance_id, action.id, instance.completion_token)
        wait_s = max(0.0, (fire_at - datetime.now(UTC)).total_seconds())
        self._loop.call_soon_threadsafe(self._loop.call_later, wait_s, self._fire_timer, caller, fire_at)

    def _fire_timer(self, caller: _Caller, fire_at: datetime) -> None:
        self._answer(caller, helpers.new_timer_fired_event(caller.task_id, fire_at))

    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        token = self._instances[parent_instance_id].completion_token
        self._callers[sub_instance_id] = _Caller(parent_instance_id, task_id, token)
        self._notify_waiters(sub_instance_id)

    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        child = self._instances.get(instance_id)
        if child and self._is_terminal_status(child.status) and instance_id in self._callers:
            caller = self._callers.pop(instance_id)
            self._answer(caller, _child_ended(caller.task_id, child))

    def _answer(self, caller: _Caller, event: pb.HistoryEvent) -> None:
        with self._lock:
            if self._waits(caller):
                self._instances[caller.instance_id].pending_events.append(event)
                self._enqueue_orchestration(caller.instance_id)


def _child_ended(task_id: int, child: OrchestrationInstance) -> pb.HistoryEvent:
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        return helpers.new_sub_orchestration_completed_event(task_id, child.output)
    details = child.failure_details or pb.TaskFailureDetails(
        errorType="SubOrchestrationTerminated", errorMessage=f"Orchestration '{child.instance_id}' was terminated."
    )
    failed = pb.SubOrchestrationInstanceFailedEvent(taskScheduledId=task_id, failureDetails=details)
    return pb.HistoryEvent(eventId=-1, subOrchestrationInstanceFailed=failed)
