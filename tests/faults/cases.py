"""What is tried: each fault at each step that it can strike, in a first and in a later run, seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.faults import Fault, read_faults

from .proxy import Kind, StorageFault
from .steps import PHASES, STEPS, STORAGE_STRIKES, STRIKES, Phase, Step, Strike

type Change = Literal["nothing", "goes back", "deletes and brings back", "moves on"]

CHANGES: tuple[Change, ...] = ("nothing", "goes back", "deletes and brings back", "moves on")
SOMETIMES = (1, 3)  # how often a fault strikes, where it does not strike as often as it may


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one step of one kind of run. The same case is always the same."""

    strike: Strike
    step: Step
    phase: Phase
    seed: int = 1

    @property
    def name(self) -> str:
        """What it is called, also as an argument of `make faults ONLY=`."""
        return f"{self.strike.name} / {self.step.name} / {self.phase} / {self.seed}"

    @property
    def times(self) -> int | None:
        """How often the fault strikes."""
        most = min((most for most in (self.strike.most, self.step.most) if most is not None), default=None)
        return 1 if most == 1 else self._chance("times").choice((*SOMETIMES, most))

    @property
    def change(self) -> Change:
        """What unification does between the run that was struck and the next one."""
        return self._chance("change").choice(CHANGES)

    def fault(self, times: int | None) -> Fault:
        """Return it as the sandbox scripts it."""
        document = {"kind": self.strike.name, **self.strike.parameters, **(self.step.dataverse or {})}
        (fault,) = read_faults({**document, "skip": self._skip(document), "times": times})
        return fault

    def storage_fault(self, times: int | None) -> StorageFault:
        """Return it as the proxy takes it."""
        matchers = self.step.storage or {}
        kind: Kind = self.strike.name.removeprefix("storage ")  # type: ignore[assignment]  # it was made of one
        return StorageFault(kind, **{**matchers, "skip": self._skip(matchers), "times": times})

    def _skip(self, matchers: dict[str, object]) -> int:
        first = int(str(matchers.get("skip", 0)))
        return first + self._chance("skip").randrange(self._spread)

    @property
    def _spread(self) -> int:
        narrow = self.strike.strikes != "any"  # few of a step's requests are what such a fault is for
        return 1 if narrow else self.step.spread

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{what} of {self.name}")


def cases(seeds: Sequence[int] = (1,)) -> Iterator[Case]:
    """Yield everything that makes sense."""
    for seed in seeds:
        for strike in (*STRIKES, *STORAGE_STRIKES):
            for step in STEPS:
                for phase in PHASES:
                    if not strike.why_not(step, phase):
                        yield Case(strike, step, phase, seed)
