"""Durable Functions: hands the task hub's work to the registered orchestrators and activities, and their answers back.

Orchestrators get and return base64 protobuf, activities JSON, exactly as from the real host (docs/reference/azure.md 13).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
import traceback
from collections.abc import Coroutine, Iterable
from itertools import chain
from typing import Any

import azure.functions as func
from azure.functions import meta
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from sandbox.host.backend import Backend
from sandbox.host.background_tasks import Tasks
from sandbox.host.config import HostConfig
from sandbox.host.functions import ACTIVITY, ORCHESTRATOR, HostedFunction, of_kind
from sandbox.host.worker import Invoker

_LOG = logging.getLogger(__name__)

_GRACE_S = 1.0  # for activities to end when the host stops; what has not ended is abandoned, as in a crash


class DurableHost:
    """Runs one app's orchestrators and activities within the concurrency limits of host.json.

    `start` reads work from a thread until `stop`; everything else happens on the event loop.
    """

    def __init__(
        self, backend: Backend, functions: Iterable[HostedFunction], invoker: Invoker, config: HostConfig
    ) -> None:
        functions = list(functions)
        self._backend = backend
        self._invoker = invoker
        self._orchestrators = {f.durable_name.lower(): f for f in of_kind(functions, ORCHESTRATOR)}
        self._activities = {f.durable_name.lower(): f for f in of_kind(functions, ACTIVITY)}
        self._orchestrator_slots = asyncio.Semaphore(config.orchestrators)
        self._activity_slots = asyncio.Semaphore(config.activities)
        self._loop = asyncio.get_running_loop()
        self._reader = threading.Thread(target=self._read, name="task-hub", daemon=True)
        self._running = Tasks()
        self._accepting = True

    def start(self) -> None:
        """Begin to take work."""
        self._reader.start()

    def refuse_work(self) -> None:
        """Take no further work; running work continues."""
        self._accepting = False

    async def stop(self) -> None:
        """Take no further work, give what runs a moment to end, abandon the rest and close the task hub."""
        self.refuse_work()
        abandoned = await self._running.stop(_GRACE_S)
        if abandoned:
            _LOG.warning("Abandoned %d running orchestrator(s) or activities.", abandoned)
        self._backend.stop()
        self._reader.join(_GRACE_S)

    def _read(self) -> None:
        for item in self._backend.work_items():
            self._loop.call_soon_threadsafe(self._accept, item)

    def _accept(self, item: pb.WorkItem) -> None:
        if self._accepting:
            self._running.start(self._work(item))

    def _work(self, item: pb.WorkItem) -> Coroutine[Any, Any, None]:
        match item.WhichOneof("request"):
            case "orchestratorRequest":
                return self._orchestrate(item.orchestratorRequest, item.completionToken)
            case "activityRequest":
                return self._act(item.activityRequest, item.completionToken)
        return self._refuse(item)

    async def _refuse(self, item: pb.WorkItem) -> None:
        _LOG.error("The local host does not run entities: dropped an operation on %s.", item.entityRequestV2.instanceId)

    async def _orchestrate(self, request: pb.OrchestratorRequest, token: str) -> None:
        async with self._orchestrator_slots:
            response = await self._replay(request)
        response.completionToken = token
        self._backend.CompleteOrchestratorTask(response, None)

    async def _replay(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """Run one episode. An orchestrator that does not even answer is a failed one."""
        name = _orchestrator_name(request)
        try:
            function = _find(self._orchestrators, name, "an orchestrator")
            body = base64.b64encode(request.SerializeToString()).decode()
            answer = await self._invoker.call(function, func.OrchestrationContext(body))
            response: pb.OrchestratorResponse = pb.OrchestratorResponse.FromString(base64.b64decode(answer))
            return response
        except Exception as error:
            _LOG.exception("Orchestrator '%s' (%s) could not be run.", name, request.instanceId)
            failed = helpers.new_complete_orchestration_action(
                -1, pb.ORCHESTRATION_STATUS_FAILED, None, failure_details(error)
            )
            return pb.OrchestratorResponse(instanceId=request.instanceId, actions=[failed])

    async def _act(self, request: pb.ActivityRequest, token: str) -> None:
        async with self._activity_slots:
            response = await self._activity_response(request)
        response.completionToken = token
        self._backend.CompleteActivityTask(response, None)

    async def _activity_response(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        instance_id = request.orchestrationInstance.instanceId
        response = pb.ActivityResponse(instanceId=instance_id, taskId=request.taskId)
        try:
            function = _find(self._activities, request.name, "an activity")
            result = await self._invoker.call(function, _decode(request.input.value))
            response.result.value = _encode(result)
        except Exception as error:
            _LOG.exception("Activity '%s' of %s failed.", request.name, instance_id)
            response.failureDetails.CopyFrom(failure_details(error))
        return response


def failure_details(error: BaseException) -> pb.TaskFailureDetails:
    """Describe `error` as the real host does after the worker's report: the bare class name, message and stack.

    Never without a message: the in-memory backend takes a failure without one for a success.
    """
    kind = type(error).__name__
    details = pb.TaskFailureDetails(errorType=kind, errorMessage=str(error) or kind)
    details.stackTrace.value = "".join(traceback.format_exception(error))
    return details


def _orchestrator_name(request: pb.OrchestratorRequest) -> str:
    events = chain(request.pastEvents, request.newEvents)
    return next((event.executionStarted.name for event in events if event.HasField("executionStarted")), "")


def _find(functions: dict[str, HostedFunction], name: str, what: str) -> HostedFunction:
    function = functions.get(name.lower())
    if function is None:
        raise LookupError(f"The function '{name}' doesn't exist, is disabled, or is not {what} function.")
    return function


def _decode(value: str) -> Any:
    """Read an activity's input with the converter that the durable package registered; no input is null."""
    datum = meta.Datum(value or json.dumps(None), "json")
    return _converter().decode(datum, trigger_metadata=None)


def _encode(result: object) -> str:
    return str(_converter().encode(result, expected_type=None).value)


def _converter() -> Any:
    return meta.get_binding_registry().get(ACTIVITY)  # type: ignore[no-untyped-call]
