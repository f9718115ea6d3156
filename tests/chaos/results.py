"""What became of each scenario, and its part of docs/dev/reliability.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from linker.core.serialization import from_json

from .life import Held

FILE: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[2] / "docs" / "dev" / "reliability.md"
BEGIN: Final = "<!-- what follows is written by make chaos -->"
END: Final = "<!-- until here, by make chaos -->"


def load(file: Path = FILE) -> dict[int, Held]:
    """Return what is stored by seed, nothing if there is none."""
    if not file.exists():
        return {}
    return {int(seed): from_json(Held, one) for seed, one in json.loads(file.read_text(encoding="utf-8")).items()}


def save(results: Mapping[int, Held], file: Path = FILE) -> None:
    """Write one scenario a line, in the order of the seeds."""
    lines = [f' "{seed}": {json.dumps(asdict(held))}' for seed, held in sorted(results.items())]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def write_page(results: Mapping[int, Held]) -> None:
    """Bring the page up to date."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def written(page: str, results: Mapping[int, Held]) -> str:
    """Return the page with its part about scenarios brought up to date."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_summary(results)}\n{END}{after}"


def _summary(results: Mapping[int, Held]) -> str:
    harmed = {seed: held for seed, held in results.items() if held.harm}
    struck = Counter[str]()
    for held in results.values():
        for text in held.struck:
            what, _, times = text.rpartition(" ")
            struck[what] += int(times.removesuffix("x"))
    lines = [f"Played {len(results):,} scenarios, held {len(results) - len(harmed):,}."]
    if struck:
        lines += ["", "| What struck | Times |", "| --- | ---: |"]
        lines += [f"| {what} | {times:,} |" for what, times in sorted(struck.items())]
    if harmed:
        lines += ["", "Scenarios that did not hold:", ""]
        lines += [f"- {seed}: {'; '.join(held.harm)[:300]}" for seed, held in sorted(harmed.items())]
    return "\n".join(lines)
