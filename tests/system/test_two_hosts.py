"""Two hosts on one storage: requests from many processes, and a host that stops, outlives its lease and wakes up."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import httpx
import pytest

from sandbox.demo.children import Child, host_process
from sandbox.demo.clients import App

from .conftest import MakeWorld
from .world import World, until

ROWS = 240
LOADED = ("--contacts", str(ROWS), "--leads", "0", "--members", "0", "--set", "ms_per_row=40")
IMPATIENT = {
    "LINKER_LEASE_SECONDS": "5",
    "LINKER_ATTEMPT_SECONDS": "8",
    "LINKER_WRITE_TIMEOUT_SECONDS": "5",
    "LINKER_WATCHDOG_SCHEDULE": "* * * * * *",
}
PROCESSES, REQUESTS = 5, 50


@dataclass(frozen=True, slots=True)
class Second:
    """The other host of a world."""

    host: Child
    app: App


@pytest.fixture
def world(make: MakeWorld) -> World:
    return make(*LOADED, **IMPATIENT)


@pytest.fixture
def second(world: World) -> Iterator[Second]:
    with ExitStack() as stack:
        host = stack.enter_context(host_process(world.sandbox.ready, world.settings, world.logs / "second"))
        yield Second(host, stack.enter_context(App(host.ready["url"])))


def ask(url: str, numbers: range) -> list[tuple[int, str]]:
    """Ask one host for many runs at once; returns (number, run) of each answer. Runs in a process of its own."""

    def one(number: int) -> tuple[int, str]:
        path, body = ("unification-events", {"jobId": f"job{number}"}) if number % 5 else ("runs", {"mode": "verify"})
        answer = httpx.post(f"{url}/api/{path}", json=body, timeout=120)
        return number, str(answer.raise_for_status().json()["id"])

    with ThreadPoolExecutor(len(numbers)) as threads:
        return list(threads.map(one, numbers))


def test_fifty_requests_from_five_processes_to_two_hosts_make_one_run_and_one_more(
    world: World, second: Second
) -> None:
    share = REQUESTS // PROCESSES
    urls = [world.host.ready["url"], second.host.ready["url"]]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        asked = [
            processes.submit(ask, urls[number % 2], range(number * share, (number + 1) * share))
            for number in range(PROCESSES)
        ]
        answers = dict(pair for one in asked for pair in one.result())
    ended = {run: world.ended(run) for run in set(answers.values())}
    assert len(answers) == REQUESTS
    assert len(ended) == 2
    assert {run["status"] for run in ended.values()} == {"Successful"}
    lost = [n for n, run in answers.items() if n % 5 and f"job{n}" not in ended[run]["jobs"]]
    assert lost == []
    assert {answers[n] for n in answers if not n % 5} <= {
        id_ for id_, run in ended.items() if run["mode"] != "incremental"
    }
    assert world.counted("rowsWritten", "contact") == ROWS
    assert [app.status()["run"]["id"] for app in (world.app, second.app)] == [max(ended, key=end_of(ended))] * 2


def end_of(runs: dict[str, dict[str, Any]]) -> Callable[[str], str]:
    return lambda run: f"{runs[run]['endedAt']} {runs[run]['startedAt']}"


@pytest.mark.parametrize("wakes", ["while the other works", "after the other has ended"])
def test_a_host_that_stops_outlives_its_lease_and_wakes_up_does_nothing_any_more(
    world: World, second: Second, wakes: str
) -> None:
    """Unification moves half of the rows meanwhile, so what the sleeper was about to write is wrong by then."""
    asleep = world.app.publish(world.sandbox.last_job())["id"]
    until(lambda: world.counted("rowsWritten", "contact"), bool)
    world.host.process.send_signal(signal.SIGSTOP)
    world.sandbox.unify(move=0.5)
    following = until(lambda: second.app.run(asleep), lambda run: bool(run["endedAt"]))["followUp"]
    until(lambda: second.app.run(following), lambda run: has_come(run, wakes))
    world.host.process.send_signal(signal.SIGCONT)
    ended = until(lambda: second.app.run(following), lambda run: bool(run["endedAt"]))
    before = world.versions("contact") if wakes.startswith("after") else None
    assert ended["status"] == "Successful"
    until(lambda: instance(world, asleep), lambda answer: answer["runtimeStatus"] == "Completed")
    assert instance(world, asleep)["output"]["status"] == "superseded"
    assert world.links("contact") == world.truth("contact")
    assert before in (None, world.versions("contact"))
    dead = second.app.run(asleep)
    assert (dead["status"], dead["followUp"]) == ("Failed (permanent)", following)
    assert "interrupted" in dead["statusDetail"]
    assert second.app.status()["run"]["id"] == following


def has_come(run: dict[str, Any], wakes: str) -> bool:
    return (
        bool(run["endedAt"]) if wakes.startswith("after") else run["status"] == "Refreshing" and bool(run["progress"])
    )


def instance(world: World, run: str) -> dict[str, Any]:
    """The durable orchestration of a run on the first host."""
    answer = httpx.get(f"{world.host.ready['url']}/runtime/webhooks/durabletask/instances/{run}", timeout=60)
    return dict(answer.json())
