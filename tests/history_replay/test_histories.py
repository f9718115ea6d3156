"""Saved histories are replayed turn by turn: the orchestrators ask for the same things again, with the same inputs.

An instance that was under way when the app was replaced continues from its history, so what is asked for must not change
unnoticed. Where it changes on purpose, `make histories` records again.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import OrchestrationContext

from linker.core.runs.activity_values import RunRef
from linker.core.serialization import MAX_BYTES, to_json
from linker.durable.orchestrators import ORCHESTRATOR, ORCHESTRATORS, SCANNING, TOUCHING
from tests.history_replay.histories import FOLDER, Asked, History, holds, load, payload_bytes, replayed
from tests.history_replay.record import SCENARIOS

# The codec warns once a process that it gives plain dicts without a type, which is what `wire` needs.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads")

FILES = sorted(FOLDER.glob("*/*.jsonl"))
files = pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in FILES])


def asked_for(scenario: str) -> list[Asked]:
    """Return everything that the orchestrators of a scenario asked for."""
    histories = [load(path) for path in sorted((FOLDER / scenario).glob("*.jsonl"))]
    return [asked for history in histories for episode in history.episodes() for asked in episode.asked]


def test_every_scenario_was_recorded() -> None:
    assert {path.parent.name for path in FILES} == SCENARIOS.keys()


@files
def test_a_saved_history_leads_to_the_same_requests_in_every_turn_and_to_the_same_end(path: Path) -> None:
    history = load(path)
    orchestrator = ORCHESTRATORS[history.started.name]
    turns = [(replayed(orchestrator, history, episode), episode.asked) for episode in history.episodes()]
    assert [(now, then) for now, then in turns if not holds(now, then)] == []
    assert turns[-1][0][-1][:2] == ("end", pb.ORCHESTRATION_STATUS_COMPLETED)


@files
def test_inputs_and_outputs_stay_below_4_kilobytes_and_histories_below_2000_events(path: Path) -> None:
    events = load(path).events
    assert [event for event in events if payload_bytes(event) > MAX_BYTES] == []
    assert len(events) < 2_000


@pytest.mark.parametrize(
    ("scenario", "kind", "name"),
    [
        pytest.param("plain", "activity", "unlink_table", id="unlinking"),
        pytest.param("throttled", "timer", "", id="a pause"),
        pytest.param("touched", "child", TOUCHING, id="a touch of profiles"),
        pytest.param("plain", "child", SCANNING, id="a scan"),
        pytest.param("followed-up", "activity", "start_run", id="a follow-up"),
    ],
)
def test_the_scenarios_hold_what_they_are_named_for(scenario: str, kind: str, name: str) -> None:
    assert [asked for asked in asked_for(scenario) if asked[0] == kind and (not name or asked[2] == name)]


def test_a_table_that_grew_is_linked_in_more_shards() -> None:
    numbers = {
        asked[3]["number"] for asked in asked_for("grown") if asked[0] == "activity" and asked[2] == "link_shard"
    }
    assert numbers == {0, 1, 2, 3}


def test_the_cancelled_run_ended_as_one() -> None:
    results = [asked[2] for asked in asked_for("canceled") if asked[0] == "end"]
    assert [result["stop"] for result in results if result.get("stop")] == ["canceled"]
    assert [result["status"] for result in results if "status" in result] == ["Canceled"]


def first_asks_for(name: str) -> Any:
    """Return an orchestrator that asks for one activity more before it begins."""

    def changed(ctx: OrchestrationContext, request: dict[str, Any]) -> Generator[Any, Any, Any]:
        yield ctx.call_activity(name, input=to_json(RunRef(request["run"])))
        return (yield from ORCHESTRATORS[ORCHESTRATOR](ctx, request))

    return changed


@pytest.fixture
def history() -> History:
    return load(FOLDER / "plain" / f"1-{ORCHESTRATOR}.jsonl")


def test_another_order_of_activities_is_found(history: History) -> None:
    *_, last = history.episodes()
    ((kind, status, _, message),) = replayed(first_asks_for("renew"), history, last)
    assert (kind, status) == ("end", pb.ORCHESTRATION_STATUS_FAILED)
    assert "renew" in str(message)
    assert "begin_run" in str(message)


def test_another_input_of_the_same_activity_is_found(history: History) -> None:
    """durabletask compares names only."""
    first, *_ = history.episodes()
    (asked,) = replayed(first_asks_for("begin_run"), history, first)
    assert asked[:3] == first.asked[0][:3]
    assert not holds((asked,), first.asked)
