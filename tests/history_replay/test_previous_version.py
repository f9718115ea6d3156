"""A deployment during a run: what version 1 began ends soon, for the true reason, and starts again (docs/decisions/0012).

The histories were saved by versions 1.0 and 1.1, which read the mapping in pages by key ranges.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from linker.core.model import Mode, Run, RunRequest, Status
from linker.core.runs.activity_values import UPDATED, RunRef, Trouble
from linker.core.serialization import from_json
from linker.durable.activities import run_lifecycle
from linker.durable.orchestrators import GENERATION, ORCHESTRATOR, SCANNING, TOUCHING, UNLINKING
from linker.services import housekeeping
from tests.fakes.app import FakeApp, hosted_activities
from tests.fakes.client import Starter
from tests.fakes.lives import ALL, begun
from tests.fakes.world import World
from tests.history_replay.histories import ASKED, Asked, holds, load, replayed
from tests.history_replay.test_histories import ORCHESTRATORS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "data" / "previous-version").glob("*.jsonl"))
DURABLE = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]
CHILDREN = {GENERATION, SCANNING, TOUCHING, UNLINKING}
FAILED = pb.ORCHESTRATION_STATUS_FAILED

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_new_instances_get_a_version_that_workers_before_this_one_leave_alone() -> None:
    saved = {load(path).started.version.value for path in FILES}
    assert saved
    assert all(numbers(version) < numbers(DURABLE["defaultVersion"]) for version in saved)
    assert DURABLE["versionMatchStrategy"] == "CurrentOrOlder"


def activities() -> set[str]:
    return {each.durable_name for each in hosted_activities()}


def is_failure(answer: tuple[Asked, ...]) -> bool:
    """Whether the runtime ended the orchestration because its history or its input is of other code."""
    texts = ("history mismatch", "Not a valid GenerationTask")
    return [asked[:2] for asked in answer] == [("end", FAILED)] and any(text in str(answer[0][3]) for text in texts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_at_any_turn_a_run_of_the_version_before_continues_or_ends_and_never_waits_for_what_will_not_come(
    path: Path,
) -> None:
    """A turn either asks for the same things as then, or for what this app can do, or ends its orchestration."""
    history = load(path)
    answers = [
        (replayed(ORCHESTRATORS[history.started.name], history, turn), turn.asked) for turn in history.episodes()
    ]
    for answer, then in answers:
        assert holds(answer, then) or is_failure(answer) or is_known(answer), (answer, then)
    failed = [is_failure(answer) for answer, _ in answers]
    assert failed == sorted(failed)  # one that ended stays ended
    if history.started.name == ORCHESTRATOR:  # a run that has not come to its tables continues under this version
        assert [holds(answer, then) for answer, then in answers[:3]] == [True] * 3


def is_known(answer: tuple[Asked, ...]) -> bool:
    """Whether all that is asked for is something that this app does, or the end."""
    if [asked[:2] for asked in answer] == [("end", pb.ORCHESTRATION_STATUS_COMPLETED)]:
        return True
    names = {asked[2] for asked in answer if asked[0] in ("activity", "child")}
    others = {asked[0] for asked in answer} - {"activity", "child", "timer"}
    return names <= activities() | CHILDREN and not others


@pytest.mark.parametrize("path", [path for path in FILES if TOUCHING not in path.stem], ids=lambda path: path.stem)
def test_a_run_that_was_in_its_pages_ends(path: Path) -> None:
    history = load(path)
    *_, last = history.episodes()
    assert is_failure(replayed(ORCHESTRATORS[history.started.name], history, last))


def test_every_activity_that_version_1_may_have_in_flight_is_answered() -> None:
    asked = {
        event.taskScheduled.name
        for path in FILES
        for event in load(path).events
        if event.WhichOneof("eventType") == ASKED[0]
    }
    assert {"link_page", "split_pages"} <= asked
    assert asked <= activities()


# ---- the run in the lock and in the status ----


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def loaded(world: World, run: str) -> Run:
    found = await world.deps.runs.load(run)
    assert found is not None
    return found


async def test_its_activities_in_flight_let_the_run_go_and_the_watchdog_starts_its_work_again(
    world: World, start: Starter
) -> None:
    run = await begun(world, start, RunRequest(Mode.FULL, tables=("contact",)))
    for _ in range(3):  # pages in flight
        assert await run_lifecycle.give_way(world.deps, from_json(RunRef, {"run": run, "page": 1})) == Trouble(UPDATED)
    shown = await loaded(world, run)
    assert (shown.status, shown.status_detail) == (Status.RETRYING, UPDATED)
    follower = await housekeeping.watch_runs(
        world.deps, start
    )  # at its next tick, not when the lease would have run out
    ended = await loaded(world, run)
    assert (ended.status, ended.follow_up) == (Status.FAILED, follower)
    assert ended.status_detail == f"{UPDATED} Its work starts again as run {follower}."
    ticket = start.started[-1]
    assert (ticket.run, ticket.request.mode, ticket.request.tables) == (follower, Mode.FULL, ("contact",))
    holder = (await world.deps.lock.peek()).holder
    assert holder is not None
    assert holder.run == follower


async def test_a_late_one_lets_the_next_run_alone(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL)
    await run_lifecycle.give_way(world.deps, RunRef(run))
    follower = await housekeeping.watch_runs(world.deps, start)
    ended = await loaded(world, run)
    await world.deps.lock.renew(follower)
    await run_lifecycle.give_way(world.deps, RunRef(run))
    assert await loaded(world, run) == ended
    assert await housekeeping.watch_runs(world.deps, start) == ""


async def test_one_that_was_canceled_stays_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL)
    await world.deps.lock.cancel(run)
    await run_lifecycle.give_way(world.deps, RunRef(run))
    assert await housekeeping.watch_runs(world.deps, start) == ""
    assert (await loaded(world, run)).status is Status.CANCELED


def test_a_run_that_was_prepared_by_the_version_before_says_so_and_the_next_one_continues(
    make_app: Callable[..., FakeApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    real = app._call
    answers = [{"table": "contact", "version": "v1", "pages": 3, "mode": "full", "epoch": "e"}]
    monkeypatch.setattr(
        app,
        "_call",
        lambda each, task: answers.pop() if each.durable_name == "prepare_table" and answers else real(each, task),
    )
    run = app.run()
    assert (run.tables[0].status, run.tables[0].detail) == (Status.FAILED, UPDATED)
    assert not app.world.dataverse.bodies
    assert app.run().status is Status.SUCCESSFUL
    assert app.world.is_right()
