"""How many links of a table were cleared in the last day: many small steps empty a table as one large step does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from linker.adapters.storage.documents import Documents
from linker.core.errors import AlreadyThereError, ChangedError
from linker.core.model import WIRE

MEMORY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class _Step:
    """One call of the unlinking pass: its run, where it began, when (epoch s), and how many links it cleared."""

    __pydantic_config__ = WIRE
    run: str
    after: str
    at: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Steps:
    __pydantic_config__ = WIRE
    steps: tuple[_Step, ...] = ()


class UnlinkedRows:
    """Cleared links of each table. What an operator allowed is not remembered: it was decided on."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(self, table: str, run: str, after: str, rows: int, now: float) -> None:
        """Remember a call of the unlinking pass; the same call again counts once, with the larger number."""
        while True:
            found = await self._documents.load(_Steps, _row(table))
            old = found[0] if found else _Steps()
            known = next((step for step in old.steps if (step.run, step.after) == (run, after)), None)
            others = tuple(step for step in old.steps if step is not known and step.at > now - MEMORY_S)
            step = _Step(run, after, now, max(rows, known.rows if known else 0))
            new = replace(old, steps=(*others, step))
            try:
                await (
                    self._documents.save(_row(table), new, found[1])
                    if found
                    else self._documents.insert(_row(table), new)
                )
            except (AlreadyThereError, ChangedError):
                continue
            return

    async def before(self, table: str, run: str, now: float) -> int:
        """Return how many links other runs than this one cleared in the last 24 hours."""
        found = await self._documents.load(_Steps, _row(table))
        steps = found[0].steps if found else ()
        return sum(step.rows for step in steps if step.run != run and step.at > now - MEMORY_S)


def _row(table: str) -> str:
    return f"unlinked-{table}"
