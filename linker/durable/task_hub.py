"""What is asked of the durable task hub: start a run, delete old history. The platform hands its client in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import grpc
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus

from linker.core.errors import TransientError
from linker.core.model import Ticket
from linker.core.runs.activity_values import RunRef
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.durable.orchestrators import ORCHESTRATOR
from linker.services.retention import BEGINNING, LONGEST, Forget
from linker.services.run_requests import Start

_ENDED: Final = [OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED]


def starter(client: AsyncTaskHubGrpcClient) -> Start:
    """Return what starts the orchestration of a run. Raises TransientError when the task hub does not take it."""

    async def start(ticket: Ticket) -> None:
        try:
            await client.schedule_new_orchestration(ORCHESTRATOR, input=to_json(ticket), instance_id=ticket.run)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise TransientError(
                    f"The task hub did not take run {ticket.run} ({error.code().name}). Nothing was written. "
                    "The watchdog starts its work once its lease has run out."
                ) from error

    return start


def start_run(client: AsyncTaskHubGrpcClient) -> Callable[[Deps, Ticket], Awaitable[RunRef]]:
    """Return the activity that starts the run after another one."""
    start = starter(client)

    async def start_run(_: Deps, ticket: Ticket) -> RunRef:
        await start(ticket)
        return RunRef(ticket.run)

    return start_run


def forgetter(client: AsyncTaskHubGrpcClient) -> Forget:
    """Return what deletes durable history."""

    async def forget(before: datetime) -> int:
        done = await client.purge_orchestrations_by(BEGINNING, before, _ENDED, timeout=LONGEST)
        return int(done.deleted_instance_count)

    return forget
