"""What the task hub does that durabletask's own in-memory backend does not."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from sandbox.host.backend import Backend
from sandbox.host.config import HostConfig

PATIENCE_S = 120.0
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED


class Bell(threading.Event):
    """Wakes who waits when it is rung, and never because some time is over."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(PATIENCE_S)


class Hub:
    """Plays the part of a worker: a thread takes work items, the test answers them."""

    def __init__(self, config: HostConfig) -> None:
        self.backend = Backend(config)
        self.items: Queue[pb.WorkItem] = Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for item in self.backend.work_items():
            self.items.put(item)

    def close(self) -> None:
        self.backend.stop()
        self.backend._work_available.set()
        self.reader.join(PATIENCE_S)

    def start(self, instance_id: str, **fields: Any) -> None:
        self.backend.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="any", **fields), None)

    def take(self) -> pb.WorkItem:
        return self.items.get(timeout=PATIENCE_S)

    def answer(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        response = pb.OrchestratorResponse(
            instanceId=item.orchestratorRequest.instanceId, actions=actions, completionToken=item.completionToken
        )
        self.backend.CompleteOrchestratorTask(response, None)

    def finish(self, item: pb.WorkItem, status: int = COMPLETED) -> None:
        self.answer(item, helpers.new_complete_orchestration_action(9, status, '"done"'))

    def finish_activity(self, item: pb.WorkItem) -> None:
        request = item.activityRequest
        instance_id = request.orchestrationInstance.instanceId
        response = pb.ActivityResponse(
            instanceId=instance_id, taskId=request.taskId, completionToken=item.completionToken
        )
        response.result.value = "1"
        self.backend.CompleteActivityTask(response, None)

    def running_activity(self, instance_id: str) -> pb.WorkItem:
        """Start an orchestration that waits for an activity, and take that activity."""
        self.start(instance_id)
        self.answer(self.take(), helpers.new_schedule_task_action(1, "work", None, None))
        return self.take()

    def terminate(self, instance_id: str) -> None:
        self.backend.TerminateInstance(pb.TerminateRequest(instanceId=instance_id), None)
        self.finish(self.take(), pb.ORCHESTRATION_STATUS_TERMINATED)


@pytest.fixture
async def hub(request: pytest.FixtureRequest) -> AsyncIterator[Hub]:
    hub = Hub(getattr(request, "param", HostConfig()))
    yield hub
    hub.close()


def kinds(item: pb.WorkItem) -> list[str]:
    """Names of the events that an episode brings."""
    return [str(event.WhichOneof("eventType")) for event in item.orchestratorRequest.newEvents]


def new_child(task_id: int, instance_id: str) -> pb.OrchestratorAction:
    return helpers.new_create_sub_orchestration_action(task_id, "any", instance_id, None, None)


async def test_a_result_that_comes_after_the_end_starts_nothing(hub: Hub) -> None:
    late = hub.running_activity("one")
    hub.terminate("one")
    hub.finish_activity(late)
    hub.start("other")
    assert hub.take().orchestratorRequest.instanceId == "other"


async def test_a_late_result_does_not_reach_the_next_execution_under_the_same_id(hub: Hub) -> None:
    late = hub.running_activity("one")
    hub.terminate("one")
    current = hub.running_activity("one")
    hub.finish_activity(late)
    hub.finish_activity(current)
    assert kinds(hub.take()) == ["orchestratorStarted", "taskCompleted"]


async def test_a_late_result_does_not_reach_an_orchestration_that_continued_as_new(hub: Hub) -> None:
    late = hub.running_activity("one")
    hub.backend.RaiseEvent(pb.RaiseEventRequest(instanceId="one", name="again"), None)
    hub.finish(hub.take(), pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)
    hub.finish_activity(late)
    assert kinds(hub.take()) == ["orchestratorStarted", "executionStarted"]


async def test_an_event_during_an_episode_makes_the_instance_due_at_once(hub: Hub) -> None:
    hub.start("one")
    item = hub.take()
    hub.backend._work_available = Bell()  # durabletask looks every 100 ms by itself, which would find the instance too
    for _ in range(10):
        hub.backend.RaiseEvent(pb.RaiseEventRequest(instanceId="one", name="more"), None)
        await asyncio.sleep(0.002)  # the reader looks at the queue while the episode still runs
        hub.answer(item)
        item = hub.take()
        assert kinds(item)[-1] == "eventRaised"


async def test_children_and_timers_hold_no_threads(hub: Hub) -> None:
    hub.start("parent")
    item = hub.take()
    before = set(threading.enumerate())
    later = datetime.now(UTC) + timedelta(hours=1)
    timers = [helpers.new_create_timer_action(number, later) for number in range(20)]
    hub.answer(item, *timers, *[new_child(number, f"child-{number}") for number in range(20, 40)])
    assert set(threading.enumerate()) <= before  # other threads of this process may end meanwhile


async def test_the_end_of_a_child_answers_its_parent(hub: Hub) -> None:
    hub.start("parent")
    hub.answer(hub.take(), new_child(1, "child"))
    hub.finish(hub.take())
    answered = hub.take()
    assert answered.orchestratorRequest.instanceId == "parent"
    assert answered.orchestratorRequest.newEvents[-1].subOrchestrationInstanceCompleted.result.value == '"done"'


async def test_the_termination_of_a_child_fails_its_parents_call(hub: Hub) -> None:
    hub.start("parent")
    hub.answer(hub.take(), new_child(1, "child"))
    hub.answer(hub.take())
    hub.terminate("child")
    failed = hub.take().orchestratorRequest.newEvents[-1].subOrchestrationInstanceFailed
    assert failed.failureDetails.errorMessage == "Orchestration 'child' was terminated."


@pytest.mark.parametrize("hub", [HostConfig(replaces_running=True)], indirect=True, ids=["AnyState"])
async def test_a_running_instance_is_replaced_where_host_json_allows_it(hub: Hub) -> None:
    hub.start("one")
    replaced = hub.take()
    hub.start("one", version={"value": "2"})
    hub.finish(replaced)
    assert hub.take().orchestratorRequest.newEvents[1].executionStarted.version.value == "2"
