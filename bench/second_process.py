"""Another process of the linker on the same task hub: `python -m bench.second_process ADDRESS`. It links shards and no more.

The platform starts another instance when work waits; here the host hands every other shard to this process.
"""

from __future__ import annotations

import asyncio
import json
import sys

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from linker import bootstrap
from linker.durable import boundary
from linker.durable.activities import ACTIVITIES

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def main(address: str) -> None:
    """Take work until the task hub ends."""
    running = set[asyncio.Task[None]]()
    async with grpc.aio.insecure_channel(address, _UNLIMITED) as channel:
        hub = TaskHubSidecarServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        async for item in hub.GetWorkItems(pb.GetWorkItemsRequest()):
            task = asyncio.create_task(_act(hub, item))
            running.add(task)
            task.add_done_callback(running.discard)


async def _act(hub: TaskHubSidecarServiceStub, item: pb.WorkItem) -> None:
    request = item.activityRequest
    work, kind = ACTIVITIES[request.name]
    answer = await boundary.run_activity(work, kind, bootstrap.deps(), json.loads(request.input.value))
    response = pb.ActivityResponse(
        instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId, completionToken=item.completionToken
    )
    response.result.value = json.dumps(answer)
    await hub.CompleteActivityTask(response)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except grpc.aio.AioRpcError:
        sys.exit(0)  # the host ended, and its task hub with it
