"""A deployment during a run: what the version before began goes on under this one (docs/decisions/0022).

The histories were saved by version 1.0, which knew no touch of profiles.
"""

import json
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from linker.orchestration import GENERATION, ORCHESTRATOR, customerid_backstamping_hydration, link_generation
from tests.replay.histories import holds, load, replayed

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "data" / "previous-version").glob("*.jsonl"))
ORCHESTRATORS = {ORCHESTRATOR: customerid_backstamping_hydration, GENERATION: link_generation}
DURABLE = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_new_instances_get_a_version_that_workers_before_this_one_leave_alone() -> None:
    saved = {load(path).started.version.value for path in FILES}
    assert len(saved) == 1
    assert all(numbers(version) < numbers(DURABLE["defaultVersion"]) for version in saved)
    assert DURABLE["versionMatchStrategy"] == "CurrentOrOlder"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_run_of_the_version_before_goes_on_at_any_turn_and_ends_well(path: Path) -> None:
    history = load(path)
    turns = list(history.episodes())
    answers = [replayed(ORCHESTRATORS[history.started.name], history, turn) for turn in turns]
    assert [turn for turn, answer in zip(turns, answers, strict=True) if not holds(answer, turn.asked)] == []
    assert answers[-1][-1][:2] == ("end", pb.ORCHESTRATION_STATUS_COMPLETED)
