"""What was tried and how it went: one JSON file, kept case by case, so that the matrix may be broken off at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from linker.core.serialization import from_json

from .trial import Verdict

FILE: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Results:
    """Verdicts by the name of their case, and when and where the last of them was found."""

    machine: str
    cases: Mapping[str, Verdict]


def load(file: Path = FILE) -> Results:
    """Return what is stored, nothing if there is none."""
    if not file.exists():
        return Results("", {})
    stored = json.loads(file.read_text(encoding="utf-8"))
    return Results(stored["machine"], {name: from_json(Verdict, one) for name, one in stored["cases"].items()})


def save(results: Results, file: Path = FILE) -> None:
    """Write one case a line, in the order of the names, so that a difference can be read."""
    lines = [f" {json.dumps(name)}: {json.dumps(asdict(one))}" for name, one in sorted(results.cases.items())]
    text = f'{{"machine": {json.dumps(results.machine)}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
    file.write_text(text, encoding="utf-8")
