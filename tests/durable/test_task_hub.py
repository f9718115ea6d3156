"""What is asked of the task hub, and what its refusals mean."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from durabletask.client import OrchestrationStatus

from linker.core.errors import TransientError
from linker.core.model import RunRequest, Ticket
from linker.core.runs.activity_values import RunRef
from linker.core.serialization import to_json
from linker.durable import boundary
from linker.durable.orchestrators import ORCHESTRATOR
from tests.fakes.world import World

TICKET = Ticket("run1", RunRequest(jobs=("job",)))


class Client:
    """A task hub's client that answers with a status."""

    def __init__(self, refuses: grpc.StatusCode | None = None) -> None:
        self.refuses = refuses
        self.asked: list[Any] = []

    async def schedule_new_orchestration(self, name: str, **options: Any) -> str:
        self.asked.append((name, options))
        if self.refuses:
            raise grpc.aio.AioRpcError(self.refuses, grpc.aio.Metadata(), grpc.aio.Metadata())
        return str(options["instance_id"])

    async def purge_orchestrations_by(self, *filters: Any, **options: Any) -> Any:
        self.asked.append((*filters, options))
        return SimpleNamespace(deleted_instance_count=3)


@pytest.mark.parametrize("refuses", [None, grpc.StatusCode.ALREADY_EXISTS], ids=["new", "started before"])
async def test_a_run_is_started_once_under_its_own_id(refuses: grpc.StatusCode | None) -> None:
    client = Client(refuses)
    started = await boundary.start_run(client)(World().deps, TICKET)  # type: ignore[arg-type]
    assert started == RunRef("run1")
    assert client.asked == [(ORCHESTRATOR, {"input": to_json(TICKET), "instance_id": "run1"})]


async def test_a_task_hub_that_does_not_answer_is_worth_another_try() -> None:
    with pytest.raises(TransientError, match=r"run1 \(UNAVAILABLE\)"):
        await boundary.starter(Client(grpc.StatusCode.UNAVAILABLE))(TICKET)  # type: ignore[arg-type]


async def test_only_history_that_has_ended_is_deleted_for_so_long() -> None:
    client, before = Client(), datetime(2026, 11, 1, tzinfo=UTC)
    assert await boundary.forgetter(client)(before) == 3  # type: ignore[arg-type]
    ((first, end, statuses, options),) = client.asked
    assert (first < end, end, options) == (True, before, {"timeout": timedelta(minutes=5)})
    assert not {OrchestrationStatus.RUNNING, OrchestrationStatus.PENDING} & set(statuses)
