"""Which faults are armed, how often each may still fire, and all that fired."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final

from sandbox.faults.model import Fault, Target

_REMEMBERED: Final = 10_000


@dataclass(slots=True, eq=False)
class _Armed:
    fault_id: int
    fault: Fault
    chance: random.Random
    disarmed: asyncio.Event = field(default_factory=asyncio.Event)
    matched: int = 0
    fired: int = 0

    def fires(self, target: Target) -> bool:
        """Count a matching request and return whether it is struck."""
        fault = self.fault
        if (fault.times is not None and self.fired >= fault.times) or not fault.matches(target):
            return False
        self.matched += 1
        due = self.matched > fault.skip and (self.matched - fault.skip) % fault.every == 0
        if not due or self.chance.random() >= fault.share:
            return False
        self.fired += 1
        return True


@dataclass(slots=True)
class Faults:
    """The armed faults; the first one that fires strikes a request."""

    now: Callable[[], datetime]
    _armed: list[_Armed] = field(default_factory=list)
    _fired: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def arm(self, faults: Iterable[Fault]) -> list[int]:
        """Arm faults beside those that are armed already; returns their ids."""
        armed = [_Armed(next(self._ids), fault, random.Random(fault.seed)) for fault in faults]
        self._armed += armed
        return [one.fault_id for one in armed]

    def disarm(self, fault_id: int | None = None) -> int:
        """Disarm one fault, or all of them and forget what fired; returns how many were armed."""
        ending = [one for one in self._armed if fault_id in (None, one.fault_id)]
        self._armed = [one for one in self._armed if one not in ending]
        for one in ending:
            one.disarmed.set()
        if fault_id is None:
            self._fired.clear()
        return len(ending)

    async def wait_until_disarmed(self, fault: Fault) -> None:
        """Return once this fault, which has struck, is armed no more."""
        for one in self._armed:
            if one.fault is fault:
                await one.disarmed.wait()
                return

    @property
    def any_armed(self) -> bool:
        """Whether requests need to be looked at."""
        return bool(self._armed)

    def strike_request(self, target: Target) -> Fault | None:
        """Return the fault that strikes a whole request."""
        return self._strike(target, in_pipeline=False)

    def strike_operation(self, target: Target) -> Fault | None:
        """Return the fault that strikes an operation which passed its checks."""
        return self._strike(target, in_pipeline=True)

    def listed(self) -> dict[str, Any]:
        """Return armed faults with their counts, and those that fired, oldest first."""
        armed = [
            {"id": one.fault_id, "matched": one.matched, "fired": one.fired, **asdict(one.fault)} for one in self._armed
        ]
        return {"armed": armed, "fired": list(self._fired)}

    def _strike(self, target: Target, *, in_pipeline: bool) -> Fault | None:
        for one in self._armed:
            if one.fault.strikes_operations == in_pipeline and one.fires(target):
                self._note(one, target)
                return one.fault
        return None

    def _note(self, one: _Armed, target: Target) -> None:
        self._fired.append(
            {
                "id": one.fault_id,
                "kind": one.fault.kind,
                "at": self.now().isoformat(timespec="milliseconds"),
                "method": target.method,
                "path": target.path[:500],
                "table": target.table,
                "operation": target.operation,
                "match": one.matched,
            }
        )
