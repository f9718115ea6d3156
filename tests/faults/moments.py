"""Processes that die or stop at seeded moments of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessFault:
    """What happens to a process; `what` is how the page calls it."""

    name: str
    what: str


PROCESS_FAULTS: tuple[ProcessFault, ...] = ()
