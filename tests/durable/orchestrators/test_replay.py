"""Histories: the same answers lead to the same calls, and what is stored stays small."""

from __future__ import annotations

import pytest
from durabletask.client import TaskHubGrpcClient
from durabletask.testing import create_test_backend
from durabletask.worker import TaskHubGrpcWorker

from linker.core.model import Counts, RunRequest, Ticket
from linker.core.runs.activity_values import (
    ShardOutcome,
)
from linker.core.serialization import MAX_BYTES, to_json
from linker.durable.orchestrators.generation import (
    GENERATION,
    GENERATION_SHARDS,
    link_generation,
)
from linker.durable.orchestrators.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, scan_mapping
from sandbox.server.azurite import lasting_port
from tests.durable.orchestrators.fake_activities import TICKET, Activities, context, run, throttles

# ---- durable ----


def test_the_same_answers_lead_to_the_same_calls() -> None:
    ctxs = [
        context(shards=30, tables=("contact", "lead"), link_shard=throttles(at_shard=7, wait_s=70.0)) for _ in range(2)
    ]
    for ctx in ctxs:
        run(ctx)
    assert ctxs[0].called == ctxs[1].called


@pytest.mark.parametrize(("number", "shards"), [(6, 400), (50, 3), (50, 30)])
def test_inputs_and_outputs_of_a_large_run_stay_small(number: int, shards: int) -> None:
    tables = tuple(f"contoso_quite_a_long_table_name_{n}" for n in range(number))
    many = Counts(rows_read=1_234_567, linked=234_567, unchanged=1_000_000)
    ctx = context(shards=shards, tables=tables, link_shard=lambda _: ShardOutcome(many, departed=1))
    run(ctx, Ticket("20261123T212534Z-0123abcd", RunRequest(jobs=("x" * 36,) * 10)))
    ends = [end["totals"] for end in ctx.of("end_table")]
    assert [(totals["pages"], totals["counts"]["linked"]) for totals in ends] == [
        (shards, shards * many.linked)
    ] * number
    told = ctx.of("report")[-1]
    assert (told["pagesDone"], told["counts"]["linked"]) == (shards * number, shards * number * many.linked)
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}


def test_the_history_of_a_generation_stays_below_2000_events() -> None:
    """Measured on durabletask's backend: a run of one full generation, its parent and its child (docs/dev/proofs.md D17)."""
    port = lasting_port()
    backend, address = create_test_backend(port=port), f"127.0.0.1:{port}"
    activities = Activities(shards=GENERATION_SHARDS).table()
    try:
        with TaskHubGrpcWorker(host_address=address) as worker:
            for name, work in activities.items():
                worker._registry.add_named_activity(name, lambda _, task, work=work: work(task))
            worker._registry.add_named_orchestrator(ORCHESTRATOR, customerid_backstamping_hydration)
            worker._registry.add_named_orchestrator(GENERATION, link_generation)
            worker._registry.add_named_orchestrator(SCANNING, scan_mapping)
            worker.start()
            client = TaskHubGrpcClient(host_address=address)
            client.schedule_new_orchestration(ORCHESTRATOR, input=to_json(TICKET), instance_id="run1")
            state = client.wait_for_orchestration_completion("run1", timeout=300)
            assert state is not None
            assert state.runtime_status.name == "COMPLETED"
            events = {name: len(found.history) for name, found in backend._instances.items()}
    finally:
        backend.stop()
    assert events.keys() == {"run1", "run1-s0-0", "run1-g0"}
    assert events["run1-g0"] > GENERATION_SHARDS
    assert max(events.values()) < 2_000, events
