"""Processes that die or stop at seeded moments of a run, as child processes over real sockets (as tests/system has them)."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox.demo.children import Child, sandbox_process
from sandbox.demo.clients import Json, Sandbox
from sandbox.server.azurite import lasting_port
from tests.fakes.stored_state import forget_environment
from tests.system.world import World, until

from .trial import Verdict

SIZES: Final = {"contact": 120, "lead": 80, "new_member": 40}
LOADED: Final = [text for name, rows in SIZES.items() for text in (f"--{name.removeprefix('new_')}s", str(rows))]
PLAIN: Final = {
    "LINKER_TOUCH_PROFILES": "false",  # every write counted here is a link
    "LINKER_UNLINK_MAX_SHARE": "1",  # the guard counts a whole day, in which dozens of moments drop rows
}
IMPATIENT: Final = PLAIN | {
    "LINKER_LEASE_SECONDS": "5",
    "LINKER_ATTEMPT_SECONDS": "5",
    "LINKER_WRITE_TIMEOUT_SECONDS": "2",
    "LINKER_WATCHDOG_SCHEDULE": "* * * * * *",
}
# Dozens of moments on one sandbox would meet the limit on requests; throttles are faults of the matrix itself.
UNLIMITED: Final = ("--switch", "protection=false")
CHANGED: Final = {"move": 0.2, "drop": 0.02}
MEANWHILE: Final[tuple[list[dict[str, object]], ...]] = (
    [],
    [{"restore": "before"}],
    [{"move": 0.1}],
    [{"delete_profiles": 0.1}, {"bring_back": "same id"}],
)


@dataclass(slots=True)
class Stage:
    """A world whose sandbox keeps its rows in a file, so that it can die and come back at the same address."""

    world: World
    start_sandbox: Callable[[], Child]
    sandbox: Child
    asleep: Child | None = None
    whole: int = 0
    harm: list[str] = field(default_factory=list)

    # ---- what may happen to a process, and what is done about it ----

    def kill_host(self) -> None:
        self.world.kill_host()

    def new_host(self) -> None:
        self.world.start_host()

    def stop_host(self) -> None:
        self.asleep = self.world.host
        self.asleep.process.send_signal(signal.SIGSTOP)

    def kill_sandbox(self) -> None:
        self.sandbox.process.kill()
        self.sandbox.process.wait()

    def new_sandbox(self) -> None:
        self.sandbox = self.start_sandbox()

    # ---- one moment ----

    def play(self, fault: ProcessFault, seed: int) -> Verdict:
        """Strike a run at a seeded moment, let unification continue, and see that all is set right."""
        began, chance = time.monotonic(), random.Random(f"{fault.name} / {seed}")
        self.harm.clear()
        done = self.world.unify(**CHANGED, snapshot="before", seed=seed)
        moment = chance.randrange(1, self.whole)
        run = str(self.world.app.publish(done["jobId"])["id"])
        until(lambda: self._requests() >= moment or bool(self.world.app.run(run)["endedAt"]), bool, 0.005)
        fault.strikes(self)
        if fault.mends_first:
            fault.mends(self)
        for change in chance.choice(MEANWHILE):
            self.world.unify(seed=seed, **change)
        if not fault.mends_first:
            fault.mends(self)
        self.last(run)
        self.judge(self.last(str(self.world.app.request(mode="incremental")["id"])))
        self._wake(run)
        return self.verdict(began, further=2)

    def count_whole(self) -> None:
        """Link everything, then count the requests of a run that nothing strikes; moments lie within nine tenths of it."""
        self.world.publish()
        done = self.world.unify(**CHANGED, seed=0)
        self.world.publish(done["jobId"])
        self.whole = self._requests() * 9 // 10

    def _requests(self) -> int:
        return sum(self.world.sandbox.counters()["requests"].values())

    def last(self, run: str) -> Json:
        """Return the run in which a run and all that followed it have ended."""
        ended = self.world.ended(run)
        while ended["followUp"]:
            ended = self.world.ended(str(ended["followUp"]))
        return ended

    def judge(self, run: Json) -> None:
        """Hold every link against the truth; one more run finds nothing to do, so the blocks say what the links are."""
        if run["status"] != "Successful":
            self.harm.append(f"the second run is {run['status']}: {run['statusDetail']}")
        self._look("after the second run")
        self.world.sandbox.reset_counters()
        idle = self.last(str(self.world.app.request(mode="incremental")["id"]))
        if idle["counts"]["unchanged"] != idle["counts"]["rowsRead"] or self.world.counted("rowsWritten"):
            self.harm.append(f"one more run found something to do: {idle['counts']}")

    def _look(self, when: str) -> None:
        if wrong := self.wrong():
            self.harm.append(f"{when}: {wrong}")

    def wrong(self) -> list[str]:
        """Return what is wrong with the links, table by table."""
        found = {table: (self.world.links(table), self.world.truth(table)) for table in SIZES}
        return [
            f"{len(wrong)} rows of {table} are wrong, {len(links)} of {SIZES[table]} are there"
            for table, (links, truth) in found.items()
            if (wrong := [row for row, link in links.items() if link != truth.get(row)]) or len(links) != SIZES[table]
        ]

    def verdict(self, began: float, *, further: int) -> Verdict:
        """Return how it went since `began` (monotonic s)."""
        return Verdict(1, further, tuple(self.harm), round(time.monotonic() - began, 2))

    def _wake(self, run: str) -> None:
        """Let a host that was stopped continue: its lease is over, and it begins nothing any more.

        One that slept between its last look at the time and the request itself sends that request now. No page forgets
        that: it marks the rows, and the next run sets them right (docs/dev/at-least-once.md).
        """
        if self.asleep is None:
            return
        self.asleep.process.send_signal(signal.SIGCONT)
        until(lambda: self.world.instance(run, self.asleep), lambda shown: bool(shown["runtimeStatus"] == "Completed"))
        if self.wrong():
            self.last(str(self.world.app.request(mode="incremental")["id"]))
        self._look("after the sleeper woke")
        self.asleep.process.kill()
        self.asleep = None


@dataclass(frozen=True, slots=True)
class ProcessFault:
    """What happens to a process and what is done about it; `what` is how the page calls it.

    `mends_first`: unification can only continue once it is fixed. `moments` of it are tried.
    """

    name: str
    what: str
    strikes: Callable[[Stage], None]
    mends: Callable[[Stage], None]
    mends_first: bool = False
    moments: int = 25


PROCESS_FAULTS: Final = (
    ProcessFault("host killed", "The host is killed (SIGKILL), and a new one starts", Stage.kill_host, Stage.new_host),
    ProcessFault(
        "host stopped",
        "The host is stopped (SIGSTOP), another one takes over, then the first continues (SIGCONT)",
        Stage.stop_host,
        Stage.new_host,
    ),
    ProcessFault(
        "sandbox killed",
        "Dataverse is killed (SIGKILL of the sandbox, rows in a file) and starts again",
        Stage.kill_sandbox,
        Stage.new_sandbox,
        mends_first=True,
        moments=10,
    ),
)


@contextmanager
def stage(tables: str, folder: Path, settings: dict[str, str]) -> Iterator[Stage]:
    """Give a linked world on the Table Storage `tables`, with these app settings; its files are kept in `folder`."""
    place = ["--port", str(lasting_port()), "--db", str(folder / "rows.db")]
    options = ["--no-azurite", "--no-measures", *place, *UNLIMITED, *LOADED]
    with ExitStack() as stack:
        child = stack.enter_context(sandbox_process(options, folder))
        forget_environment(tables, child.ready["dataverse"])
        sandbox = stack.enter_context(Sandbox({**child.ready, "tables": tables}))
        world = World(sandbox, folder, settings, stack)
        world.start_host()
        made = Stage(world, lambda: stack.enter_context(sandbox_process(options, folder)), child)
        made.count_whole()
        yield made
