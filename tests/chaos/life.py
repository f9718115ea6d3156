"""Play a scenario, and hold what the app does and says against Dataverse's own rows and the writes that it commits."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from linker.core.model import Counts, Mode, Run, Status
from sandbox.identity.accounts import LINKER
from sandbox.runtime import WriteOperation
from sandbox.schema.insights_tables import PROFILES
from sandbox.server.pipeline import Pipeline
from tests.faults.scene import Scene
from tests.faults.truth import COMPLETED, lies, truths

from .place import ChaosApp, Place, place
from .scenario import Round, Scenario

DAY_S = 25 * 3_600.0  # between rounds: the unlink guard forgets, and a full scan is due
FURTHER = 2  # runs after which everything is right
PASSING = (*COMPLETED, Status.RETRYING, Status.CANCELED, Status.QUEUED)

type Links = dict[tuple[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Held:
    """How a scenario went: what struck it, and what broke a promise, empty when it held."""

    seed: int
    struck: tuple[str, ...]
    harm: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Tallied(Pipeline):
    """The hooks of the sandbox with a list of the source rows that the app writes."""

    watched: Pipeline
    rows: list[tuple[str, str]]

    async def after_commit(self, operation: WriteOperation) -> None:
        await self.watched.after_commit(operation)
        if operation.user == LINKER.systemuser_id and operation.table != PROFILES:
            self.rows.extend((operation.table, row) for row in operation.row_ids)


@dataclass(slots=True)
class Life:
    """One scenario on its environment."""

    place: Place
    scene: Scene
    app: ChaosApp
    written: list[tuple[str, str]] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    harm: list[str] = field(default_factory=list)

    def play(self, rounds: Iterable[Round]) -> None:
        """Play round after round until one breaks a promise."""
        self._tally()
        for number, each in enumerate(rounds, 1):
            self._strike(each)
            self._recover()
            if self.harm:
                self.harm = [f"round {number} ({self._described(each)}): {text}" for text in self.harm]
                return

    def _tally(self) -> None:
        environment = self.place.sandbox.environment
        hooks = environment.hooks
        assert isinstance(hooks, Pipeline)
        environment.hooks = Tallied(hooks.protection, hooks.faults, hooks.in_flight, hooks, self.written)

    # ---- one round ----

    def _strike(self, each: Round) -> None:
        """Change the world, and run while things go wrong."""
        self.place.clock.pass_s(DAY_S)
        if each.change:
            self.scene.unify(**each.change)
        self.app.expect(each.interrupted)
        self.place.sandbox.faults.arm(list(each.dataverse))
        for proxy, fault in ((self.place.between, each.between), (self.place.storage, each.storage)):
            if fault is not None:
                proxy.arm(fault)
        try:
            runs = self.app.serve(mode=Mode(each.mode))
        finally:
            self._calm(each)
        for run in runs:
            self._judge(run)

    def _calm(self, each: Round) -> None:
        """Let everything go well again, and count what did not."""
        faults = self.place.sandbox.faults
        self.struck.update(f"dataverse {fired['kind']}" for fired in faults.listed()["fired"])
        faults.disarm()
        for name, proxy, fault in (
            ("between", self.place.between, each.between),
            ("storage", self.place.storage, each.storage),
        ):
            if fault is not None and (times := proxy.disarm()):
                self.struck[f"{name} {fault.kind}"] += times
        if self.app.interrupted:
            self.struck[self.app.interrupted.split(" ", 1)[0]] += 1
        self.app.expect(None)

    def _recover(self) -> None:
        """After two further runs at most everything is right; one more then writes nothing."""
        self.app.wake_sleepers()
        for further in range(1, FURTHER + 1):
            run, found = self._calm_run()
            if not found and run.status in COMPLETED:
                break
            if further == FURTHER:
                self.harm += found or [f"run {run.id} after the faults is {run.status}: {run.status_detail}"]
        self._idle()

    def _calm_run(self) -> tuple[Run, list[str]]:
        """Return a run that nothing strikes, and what is wrong after it."""
        before = self._links()
        self.written.clear()
        runs = self.app.serve()
        for each in runs:
            self._judge(each)
        run, counts = runs[-1], sum((each.counts for each in runs), Counts())
        self.harm += _miscounted(counts, before, self._links(), self.written)
        return run, [
            f"{len(truth.wrong)} rows of {truth.table} are wrong"
            for truth in truths(self.place.database)
            if truth.wrong
        ]

    def _idle(self) -> None:
        self.written.clear()
        run = self.app.serve()[-1]
        if self.written or run.counts.linked or run.counts.unlinked:
            self.harm.append(f"one more run wrote {len(self.written)} rows: {run.counts}")
        if (held := self.app.do(self.place.deps.lock.peek())).holder or held.pending:
            self.harm.append("the lock is held")

    # ---- the oracle ----

    def _judge(self, run: Run) -> None:
        """Hold what a run says against what is."""
        self.harm += lies(self.scene, run) + self.scene.watch.harm
        self.scene.watch.harm.clear()
        interrupted = run.follow_up is not None or run.status_detail.startswith("interrupted")
        soon_again = any(table.passing for table in run.tables)  # Customer Insights did not answer
        if run.status not in PASSING and not (interrupted or soon_again):
            self.harm.append(f"a passing fault ended run {run.id} as {run.status}: {run.status_detail}")

    def _links(self) -> Links:
        return {(truth.table, row): link for truth in truths(self.place.database) for row, link in truth.live.items()}

    def _described(self, each: Round) -> str:
        faults = [fault.kind for fault in each.dataverse]
        others = [fault.kind for fault in (each.between, each.storage) if fault is not None]
        return ", ".join([each.mode, *faults, *others, *filter(None, [str(each.interrupted or "")])])


def _miscounted(counts: Counts, before: Links, after: Links, written: Iterable[tuple[str, str]]) -> list[str]:
    """Return where the figures of a run that nothing struck are not what the rows say, and which writes were not needed."""
    rows = set(written)
    linked = {row for row in rows if after.get(row) is not None}
    same = {row for row in rows if before.get(row) == after.get(row)}
    found = [f"{len(same)} rows were written that were right: {min(same)}"] if same else []
    if counts.linked != len(linked):
        found.append(f"the run says that it linked {counts.linked} rows, and wrote {len(linked)}")
    if len(rows - linked) > counts.unlinked:
        found.append(f"the run says that it unlinked {counts.unlinked} rows, and cleared {len(rows - linked)}")
    return found


def live(scenario: Scenario, azurite_port: int) -> Held:
    """Play a scenario in an environment of its own. What breaks is a verdict too."""
    began = time.monotonic()
    with place(scenario, azurite_port) as (made, scene):
        assert isinstance(scene.app, ChaosApp)
        life = Life(made, scene, scene.app)
        try:
            life.play(scenario.rounds)
        except Exception as error:
            life.harm.append("".join(traceback.format_exception(error, limit=-4)))
    struck = tuple(f"{what} {times}x" for what, times in sorted(life.struck.items()))
    return Held(scenario.seed, struck, tuple(life.harm), round(time.monotonic() - began, 2))
