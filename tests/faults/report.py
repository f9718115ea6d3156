"""The generated part of docs/dev/reliability.md: what was tried and what held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from .cases import cases
from .groups import groups
from .results import Results
from .steps import PHASES, STEPS, STORAGE_STRIKES, STRIKES, Step, Strike
from .trial import Verdict

PAGE: Final = Path(__file__).parents[2] / "docs" / "dev" / "reliability.md"
BEGIN: Final = "<!-- what follows is written by make faults -->"
END: Final = "<!-- until here -->"
NOT_RUN: Final = "not run"
CASE_PARTS: Final = 4  # of the name of a case of the matrix; those of processes have two


def written(page: str, results: Results) -> str:
    """Return the page with its generated part brought up to date."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, *_parts(results), END]) + after


def _parts(results: Results) -> Iterable[str]:
    matrix = {name: one for name, one in results.cases.items() if name.count(" / ") == CASE_PARTS - 1}
    known = {case.name for case in cases()} | matrix.keys()
    held = sum(not one.harm for one in matrix.values())
    left = len(known) - len(matrix)
    yield f"Tried {len(matrix):,} cases of the matrix, held {held:,}; {f'not run: {left:,}' if left else 'all were run'}."
    yield f"{results.machine}\n"
    yield _table(matrix)
    yield _legend()
    yield "### Processes\n"
    yield _processes(results.cases)
    yield from _failures(results.cases)


def _table(verdicts: Mapping[str, Verdict]) -> str:
    by_cell: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for name, one in verdicts.items():
        strike, step, *_ = name.split(" / ")
        by_cell[strike, step].append(one)
    head = ["Fault", *(step.name for step in STEPS)]
    rows = [[f"`{strike.name}`", *(_cell(strike, step, by_cell) for step in STEPS)] for strike in _strikes()]
    return "\n".join(" | ".join(["", *row, ""]).strip() for row in (head, ["---"] * len(head), *rows)) + "\n"


def _cell(strike: Strike, step: Step, found: Mapping[tuple[str, str], list[Verdict]]) -> str:
    verdicts = found.get((strike.name, step.name), [])
    if verdicts:
        return f"{sum(not one.harm for one in verdicts)}/{len(verdicts)}"
    reasons = {reason for phase in step.phases if (reason := strike.why_not(step, phase))}
    return _marks()[reasons.pop()] if reasons else NOT_RUN


def _marks() -> dict[str, str]:
    """Return a letter for each reason why a fault has nothing to strike."""
    reasons = [
        why for strike in _strikes() for step in STEPS for phase in step.phases if (why := strike.why_not(step, phase))
    ]
    return {reason: chr(ord("a") + number) for number, reason in enumerate(dict.fromkeys(reasons))}


def _legend() -> str:
    reasons = "; ".join(f"{mark}: {reason}" for reason, mark in _marks().items())
    return f"Cells are held/tried, over the {' and the '.join(PHASES)} run. Not applicable: {reasons}.\n"


def _processes(found: Mapping[str, Verdict]) -> str:
    lines = ["| What happens | Tried | Held |", "| --- | ---: | ---: |"]
    for group in groups()[1:]:
        verdicts = [found[name] for name in group.cases if name in found]
        counts = (len(verdicts), sum(not one.harm for one in verdicts)) if verdicts else (NOT_RUN, "")
        lines.append(f"| {group.what} | {counts[0]} | {counts[1]} |")
    return "\n".join(lines) + "\n"


def _failures(found: Mapping[str, Verdict]) -> Iterable[str]:
    failed = {name: one for name, one in found.items() if one.harm}
    if failed:
        yield "### What did not hold\n"
        yield "\n".join(f"- {name}: {'; '.join(one.harm)[:300]}" for name, one in sorted(failed.items())) + "\n"


def _strikes() -> tuple[Strike, ...]:
    return (*STRIKES, *STORAGE_STRIKES)
