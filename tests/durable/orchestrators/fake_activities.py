"""Activities that succeed, and a run over them: the ground of the tests of orchestrators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from linker.core.model import Counts, Mode, RunRequest, Status, Ticket
from linker.core.runs.activity_values import (
    Ended,
    Go,
    Prepared,
    RunRef,
    Settled,
    ShardOutcome,
    Shards,
    SliceOutcome,
    Survey,
)
from linker.core.runs.generation_values import Strays, UnlinkOutcome
from linker.core.serialization import to_json
from linker.core.throttling.pace import Load
from linker.durable.orchestrators.generation import (
    GENERATION,
    link_generation,
)
from linker.durable.orchestrators.run import customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, scan_mapping
from tests.fakes.durable import Activity, FakeContext

TICKET = Ticket("run1", RunRequest())


ROWS = Counts(rows_read=10, linked=10)


class Activities:
    """Activities that succeed, each of which a test may replace."""

    def __init__(
        self, *, shards: int = 3, tables: tuple[str, ...] = ("contact",), **others: Callable[[Any], object]
    ) -> None:
        self.others = others
        self.standard: dict[str, Callable[[Any], object]] = {
            "begin_run": lambda _: Go(),
            "renew": lambda _: Go(),
            "settle": lambda _: Settled(),
            "survey": lambda _: Survey(tables),
            "prepare_table": lambda task: Prepared(task["table"], "s1", 1, Mode(task["mode"])),
            "scan_slice": lambda _: SliceOutcome(done=True),
            "plan_shards": lambda _: Shards(shards),
            "link_shard": lambda _: ShardOutcome(ROWS),
            "unlink_table": lambda task: UnlinkOutcome(Counts(unlinked=task["departed"])),
            "find_strays": lambda _: Strays(),
            "report": lambda _: Go(),
            "end_table": lambda task: RunRef(task["run"]),
            "end_run": lambda task: Ended(Status(task["status"] or Status.SUCCESSFUL)),
            "start_run": lambda task: RunRef(task["run"]),
        }

    def table(self) -> dict[str, Activity]:
        def jsonly(work: Callable[[Any], object]) -> Activity:
            return lambda task: to_json(work(task))

        return {name: jsonly(work) for name, work in {**self.standard, **self.others}.items()}


def context(**values: Any) -> FakeContext:
    return FakeContext(Activities(**values).table(), {GENERATION: link_generation, SCANNING: scan_mapping})


def run(ctx: FakeContext, ticket: Ticket = TICKET) -> dict[str, Any]:
    return ctx.run(customerid_backstamping_hydration, to_json(ticket))


def shards_linked(ctx: FakeContext) -> Counter[tuple[str, int]]:
    return Counter((task["table"], task["number"]) for task in ctx.of("link_shard"))


def throttles(*, at_shard: int, wait_s: float) -> Callable[[Any], ShardOutcome]:
    told: list[int] = []

    def link_shard(task: Any) -> ShardOutcome:
        if task["number"] == at_shard and not told:
            told.append(at_shard)
            return ShardOutcome(later_s=wait_s, later_reason="pause", load=Load(throttled=True))
        return ShardOutcome(ROWS)

    return link_shard
