"""No history grows beyond 2,000 events, however often and long Dataverse asks for pauses (docs/dev/proofs.md D17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from linker.core.model import Counts, Mode
from linker.core.runs.activity_values import Go, Prepared, ShardOutcome, SliceOutcome
from linker.core.runs.generation_values import Share, UnlinkOutcome, join_shares
from linker.core.serialization import MAX_BYTES, to_json
from linker.core.throttling.pace import Load
from linker.durable.orchestrators import scanning
from linker.durable.orchestrators.generation import FAULT_PATIENCE, GENERATION, link_generation
from linker.durable.orchestrators.run import customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, scan_mapping
from linker.durable.orchestrators.unlinking import UNLINKING, unlink_departed_rows
from tests.durable.orchestrators.fake_activities import ROWS, TICKET, Activities, shards_linked
from tests.fakes.durable import FakeContext

EVENTS_A_CALL = 4  # scheduled, completed, and the turn that it wakes
MAX_EVENTS = 2_000
MAX_CALLS_OF_ALL = 200_000  # a run that never ends fails its test
SLICE_S = 48.0  # of a lease of two minutes
DAY_S = 86_400.0

type ShardWork = Callable[[dict[str, Any]], ShardOutcome]


class Counting(FakeContext):
    """Knows what each instance called: its history is four times as long. The run itself is instance ''."""

    def __init__(self, **activities: Any) -> None:
        children = {GENERATION: link_generation, SCANNING: scan_mapping, UNLINKING: unlink_departed_rows}
        super().__init__(Activities(**{"report": _go, "renew": _go, **activities}).table(), children)
        self.calls: dict[str, int] = {"": 0}
        self._instance = ""
        self.run(customerid_backstamping_hydration, to_json(TICKET))

    def call_activity(self, name: str, **values: Any) -> Any:
        self.calls[self._instance] += 1
        if len(self.called) > MAX_CALLS_OF_ALL:
            pytest.fail("The run does not end.")
        return super().call_activity(name, **values)

    def create_timer(self, wait: Any) -> Any:
        self.calls[self._instance] += 1
        return super().create_timer(wait)

    def call_sub_orchestrator(self, name: str, *, instance_id: str, **values: Any) -> Any:
        self.calls[self._instance] += 1
        parent, self._instance, self.calls[instance_id] = self._instance, instance_id, 0
        answer = super().call_sub_orchestrator(name, instance_id=instance_id, **values)
        self._instance = parent
        return answer

    @property
    def longest(self) -> int:
        """Events of the longest history."""
        return EVENTS_A_CALL * max(self.calls.values())


def _go(_: Any) -> Go:
    return Go(slice_s=SLICE_S)


def throttled(wait_s: float) -> ShardOutcome:
    return ShardOutcome(later_s=wait_s, later_reason="pause", load=Load(throttled=True))


def every_second(wait_s: float) -> ShardWork:
    """Shards of which every second call is throttled."""
    calls: list[int] = []

    def link_shard(task: dict[str, Any]) -> ShardOutcome:
        calls.append(task["number"])
        return throttled(wait_s) if len(calls) % 2 else ShardOutcome(ROWS)

    return link_shard


def once(outcome: ShardOutcome) -> ShardWork:
    """Shards of which the first call comes to this."""
    first = [outcome]
    return lambda _: first.pop() if first else ShardOutcome(ROWS)


@pytest.mark.parametrize(
    ("shards", "link_shard"),
    [
        pytest.param(400, every_second(300.0), id="many pauses"),
        pytest.param(400, once(throttled(DAY_S)), id="a long one"),
        pytest.param(400, once(ShardOutcome(later_s=5.0, later_reason="busy")), id="none"),
    ],
)
def test_shards_that_are_paused_make_more_generations_and_no_longer_ones(shards: int, link_shard: ShardWork) -> None:
    ctx = Counting(shards=shards, link_shard=link_shard)
    assert ctx.longest < MAX_EVENTS
    assert ctx.of("end_table")[0]["totals"]["pages"] == len(shards_linked(ctx)) == shards
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}


def test_a_pause_that_outlasts_its_generation_is_kept_to_its_end() -> None:
    ctx = Counting(shards=40, link_shard=once(throttled(DAY_S)))
    starts = [at for at, name, _ in ctx.called if name == "link_shard"]
    before = [at for at in starts if at < DAY_S / 2]
    assert max(before) < SLICE_S
    assert min(starts[len(before) :]) >= DAY_S
    paused = [task["pausedS"] for task in ctx.of("report") if task["pausedS"]]
    assert paused == sorted(paused, reverse=True)
    assert len(ctx.child_ids) > 2


def test_a_shard_that_never_succeeds_fails_in_the_end_over_however_many_generations() -> None:
    ctx = Counting(
        shards=2,
        report=lambda _: Go(slice_s=2.0),
        link_shard=lambda task: (
            ShardOutcome(later_s=60.0, later_reason="busy") if task["number"] else ShardOutcome(ROWS)
        ),
    )
    assert shards_linked(ctx) == {("contact", 0): 1, ("contact", 1): FAULT_PATIENCE}
    assert len(ctx.child_ids) > 1
    assert "busy" in ctx.of("end_table")[0]["totals"]["failed"]
    assert ctx.longest < MAX_EVENTS


def test_a_scan_of_very_many_slices_makes_more_children_and_no_longer_ones() -> None:
    left = [40] * 30

    def scan_slice(task: dict[str, Any]) -> SliceOutcome:
        left[task["stream"]] -= 1
        return SliceOutcome(done=not left[task["stream"]], rows=1)

    ctx = Counting(prepare_table=lambda task: Prepared(task["table"], "s1", 30), scan_slice=scan_slice)
    assert ctx.longest < MAX_EVENTS
    assert len(ctx.of("scan_slice")) == 30 * 40
    assert len(ctx.of("link_shard")) == 3
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}


@pytest.mark.parametrize("slice_s", [2.0, SLICE_S])
@pytest.mark.parametrize("streams", [1, 40])
def test_a_mapping_that_is_never_read_fails_its_table_in_the_end_over_however_many_children(
    slice_s: float, streams: int
) -> None:
    ctx = Counting(
        prepare_table=lambda task: Prepared(task["table"], "s1", streams),
        scan_slice=lambda _: SliceOutcome(later_s=5.0, later_reason="busy"),
        renew=lambda _: Go(slice_s=slice_s),
        report=lambda _: Go(slice_s=slice_s),
    )
    assert "busy" in ctx.of("end_table")[0]["failed"]
    assert len(ctx.of("scan_slice")) <= streams * scanning.PATIENCE
    assert ctx.longest < MAX_EVENTS
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}


@pytest.mark.parametrize("later_s", [0.0, 300.0, DAY_S / 10])
def test_an_unlinking_pass_continues_in_children_when_the_run_has_no_more_room(later_s: float) -> None:
    calls = 1_000 if not later_s else 60
    left = [UnlinkOutcome(Counts(unlinked=1), f"p{n:04}", later_s=later_s) for n in range(calls)]
    answers = iter([*left, UnlinkOutcome(Counts(unlinked=1))])
    ctx = Counting(link_shard=lambda _: ShardOutcome(ROWS, departed=1), unlink_table=lambda _: next(answers))
    assert ctx.longest < MAX_EVENTS
    assert ctx.of("end_table")[0]["unlinking"] == to_json(Counts(unlinked=calls + 1))
    assert [task["after"] for task in ctx.of("unlink_table")] == ["", *(outcome.after for outcome in left)]
    assert ctx.now_s >= calls * later_s


def test_an_unlinking_pass_that_is_canceled_in_a_child_keeps_what_it_did() -> None:
    renewals: list[str] = []

    def renew(task: dict[str, Any]) -> Go:
        renewals.append(task["run"])
        return Go(cancel=len(renewals) > 250, slice_s=SLICE_S)

    ctx = Counting(
        link_shard=lambda _: ShardOutcome(ROWS, departed=1),
        unlink_table=lambda task: UnlinkOutcome(Counts(unlinked=1), f"{task['after']}p", later_s=60.0),
        renew=renew,
    )
    (end,) = ctx.of("end_table")
    assert (end["canceled"], end["unlinking"]["unlinked"]) == (True, len(ctx.of("unlink_table")))
    assert [child for child in ctx.child_ids if "-u0-" in child]
    assert ctx.of("end_run")[0]["status"] == "Canceled"


def test_shards_that_are_left_are_handed_on_as_the_fewest_shares() -> None:
    def shard(number: int, table: str = "contact", tries: int = 0) -> Share:
        return Share(table, "s1", number, number + 1, Mode.FULL, "run1", tries)

    shards = [shard(4), shard(1), shard(2), shard(0, "lead"), shard(3, tries=2), shard(0)]
    assert join_shares(shards) == (
        Share("contact", "s1", 0, 3, Mode.FULL, "run1"),
        shard(3, tries=2),
        shard(4),
        shard(0, "lead"),
    )
    assert join_shares([]) == ()
