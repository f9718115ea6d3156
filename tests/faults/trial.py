"""Try one case: a run that is struck, a unification meanwhile, and at most two further runs that set everything right."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from linker.core.model import Run
from sandbox.database import bulk_delete

from .cases import Case
from .scene import Scene, scene
from .truth import lies, truths, undone

CHANGED_BEFORE = {"move": 0.1, "merge": 0.05, "drop": 0.03, "recreate": 0.03}
MOVED_ON = {"move": 0.1, "split": 0.05, "drop": 0.02}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case went. `harm` is what broke a promise, empty when it held; `further` runs were needed."""

    fired: int
    further: int
    harm: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class Trial:
    """One case on its own environment."""

    case: Case
    scene: Scene
    fired: int = 0
    harm: list[str] = field(default_factory=list)

    def play(self) -> int:
        """Play it; returns how many further runs it took."""
        self._before()
        self.scene.app.around = self._struck
        self._run()
        self.scene.app.around = self._unstruck
        if not self.fired:
            self.harm.append("the fault found nothing to strike")
        changes = self._changes()
        for further, change in enumerate(changes, 1):
            if change:
                self.scene.unify(seed=self.case.seed + further, **change)
            left = undone(self.scene, self._run())
            if not left and not any(changes[further:]):
                return further
        self.harm += left
        return len(changes)

    def _before(self) -> None:
        """Bring the environment to where the run is that will be struck."""
        if self.case.phase == "later":
            self.scene.app.serve()
            self.scene.unify(snapshot="before", seed=self.case.seed, **CHANGED_BEFORE)
            self._delete_one_of_the_changed()
        else:
            self.scene.unify(snapshot="before")

    def _delete_one_of_the_changed(self) -> None:
        """Those that are gone from the beginning are known by now: only a row that was there makes a write fail.

        It is the last one, so that other writes are good ones.
        """
        changed = next(truth.wrong for truth in truths(self.scene.database) if truth.table == "contact")
        bulk_delete(self.scene.database, "contact", [max(changed)])

    def _changes(self) -> list[dict[str, object]]:
        """Return the unification before each of the further runs, {} for none. There may be two."""
        match self.case.change:
            case "goes back":
                return [{"restore": "before"}, {}]
            case "moves on":
                return [dict(MOVED_ON), {}]
            case "deletes and brings back":
                return [{"delete_profiles": 0.1}, {"bring_back": "new id" if self.case.seed % 2 else "same id"}]
            case "nothing":
                return [{}, {}]

    def _run(self) -> Run:
        """Run once, with all that follows by itself, and hold what it says against what is."""
        last = self.scene.app.serve()[-1]
        self.harm += lies(self.scene, last) + self.scene.watch.harm
        self.scene.watch.harm.clear()
        return last

    @contextmanager
    def _struck(self, activity: str) -> Iterator[None]:
        """Let the fault strike an activity of its step, as often as it is to strike in all."""
        left = None if self.case.times is None else self.case.times - self.fired
        if activity not in self.case.step.activities or left == 0:
            with self._unstruck(activity):
                yield
            return
        self._arm(left)
        try:
            with self._unstruck(activity):
                yield
        finally:
            self.fired += self._disarm()

    @contextmanager
    def _unstruck(self, activity: str) -> Iterator[None]:
        if activity == "unlink_table":
            self.scene.watch.unlinking_begins()
        yield

    def _arm(self, times: int | None) -> None:
        if self.case.strike.of_storage:
            self.scene.storage.arm(self.case.storage_fault(times))
        else:
            self.scene.sandbox.faults.arm([self.case.fault(times)])

    def _disarm(self) -> int:
        if self.case.strike.of_storage:
            return self.scene.storage.disarm()
        fired = len(self.scene.sandbox.faults.listed()["fired"])
        self.scene.sandbox.faults.disarm()
        return fired


def try_case(case: Case, azurite_port: int) -> Verdict:
    """Try a case on an environment of its own; only faults of storage need the storage. What breaks is a verdict too."""
    began, further = time.monotonic(), 0
    with scene(azurite_port if case.strike.of_storage else 0) as made:
        trial = Trial(case, made)
        try:
            further = trial.play()
        except Exception as error:
            trial.harm.append("".join(traceback.format_exception(error, limit=-3)))
    return Verdict(trial.fired, further, tuple(trial.harm), round(time.monotonic() - began, 2))
