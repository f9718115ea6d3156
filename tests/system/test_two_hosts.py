"""Two hosts on one storage: requests from many processes, and a host that stops, outlives its lease and wakes up."""

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context

import httpx
import pytest

from sandbox.demo.children import Child, host_process
from sandbox.demo.clients import App

from .conftest import MakeWorld
from .world import World, until

ROWS = 2_000  # four writes of a page, one after the other
LOADED = ("--contacts", str(ROWS), "--leads", "0", "--members", "0")
SLOW = ("--switch", "ms_per_row=4")
NARROW = {"LINKER_WATCHDOG_SCHEDULE": "* * * * * *", "LINKER_WIDTH": "1", "LINKER_TOUCH_PROFILES": "false"}
# Of the host that falls asleep: it never looks for dead runs, and what it holds is free some seconds later.
SLEEPY = NARROW | {
    "LINKER_WATCHDOG_SCHEDULE": "0 0 0 1 1 *",
    "LINKER_LEASE_SECONDS": "5",
    "LINKER_ATTEMPT_SECONDS": "8",
    "LINKER_WRITE_TIMEOUT_SECONDS": "5",
}
AWAKE = {
    "LINKER_WATCHDOG_SCHEDULE": "* * * * * *",
    "LINKER_LEASE_SECONDS": "20",  # a busy machine may hold it up for so long
    "LINKER_ATTEMPT_SECONDS": "24",  # it waits for so long when the sleeper marks a shard that it works on
    "LINKER_WRITE_TIMEOUT_SECONDS": "20",
}
SECOND_WRITE = {"operation": "UpdateMultiple", "table": "contact", "skip": 1}
PROCESSES, REQUESTS = 5, 50


@dataclass(frozen=True, slots=True)
class Second:
    """The other host of a world."""

    host: Child
    app: App


@contextmanager
def second_host(world: World, **settings: str) -> Iterator[Second]:
    with ExitStack() as stack:
        own = world.settings | settings
        host = stack.enter_context(host_process(world.sandbox.ready, own, world.logs / "second"))
        yield Second(host, stack.enter_context(App(host.ready["url"])))


# ---- a storm of requests ----


def job_of(number: int) -> str:
    """Each unification is reported twice."""
    return f"job{number % (REQUESTS // 2)}"


def tell(url: str, numbers: range, began: str) -> list[tuple[int, str]]:
    """Report unifications to one host, all at once; returns (number, run) of each answer. Runs in a process of its own."""

    def one(number: int) -> tuple[int, str]:
        told = {"jobId": job_of(number), "startedAt": began}
        answer = httpx.post(f"{url}/api/unification-events", json=told, timeout=120)
        return number, str(answer.raise_for_status().json()["id"])

    with ThreadPoolExecutor(len(numbers)) as threads:
        return list(threads.map(one, numbers))


def storm(urls: list[str], began: str) -> dict[int, str]:
    """Return the run that each request was answered with."""
    share = REQUESTS // PROCESSES
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        asked = [
            processes.submit(tell, urls[number % len(urls)], range(number * share, (number + 1) * share), began)
            for number in range(PROCESSES)
        ]
        return dict(pair for one in asked for pair in one.result())


def test_fifty_requests_from_five_processes_to_two_hosts_make_one_run_and_one_more(make: MakeWorld) -> None:
    """The first run waits for its unification to change something, so that all the others come while it runs.

    The lease is the default: a host that a busy machine holds up for seconds keeps its run.
    """
    world = make(*LOADED, **NARROW, LINKER_SETTLE_MINUTES="0.001")
    with second_host(world) as second:
        answers = storm([world.host.ready["url"], second.host.ready["url"]], datetime.now(UTC).isoformat())
        world.unify(move=0.1)
        ended = {run: world.ended(run) for run in set(answers.values())}
    assert len(answers) == REQUESTS
    assert len(ended) == 2
    assert [run for run in ended.values() if run["status"] != "Successful"] == []
    assert [number for number, run in answers.items() if job_of(number) not in ended[run]["jobs"]] == []
    assert world.counted("rowsWritten", "contact") == ROWS
    assert world.links("contact") == world.truth("contact")


# ---- a host that sleeps ----


@pytest.mark.parametrize("wakes", ["while the other works", "after the other has ended"])
def test_a_host_that_stops_outlives_its_lease_and_wakes_up_does_nothing_any_more(make: MakeWorld, wakes: str) -> None:
    """Unification moves half of the rows meanwhile, so what the sleeper was about to write is wrong by then."""
    world = make(*LOADED, *SLOW, **SLEEPY)
    with second_host(world, **AWAKE) as second:
        asleep = fall_asleep(world)
        world.unify(move=0.5)
        following = until(lambda: second.app.run(asleep), lambda run: bool(run["endedAt"]))["followUp"]
        until(lambda: second.app.run(following), lambda run: bool(run["progress"] or run["endedAt"]))
        if wakes.startswith("after"):
            until(lambda: second.app.run(following), lambda run: bool(run["endedAt"]))
        before = world.versions("contact")
        wake_up(world, asleep)
        ended = until(lambda: second.app.run(following), lambda run: bool(run["endedAt"]))
        dead, shown = second.app.run(asleep), second.app.status()["run"]
    assert (ended["status"], shown["id"]) == ("Successful", following)
    assert (dead["status"], dead["followUp"]) == ("Failed (permanent)", following)
    assert "interrupted" in dead["statusDetail"]
    assert world.links("contact") == world.truth("contact")
    assert wakes.startswith("while") or world.versions("contact") == before


def fall_asleep(world: World) -> str:
    """Stop the host while it waits for an answer to a write; returns its run.

    Not before the second write has arrived as a whole, which is held until the host sleeps: a host that sleeps between its
    look at the time and the end of a write sends the rest on waking (docs/dev/at-least-once.md).
    """
    with world.holding(**SECOND_WRITE):
        run = str(world.app.publish(world.sandbox.last_job())["id"])
        until(lambda: world.sandbox.admin("GET", "faults")["fired"], bool)
        world.host.process.send_signal(signal.SIGSTOP)
    return run


def wake_up(world: World, run: str) -> None:
    """Let the host continue, and wait until it has given up its run."""
    world.host.process.send_signal(signal.SIGCONT)
    until(lambda: world.instance(run), lambda answer: answer["runtimeStatus"] == "Completed")
    assert world.instance(run)["output"]["status"] == "superseded"
