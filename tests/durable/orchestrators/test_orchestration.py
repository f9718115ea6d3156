"""The orchestrators with fake activities: every shard once, the window, throttles, cancelling, failures, replay, history."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from durabletask.client import TaskHubGrpcClient
from durabletask.testing import create_test_backend
from durabletask.worker import TaskHubGrpcWorker

from linker.core.model import Counts, Mode, RunRequest, Status, Ticket, UnlinkAllowance
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
    Trouble,
)
from linker.core.runs.generation_values import Strays, UnlinkOutcome
from linker.core.runs.signals import Marks
from linker.core.serialization import MAX_BYTES, to_json
from linker.core.throttling.pace import MAX_SHARDS, SPARE, Load, Pace, shards_in_flight
from linker.durable.orchestrators import scanning
from linker.durable.orchestrators.activity_calls import MAX_CALLS, MAX_TRIES
from linker.durable.orchestrators.generation import (
    FAULT_PATIENCE,
    GENERATION,
    GENERATION_SHARDS,
    LONGEST_WAIT_S,
    link_generation,
)
from linker.durable.orchestrators.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, STREAMS_AT_ONCE, scan_mapping
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


def test_a_run_goes_its_way_in_order() -> None:
    ctx = context(shards=1)
    assert run(ctx)["status"] == "Successful"
    assert [name for name in ctx.names() if name != "report"] == [
        "begin_run", "settle", "survey", "prepare_table", "renew", "scan_slice", "plan_shards", "link_shard", "end_table",
        "end_run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "shards", [1, GENERATION_SHARDS - 1, GENERATION_SHARDS, GENERATION_SHARDS + 1, 2 * GENERATION_SHARDS + 7]
)
def test_generations_cover_every_shard_of_every_table_once(shards: int) -> None:
    ctx = context(shards=shards, tables=("contact", "lead"))
    run(ctx)
    assert shards_linked(ctx) == {(table, number): 1 for table in ("contact", "lead") for number in range(shards)}
    assert len(ctx.child_ids) == len(set(ctx.child_ids)) == 1 + -(-2 * shards // GENERATION_SHARDS)
    ends = {end["table"]: end["totals"] for end in ctx.of("end_table")}
    assert {table: end["counts"]["linked"] for table, end in ends.items()} == {
        "contact": 10 * shards,
        "lead": 10 * shards,
    }


def paced(width: int) -> Load:
    return Load(Pace(width, hint=width, at_s=1.0))


@pytest.mark.parametrize(
    ("width", "flying"),
    [
        pytest.param(1, 3, id="two shards read while one writes"),
        pytest.param(48, MAX_SHARDS, id="no more than the platform runs"),
    ],
)
def test_each_shard_in_flight_may_use_the_whole_width(width: int, flying: int) -> None:
    ctx = context(shards=200, link_shard=lambda _: ShardOutcome(ROWS, load=paced(width)))
    run(ctx)
    assert {task["lanes"] for task in ctx.of("link_shard")[50:]} == {width}
    assert ctx.most_flying == max(flying, shards_in_flight(Pace()))


def test_the_pace_that_a_shard_reports_goes_to_the_next_shards() -> None:
    found = Pace(3, 700, hint=3, at_s=1.0)
    ctx = context(shards=10, link_shard=lambda _: ShardOutcome(ROWS, load=Load(found)))
    run(ctx)
    paces = [task["pace"] for task in ctx.of("link_shard")]
    assert (paces[0], paces[-1]) == (to_json(Pace()), to_json(found))


def throttles(*, at_shard: int, wait_s: float) -> Callable[[Any], ShardOutcome]:
    told: list[int] = []

    def link_shard(task: Any) -> ShardOutcome:
        if task["number"] == at_shard and not told:
            told.append(at_shard)
            return ShardOutcome(later_s=wait_s, later_reason="pause", load=Load(throttled=True))
        return ShardOutcome(ROWS)

    return link_shard


def test_a_throttle_pauses_every_shard_for_as_long_as_dataverse_asked() -> None:
    ctx = context(shards=40, link_shard=throttles(at_shard=10, wait_s=90.0))
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "link_shard"]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert max(gaps) >= 90.0
    assert shards_linked(ctx)[("contact", 10)] == 2
    assert sum(shards_linked(ctx).values()) == 41
    assert any(task["pausedS"] for task in ctx.of("report"))


def test_a_throttle_that_all_shards_in_flight_feel_is_one_pause() -> None:
    felt: set[int] = set()

    def link_shard(task: Any) -> ShardOutcome:
        if task["number"] < 4 and task["number"] not in felt:
            felt.add(task["number"])
            return ShardOutcome(later_s=30.0, later_reason="pause", load=Load(throttled=True))
        return ShardOutcome(ROWS)

    ctx = context(shards=8, link_shard=link_shard)
    run(ctx)
    assert ctx.now_s < 60


def test_a_pause_renews_the_lock_in_slices() -> None:
    ctx = context(shards=1, link_shard=throttles(at_shard=0, wait_s=90.0), report=lambda _: Go(slice_s=20.0))
    run(ctx)
    assert [task for _, name, task in ctx.called if name == "timer"] == [
        20.0,
        20.0,
        20.0,
        20.0,
        6.0,
    ]  # reports take a second each


def test_a_shard_that_never_gets_its_turn_fails_its_table_in_the_end() -> None:
    ctx = context(
        shards=2,
        link_shard=lambda task: (
            ShardOutcome(later_s=1.0, later_reason="held") if task["number"] else ShardOutcome(ROWS)
        ),
    )
    run(ctx)
    assert "held" in ctx.of("end_table")[0]["totals"]["failed"]


def test_a_failed_shard_fails_its_table_and_no_other() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(failed="no") if (task["table"], task["number"]) == ("contact", 1) else ShardOutcome(ROWS)

    ctx = context(tables=("contact", "lead"), link_shard=link_shard)
    run(ctx)
    ends = {end["table"]: end for end in ctx.of("end_table")}
    assert ends["contact"]["totals"]["failed"] == "no"
    assert ends["lead"]["totals"]["failed"] == ""
    assert [task["table"] for task in ctx.of("link_shard")].count("lead") == 3


def test_what_fails_one_shard_starts_no_other_of_its_table() -> None:
    ctx = context(shards=100, link_shard=lambda _: ShardOutcome(failed="no"))
    run(ctx)
    assert sum(shards_linked(ctx).values()) <= shards_in_flight(Pace())


@pytest.mark.parametrize("shards", [2, 3])
def test_a_shard_that_waits_when_its_table_fails_is_left_out(shards: int) -> None:
    waits = ShardOutcome(later_s=60.0, later_reason="held", held=True)
    ctx = context(shards=shards, link_shard=lambda task: ShardOutcome(failed="no") if task["number"] else waits)
    run(ctx)
    (end,) = ctx.of("end_table")
    assert end["totals"]["failed"] == "no"
    assert ctx.of("end_run")[0]["status"] is None  # the run itself did not fail


@pytest.mark.parametrize(
    ("trouble", "tries"), [(Trouble("gone for good"), 1), (Trouble("passing", 2.0), FAULT_PATIENCE)]
)
def test_a_shard_whose_activity_could_not_begin_is_never_counted_as_done(trouble: Trouble, tries: int) -> None:
    ctx = context(shards=1, link_shard=lambda _: trouble)
    run(ctx)
    totals = ctx.of("end_table")[0]["totals"]
    assert trouble.trouble in totals["failed"]
    assert len(ctx.of("link_shard")) == tries


def test_a_shard_that_fails_for_a_while_is_tried_ever_later_and_shown_until_it_is_done() -> None:
    fails = [ShardOutcome(later_s=5.0, later_reason="busy")] * 7
    ctx = context(shards=2, link_shard=lambda task: fails.pop() if task["number"] and fails else ShardOutcome(ROWS))
    assert run(ctx)["status"] == "Successful"
    tries = [at for at, name, task in ctx.called if name == "link_shard" and task["number"]]
    waits = [round(later - earlier - 1) for earlier, later in pairwise(tries)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (pytest.approx(5, abs=3), pytest.approx(LONGEST_WAIT_S, abs=3))
    told = [(report["pagesDone"], report["trouble"], report["pausedS"]) for report in ctx.of("report")]
    assert (1, "busy", 0.0) in told
    assert told[-1] == (2, "", 0.0)
    assert all(trouble == "busy" for done, trouble, _ in told[3:-1] if done == 1)


def test_a_table_that_could_not_be_prepared_leaves_the_others_alone() -> None:
    def prepare(task: Any) -> Prepared:
        return Prepared("contact", failed="no column") if task["table"] == "contact" else Prepared("lead", "s1", 2)

    ctx = context(tables=("contact", "lead"), prepare_table=prepare)
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["no column", ""]
    assert {task["table"] for task in ctx.of("link_shard")} == {"lead"}


def test_a_table_that_is_busy_is_prepared_again() -> None:
    answers = [Prepared("contact", failed="busy", retry_s=5.0), Prepared("contact", "s1", 1)]
    ctx = context(prepare_table=lambda _: answers.pop(0))
    run(ctx)
    assert ctx.of("end_table")[0]["failed"] == ""


def test_a_table_whose_definitions_are_locked_is_waited_for_as_long_as_an_import_takes() -> None:
    answers = [Prepared("contact", failed="locked", retry_s=15.0)] * 7 + [Prepared("contact", "s1", 1)]
    ctx = context(prepare_table=lambda _: answers.pop(0), renew=lambda _: Go(slice_s=50.0))
    run(ctx)
    asked = [at for at, name, _ in ctx.called if name == "prepare_table"]
    waits = [round(later - earlier, -1) for earlier, later in pairwise(asked)]
    assert waits == [20, 30, 60, 120, 240, 300, 300]
    assert ctx.of("end_table")[0]["failed"] == ""


def test_tables_that_stay_locked_share_the_time_to_wait() -> None:
    tables = tuple(f"t{number}" for number in range(30))
    ctx = context(tables=tables, prepare_table=lambda task: Prepared(task["table"], failed="locked", retry_s=15.0))
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["locked"] * 30
    assert len(ctx.of("prepare_table")) < 2 * 30
    assert len(ctx.of("renew")) < 60


def test_a_step_that_fails_for_good_fails_the_run_with_its_own_words() -> None:
    ctx = context(survey=lambda _: Trouble("Dataverse has no mapping."))
    assert run(ctx)["status"] == "Failed (permanent)"
    assert ctx.of("end_run")[0]["detail"] == "Dataverse has no mapping."


@pytest.mark.parametrize("step", ["settle", "survey"])
def test_a_step_that_breaks_off_every_time_ends_the_run_as_retrying_and_hands_the_lock_on(step: str) -> None:
    ctx = context(**{step: lambda _: 1 / 0})
    assert run(ctx)["status"] == "Failed (retrying)"
    assert len(ctx.of(step)) == MAX_TRIES
    assert f"{step} broke off" in ctx.of("end_run")[0]["detail"]


@pytest.mark.parametrize("step", ["prepare_table", "scan_slice", "plan_shards", "link_shard", "unlink_table"])
@pytest.mark.parametrize("fails", [lambda _: 1 / 0, lambda _: Trouble("no")], ids=["breaks off", "for good"])
def test_a_step_of_one_table_that_fails_leaves_the_others_alone(step: str, fails: Callable[[Any], object]) -> None:
    def of_contact(task: Any) -> object:
        return fails(task) if task["table"] == "contact" else standard[step](task)

    standard = Activities(tables=("contact", "lead")).standard
    standard["link_shard"] = lambda _: ShardOutcome(ROWS, departed=1)
    ctx = context(tables=("contact", "lead"), **(standard | {step: of_contact}))
    run(ctx, Ticket("run1", RunRequest(Mode.VERIFY)))
    ends = {end["table"]: end["failed"] or end["totals"]["failed"] for end in ctx.of("end_table")}
    assert ends["contact"]
    assert ends["lead"] == ""


@pytest.mark.parametrize("fails", [lambda _: 1 / 0, lambda _: Trouble("no")], ids=["breaks off", "for good"])
def test_a_look_at_all_links_that_fails_leaves_the_table_to_be_linked(fails: Callable[[Any], object]) -> None:
    ctx = context(prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=True), find_strays=fails)
    assert run(ctx)["status"] == "Successful"
    assert [(end["failed"], end["strays"]) for end in ctx.of("end_table")] == [("", 0)]
    assert sum(shards_linked(ctx).values()) == 3


def test_a_step_that_fails_for_a_while_is_repeated_ever_later_and_both_is_shown() -> None:
    answers: list[object] = [Trouble("busy", 2.0), Trouble("busy", 2.0), Survey(("contact",))]
    ctx = context(survey=lambda _: answers.pop(0))
    assert run(ctx)["status"] == "Successful"
    assert [beat["trouble"] for beat in ctx.of("renew")] == ["busy", "busy", "busy", "", None]
    asked = [at for at, name, _ in ctx.called if name == "survey"]
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[0] < waits[1]


def test_an_unlinking_pass_that_is_canceled_keeps_what_it_did() -> None:
    outcomes = [UnlinkOutcome(Counts(unlinked=2), after="p1", later_s=1.0)]
    ctx = context(
        link_shard=lambda _: ShardOutcome(ROWS, departed=1),
        unlink_table=lambda _: outcomes.pop(0),
        renew=lambda _: Go(cancel=not outcomes),
    )
    assert run(ctx)["status"] == "Canceled"
    (end,) = ctx.of("end_table")
    assert (end["canceled"], end["unlinking"]["unlinked"]) == (True, 2)


# ---- cancelling and losing the lock ----


def stops_at(report: int, go: Go) -> Callable[[Any], Go]:
    told = Counter[str]()

    def answer(_: Any) -> Go:
        told["report"] += 1
        return go if told["report"] >= report else Go()

    return answer


def test_cancelling_lets_the_shards_in_flight_finish_and_starts_no_more() -> None:
    ctx = context(shards=100, report=stops_at(5, Go(cancel=True)))
    ended = run(ctx)
    assert ended["status"] == "Canceled"
    assert ctx.flying == 0
    assert 4 <= sum(shards_linked(ctx).values()) < 100
    end = ctx.of("end_table")[0]
    assert end["canceled"]
    assert end["totals"]["pages"] == sum(shards_linked(ctx).values())
    assert not ctx.of("unlink_table")


def test_cancelling_a_run_of_very_many_shards_starts_no_more_than_are_in_flight() -> None:
    """Its news are far apart: the first shard that gives way brings the next ones."""
    begun: list[int] = []

    def page(task: Any) -> ShardOutcome:
        begun.append(task["number"])
        is_over = len(begun) > 50
        return ShardOutcome(later_s=1.0, later_reason="This run is stopping.") if is_over else ShardOutcome(ROWS)

    ctx = context(shards=5_000, link_shard=page, report=lambda _: Go(cancel=len(begun) > 50))
    assert run(ctx)["status"] == "Canceled"
    assert len(begun) <= 50 + 2 * (Pace().ceiling + SPARE)


def test_cancelling_during_a_pause_does_not_wait_for_its_end() -> None:
    ctx = context(
        shards=1, link_shard=throttles(at_shard=0, wait_s=3_600.0), report=stops_at(4, Go(cancel=True, slice_s=10.0))
    )
    assert run(ctx)["status"] == "Canceled"
    assert ctx.now_s < 120


def test_a_run_that_lost_the_lock_ends_nothing_and_starts_nothing() -> None:
    ctx = context(shards=50, report=stops_at(3, Go(held=False)))
    assert run(ctx) == {"run": "run1", "status": "superseded"}
    assert not ctx.of("end_run")


def test_a_run_that_does_not_hold_the_lock_does_nothing() -> None:
    ctx = context(begin_run=lambda _: Go(held=False))
    run(ctx)
    assert ctx.names() == ["begin_run"]


def test_the_run_that_waited_is_started_at_the_end() -> None:
    following = Ticket("run2", RunRequest(mode=Mode.FULL))
    ctx = context(end_run=lambda _: Ended(Status.SUCCESSFUL, following))
    run(ctx)
    assert ctx.of("start_run") == [to_json(following)]


# ---- around the shards ----


def test_settling_waits_as_long_as_it_is_told_to() -> None:
    answers = [Settled(wait_s=40.0), Settled(wait_s=40.0), Settled(marks=Marks(1.0, 2.0))]
    ctx = context(settle=lambda _: answers.pop(0))
    run(ctx)
    assert [round(task["waitedS"]) for task in ctx.of("settle")] == [0, 41, 82]
    assert ctx.of("end_run")[0]["marks"] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("request_", "waits"),
    [
        (RunRequest(), False),
        (RunRequest(jobs=("job",)), True),
        (RunRequest(job_start=1.0), True),
        (RunRequest(nameless_job=True), True),
    ],
    ids=["no unification", "a job", "a start", "a job without a name"],
)
def test_settling_waits_for_what_a_unification_changes(request_: RunRequest, waits: bool) -> None:
    ctx = context()
    run(ctx, Ticket("run", request_))
    assert [task["forJob"] for task in ctx.of("settle")] == [waits]


def test_a_survey_that_ends_the_run_links_nothing() -> None:
    ctx = context(survey=lambda _: Survey((), Status.SKIPPED))
    assert run(ctx)["status"] == "Skipped"
    assert not ctx.of("prepare_table")


def test_departed_rows_are_unlinked_after_the_last_shard_and_the_pass_goes_on_where_it_was() -> None:
    answers = [
        UnlinkOutcome(Counts(unlinked=2), "p1", later_s=3.0),
        UnlinkOutcome(Counts(deferred=1), "p2"),
        UnlinkOutcome(Counts(unlinked=3)),
    ]
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=2), unlink_table=lambda _: answers.pop(0))
    run(ctx)
    assert [task["after"] for task in ctx.of("unlink_table")] == ["", "p1", "p2"]
    assert [(task["departed"], task["rows"]) for task in ctx.of("unlink_table")] == [(6, 36)] * 3
    assert ctx.of("end_table")[0]["unlinking"] == to_json(Counts(unlinked=5, deferred=1))


def test_links_that_were_kept_although_clearing_was_accepted_count_as_lost_for_the_table() -> None:
    answers = [UnlinkOutcome(Counts(rejected=1), "p1", lost=1), UnlinkOutcome(Counts(rejected=2), lost=2)]
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=1, lost=4), unlink_table=lambda _: answers.pop(0))
    run(ctx)
    assert ctx.of("end_table")[0]["totals"]["lost"] == 3 * 4 + 3


def test_an_unlinking_pass_that_gets_nowhere_fails_its_table() -> None:
    ctx = context(
        link_shard=lambda _: ShardOutcome(ROWS, departed=2),
        unlink_table=lambda _: UnlinkOutcome(Counts(), "", later_s=1.0),
    )
    run(ctx)
    assert "unlinked" in ctx.of("end_table")[0]["failed"]


def test_an_unlinking_pass_that_dataverse_refuses_fails_its_table_and_no_other() -> None:
    def unlink(task: Any) -> object:
        return UnlinkOutcome(failed="403 refused") if task["table"] == "contact" else UnlinkOutcome(Counts(unlinked=6))

    ctx = context(tables=("contact", "lead"), link_shard=lambda _: ShardOutcome(ROWS, departed=2), unlink_table=unlink)
    run(ctx)
    ends = {end["table"]: end for end in ctx.of("end_table")}
    assert "403" in ends["contact"]["failed"]
    assert ends["lead"]["unlinking"]["unlinked"] == 6


def test_links_are_held_against_profiles_where_it_is_due_and_before_any_shard_is_linked() -> None:
    def prepare(task: Any) -> Prepared:
        return Prepared(task["table"], "s1", 1, links_due=task["table"] == "lead")

    found = Strays(rows=3, orphans=2, cleared=1)
    ctx = context(tables=("contact", "lead"), prepare_table=prepare, find_strays=lambda _: found)
    run(ctx)
    ends = {end["table"]: (end["strays"], end["orphans"], end["orphansCleared"]) for end in ctx.of("end_table")}
    assert ends == {"contact": (0, 0, 0), "lead": (3, 2, 1)}
    assert [task["table"] for task in ctx.of("find_strays")] == ["lead"]
    assert ctx.names().index("find_strays") < ctx.names().index("link_shard")


def test_an_operator_learns_that_orphaned_links_could_not_be_looked_for() -> None:
    ctx = context(
        prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=True), find_strays=lambda _: Trouble("no")
    )
    run(ctx, Ticket("run1", RunRequest(unlink_allowed=(UnlinkAllowance("contact", 5, orphans=True),))))
    (end,) = ctx.of("end_table")
    assert "Orphaned links could not be found: no" in end["orphansKept"]


def test_an_allowance_is_for_removed_rows_or_for_orphaned_links() -> None:
    allowed = (UnlinkAllowance("contact", 7), UnlinkAllowance("contact", 5, orphans=True), UnlinkAllowance("lead", 9))
    ctx = context(
        prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=task["clearsOrphans"]),
        link_shard=lambda _: ShardOutcome(ROWS, departed=1),
    )
    run(ctx, Ticket("run1", RunRequest(unlink_allowed=allowed)))
    assert [[one["mostRows"] for one in task["allowed"]] for task in ctx.of("find_strays")] == [[5]]
    assert [[one["mostRows"] for one in task["allowed"]] for task in ctx.of("unlink_table")] == [[7]]
    (task,) = ctx.of("prepare_table")
    assert (task["allowed"], task["clearsOrphans"]) == (True, True)


# ---- the scan ----


def slices(ctx: FakeContext) -> Counter[tuple[str, int]]:
    return Counter((task["table"], task["stream"]) for task in ctx.of("scan_slice"))


def streams(number: int) -> Callable[[Any], Prepared]:
    return lambda task: Prepared(task["table"], "s1", number)


def test_each_stream_is_read_slice_after_slice_to_its_end_before_any_shard_is_named() -> None:
    left = Counter({("contact", stream): 3 for stream in range(9)})

    def scan_slice(task: Any) -> SliceOutcome:
        left[task["table"], task["stream"]] -= 1
        return SliceOutcome(done=not left[task["table"], task["stream"]], rows=1)

    ctx = context(prepare_table=streams(9), scan_slice=scan_slice)
    assert run(ctx)["status"] == "Successful"
    assert slices(ctx) == {("contact", stream): 3 for stream in range(9)}
    assert max(at for at, name, _ in ctx.called if name == "scan_slice") < min(
        at for at, name, _ in ctx.called if name == "plan_shards"
    )


def test_a_table_without_streams_reads_nothing_and_names_its_shards() -> None:
    ctx = context(prepare_table=streams(0))
    assert run(ctx)["status"] == "Successful"
    assert not ctx.of("scan_slice")
    assert len(ctx.of("plan_shards")) == 1


def test_no_more_streams_are_read_at_once_than_dataverse_should_bear() -> None:
    ctx = context(prepare_table=streams(9))
    ctx.seconds = lambda name, _: 50.0 if name == "scan_slice" else 1.0
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "scan_slice"]
    assert max(sum(1 for at in starts if 0 <= at - first < 50) for first in starts) == STREAMS_AT_ONCE


def test_a_slice_that_fails_for_a_while_is_tried_ever_later() -> None:
    fails = [SliceOutcome(later_s=5.0, later_reason="busy")] * 6
    ctx = context(scan_slice=lambda _: fails.pop() if fails else SliceOutcome(done=True))
    assert run(ctx)["status"] == "Successful"
    tries = [at for at, name, _ in ctx.called if name == "scan_slice"]
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (pytest.approx(5, abs=5), pytest.approx(scanning.LONGEST_WAIT_S, abs=5))


def test_a_throttled_slice_waits_as_long_as_dataverse_asked() -> None:
    answers = [SliceOutcome(later_s=300.0, later_reason="pause", throttled=True), SliceOutcome(done=True)]
    ctx = context(scan_slice=lambda _: answers.pop(0), renew=lambda _: Go(slice_s=20.0))
    assert run(ctx)["status"] == "Successful"
    first, second = [at for at, name, _ in ctx.called if name == "scan_slice"]
    assert second - first >= 300
    timers = [task for _, name, task in ctx.called if name == "timer"]
    assert max(timers) <= 20  # the lock is renewed meanwhile


def test_a_mapping_that_cannot_be_read_fails_its_table_and_leaves_the_others_alone() -> None:
    def scan_slice(task: Any) -> object:
        return SliceOutcome(later_s=1.0, later_reason="busy") if task["table"] == "contact" else SliceOutcome(done=True)

    ctx = context(tables=("contact", "lead"), scan_slice=scan_slice, prepare_table=streams(2))
    run(ctx)
    assert {end["table"]: end["failed"] for end in ctx.of("end_table")} == {
        "contact": "The mapping could not be read: busy", "lead": "",
    }  # fmt: skip
    assert {task["table"] for task in ctx.of("link_shard")} == {"lead"}


def test_a_stream_that_waits_when_another_one_of_its_table_fails_is_left_out() -> None:
    waits = SliceOutcome(later_s=30.0, later_reason="busy")
    ctx = context(
        prepare_table=streams(2), scan_slice=lambda task: SliceOutcome(failed="no") if task["stream"] else waits
    )
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["no"]


@pytest.mark.parametrize(
    ("go", "ended"),
    [
        (Go(cancel=True), {"run": "run1", "status": "Canceled"}),
        (Go(held=False), {"run": "run1", "status": "superseded"}),
    ],
    ids=["canceled", "superseded"],
)
def test_a_run_that_is_to_stop_while_it_scans_stops_before_the_next_slice(go: Go, ended: dict[str, str]) -> None:
    ctx = context(
        scan_slice=lambda _: SliceOutcome(rows=1), renew=lambda _: go if len(ctx.of("scan_slice")) > 5 else Go()
    )
    assert run(ctx)["status"] == ended["status"]
    assert len(ctx.of("scan_slice")) == 6
    assert not ctx.of("plan_shards")


@pytest.mark.parametrize("number", [1, 9, 60])
def test_scans_of_many_tables_with_many_failures_stay_small_and_bounded(number: int) -> None:
    tables = tuple(f"contoso_quite_a_long_table_name_{n}" for n in range(number))
    read = Counter[tuple[str, int]]()

    def scan_slice(task: Any) -> SliceOutcome:
        read[task["table"], task["stream"]] += 1
        is_done = read[task["table"], task["stream"]] == 20
        return (
            SliceOutcome(failed="x" * 1_000) if is_done and task["stream"] == 5 else SliceOutcome(done=is_done, rows=1)
        )

    ctx = context(tables=tables, prepare_table=streams(6), scan_slice=scan_slice)
    run(ctx, Ticket("20261123T212534Z-0123abcd", RunRequest()))
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}
    assert all(end["failed"].startswith("xxx") for end in ctx.of("end_table"))
    assert len(ctx.child_ids) == len(set(ctx.child_ids)) >= len(ctx.of("scan_slice")) * 2 // MAX_CALLS


# ---- the first link ----


def test_shards_of_a_table_run_one_after_the_other_until_a_first_link_is_proved() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(ROWS, proven=task["number"] == 3)

    ctx = context(shards=20, plan_shards=lambda _: Shards(20, canary=True), link_shard=link_shard)
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "link_shard"]
    assert [task["canary"] for task in ctx.of("link_shard")] == [True] * 4 + [False] * 16
    assert len(set(starts[:4])) == 4
    assert len(set(starts)) < 20
    assert shards_linked(ctx) == {("contact", number): 1 for number in range(20)}


def test_a_first_link_that_is_dead_stops_its_table_and_no_other() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(failed="dead link") if task["table"] == "contact" else ShardOutcome(ROWS, proven=True)

    ctx = context(tables=("contact", "lead"), plan_shards=lambda _: Shards(5, canary=True), link_shard=link_shard)
    run(ctx)
    assert [task["table"] for task in ctx.of("link_shard")].count("contact") == 1
    assert shards_linked(ctx).total() == 6
    assert {end["table"]: end["totals"]["failed"] for end in ctx.of("end_table")} == {
        "contact": "dead link",
        "lead": "",
    }


def test_a_generation_hands_on_which_tables_have_no_proved_link_yet() -> None:
    ctx = context(shards=GENERATION_SHARDS + 5, plan_shards=lambda _: Shards(GENERATION_SHARDS + 5, canary=True))
    run(ctx)
    assert all(task["canary"] for task in ctx.of("link_shard"))


# ---- a dry run ----


def test_a_dry_run_says_so_to_every_activity_that_could_write() -> None:
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=1))
    run(ctx, replace(TICKET, request=RunRequest(dry_run=True)))
    writers = ("prepare_table", "plan_shards", "link_shard", "unlink_table", "end_table", "end_run")
    assert {task["dryRun"] for name in writers for task in ctx.of(name)} == {True}


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
    """Measured on durabletask's own backend: a run of one full generation, its parent and its child (docs/proofs.md D17)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
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
