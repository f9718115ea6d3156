"""Where the app meets the durable runtime.

Activities take JSON and return JSON, with expected failures as values instead of exceptions. The task hub starts runs and
deletes old history; the platform hands its client in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import grpc
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus

from linker.adapters import telemetry
from linker.core.errors import FaultError, LinkerError, TransientError, without_secrets
from linker.core.model import Ticket
from linker.core.runs.activity_values import Go, RunRef, Trouble
from linker.core.runs.run_lock import Renewal
from linker.core.serialization import from_json, to_json
from linker.deps import Deps
from linker.durable.orchestrators import ORCHESTRATOR
from linker.services.housekeeping import BEGINNING, LONGEST, Forget
from linker.services.run_requests import Start

_LOG = logging.getLogger(__name__)
RENEWALS = 3  # a lease is renewed so many times in its length while an activity works


async def run_activity[T](
    work: Callable[[Deps, T], Awaitable[object]], kind: type[T], deps: Deps, data: Any
) -> dict[str, Any]:
    """Run one activity and return its answer, or the Trouble that kept it from its work. The run's lock is kept meanwhile."""
    task = from_json(kind, data)
    try:
        with telemetry.activity(work.__name__, task):
            async with _keeping_lock(deps, str(getattr(task, "run", ""))):
                answer = await work(deps, task)
            telemetry.record_answer(answer, task)
            return to_json(answer)
    except TransientError as error:
        _LOG.warning("%s: %s", work.__name__, error)
        return to_json(Trouble(_told(error), max(error.wait_s, 1.0)))
    except LinkerError as error:
        _LOG.error("%s: %s", work.__name__, error)
        return to_json(Trouble(_told(error)))
    except Exception as error:
        raise _fault(work.__name__, error) from None


async def check_may_continue(deps: Deps, run: str) -> None:
    """Let an activity that takes long stop early: the wait that it asks for shows its orchestrator why.

    Raises TransientError when the run was canceled, or another one holds the lock.
    """
    state = await deps.lock.peek()
    if state.cancel == run or (state.holder is not None and state.holder.run != run):
        raise TransientError("This run is stopping: it was canceled, or another run took over.")


def max_wait_s(deps: Deps) -> float:
    """Return the longest wait without a heartbeat: less than half a lease, so that one that fails costs nothing."""
    return deps.settings.lease_seconds / 2.5


def go_of(deps: Deps, renewal: Renewal) -> Go:
    """Return what an orchestrator learns of a heartbeat."""
    return Go(renewal.held, renewal.cancel, max_wait_s(deps))


async def run_tick(name: str, work: Callable[[], Awaitable[object]], *, comes_again: bool = True) -> None:
    """Do what a tick or an event asks for; one that cannot do its work says so and leaves it to the next tick.

    What does not come again by itself raises FaultError for a passing fault: the platform's retry policy repeats it then.
    """
    try:
        await work()
    except LinkerError as error:
        if isinstance(error, TransientError) and not comes_again:
            raise FaultError(f"{name} started nothing and is to be tried again: {_told(error)}") from None
        _LOG.warning("%s started nothing, the next tick tries again: %s", name, error)
    except Exception as error:
        raise _fault(name, error) from None


def _told(error: LinkerError) -> str:
    """Return the words that the durable history keeps and the status shows."""
    return without_secrets(str(error))[:1000]


def _fault(name: str, error: Exception) -> FaultError:
    """Log an unforeseen error and return what the platform may keep of it, in histories and telemetry of its own."""
    _LOG.error("%s broke off", name, exc_info=error)
    return FaultError(f"{name} broke off: {type(error).__name__}. This is a fault of the app; its log says where.")


@contextlib.asynccontextmanager
async def _keeping_lock(deps: Deps, run: str) -> AsyncIterator[None]:
    """Renew the lock of `run` for as long as the work inside takes."""
    beat = asyncio.create_task(_renew_often(deps, run)) if run else None
    try:
        yield
    finally:
        if beat is not None:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat


async def _renew_often(deps: Deps, run: str) -> None:
    while True:
        await asyncio.sleep(deps.settings.lease_seconds / RENEWALS)
        with contextlib.suppress(LinkerError):  # the next renewal may succeed; without one the watchdog decides
            await deps.lock.renew(run)


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
