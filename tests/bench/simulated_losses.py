"""Where the time of a simulated run goes: the seconds of a run, by what the lanes of the best width did in them."""

from __future__ import annotations

from typing import Literal

from linker.core.throttling.pace import width_at
from tests.core.throttling.simulated_service import Service
from tests.core.throttling.simulated_world import World

type Cause = Literal["writing", "slower rows", "pause", "budget", "width", "waiting"]
CAUSES: tuple[Cause, ...] = ("writing", "slower rows", "pause", "budget", "width", "waiting")


class MeteredService(Service):
    """Plays a run and counts its seconds by cause. `best` is the width that brings the most."""

    def __init__(self, world: World, best: int) -> None:
        super().__init__(world)
        self.best = best
        self.seconds: dict[Cause, float] = dict.fromkeys(CAUSES, 0.0)

    def pass_until(self, next_s: float) -> None:
        passed_s = next_s - self.now_s
        used = min(1.0, self.under_way / self.best)
        self.seconds["writing"] += passed_s * used / self.crowd
        self.seconds["slower rows"] += passed_s * used * (1 - 1 / self.crowd)
        self.seconds[self._idle_cause()] += passed_s * (1 - used)
        super().pass_until(next_s)

    def _idle_cause(self) -> Cause:
        """Say why not all lanes of the best width are used now."""
        if self.now_s < self.control.held_until_s:
            return "pause"
        if width_at(self.control, self.now_s) < min(self.control.width, self.best):
            return "budget"
        return "width" if self.control.width < self.best else "waiting"
