"""Record the histories that the replay tests use: `make histories`, after a change of what the orchestrators do.

Each scenario is a sandbox of its own and the app on the local host; every orchestration that ended there is saved.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environment import running
from sandbox.demo.children import app_settings, sandbox_process
from sandbox.demo.clients import App, Sandbox
from sandbox.schema.insights_tables import PROFILES
from tests.history_replay.histories import FOLDER
from tests.system.world import SAMPLE, World, until

LOADED = ("--load", str(SAMPLE))
# Short, so that a pause takes several slices of the lease; an attempt outlasts the longest write, as it must.
IMPATIENT = {"LINKER_LEASE_SECONDS": "5", "LINKER_ATTEMPT_SECONDS": "10", "LINKER_WRITE_TIMEOUT_SECONDS": "6"}

LAST_WORDS_S = 1.0  # a run shows its end a moment before its orchestration ends


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in one recording, and the options of the sandbox it happens in."""

    act: Callable[[World], None]
    options: tuple[str, ...] = LOADED


def plain(world: World) -> None:
    """A first run, then one that moves some rows, then one that unlinks some."""
    _ends(world.publish(), "Successful")
    _ends(world.publish(world.unify(move=0.1)["jobId"]), "Successful")
    _ends(world.publish(world.unify(drop=0.05)["jobId"]), "Successful")


def throttled(world: World) -> None:
    """Dataverse asks for a pause that is longer than a slice of the lease."""
    fault = {"kind": "requests_limit", "operation": "UpdateMultiple", "retry_after_s": 6}
    world.sandbox.admin("POST", "faults", fault)
    _ends(world.publish(), "Successful")


def touched(world: World) -> None:
    """Dataverse asks for a pause while profiles are touched."""
    fault = {"kind": "requests_limit", "table": PROFILES, "operation": "UpdateMultiple", "retry_after_s": 6}
    world.sandbox.admin("POST", "faults", fault)
    _ends(world.publish(), "Successful")


def canceled(world: World) -> None:
    """A caller cancels while shards are in flight."""
    world.sandbox.admin("POST", "faults", {"kind": "late_commit", "operation": "UpdateMultiple", "delay_s": 3})
    run = str(world.app.publish(world.sandbox.last_job())["id"])
    until(lambda: world.app.run(run)["progress"], bool)
    world.app.cancel(run)
    _ends(world.ended(run), "Canceled")


def followed_up(world: World) -> None:
    """Rows wait for profiles that are not in Dataverse yet, so one more run follows."""
    _ends(world.publish(), "Successful")
    run = world.publish(world.unify(delete_profiles=0.1)["jobId"])
    _ends(run, "Completed with warnings")
    _ends(world.ended(run["followUp"]), "Completed with warnings")


def grown(world: World) -> None:
    """A table outgrows its shards, each of which splits in two."""
    _ends(world.publish(), "Successful")
    for seed in (1, 2):
        job = world.unify(add=1.0, seed=seed)["jobId"]
    _ends(world.publish(job), "Successful")


SCENARIOS = {
    "plain": Scenario(plain),
    "throttled": Scenario(throttled),
    "touched": Scenario(touched),
    "canceled": Scenario(canceled),
    "followed-up": Scenario(followed_up),
    "grown": Scenario(grown, ("--contacts", "3000", "--leads", "0")),
}


def record(name: str) -> None:
    """Play a scenario and save its histories over those saved before."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    with _world(SCENARIOS[name].options, folder) as world:
        SCENARIOS[name].act(world)
        time.sleep(LAST_WORDS_S)
    print(f"{name}: {len(list(folder.iterdir()))} histories")


@contextmanager
def _world(options: tuple[str, ...], folder: Path) -> Iterator[World]:
    with ExitStack() as stack:
        logs = Path(stack.enter_context(TemporaryDirectory()))
        child = stack.enter_context(sandbox_process(["--no-measures", *options], logs))
        world = World(stack.enter_context(Sandbox(child.ready)), logs, IMPATIENT, stack)
        settings = app_settings(child.ready) | IMPATIENT | {"HISTORIES": str(folder)}
        ready, _ = stack.enter_context(running([sys.executable, "-m", "tests.history_replay.recording_host"], settings))
        world.app = stack.enter_context(App(ready["url"]))
        yield world


def _ends(run: dict[str, object], status: str) -> None:
    if run["status"] != status:
        raise AssertionError(f"The run ended {run['status']}, not {status}: {run['statusDetail']}")


if __name__ == "__main__":
    for scenario in sys.argv[1:] or SCENARIOS:
        record(scenario)
