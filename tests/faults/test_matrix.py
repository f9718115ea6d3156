"""A seeded cross-section of the fault matrix: each fault and each step once at least. `make faults` plays all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest

from .cases import Case, cases
from .scene import port_of
from .trial import try_case


def cross_section() -> Iterator[Case]:
    """Yield cases until every fault and every step was there."""
    seen: set[str] = set()
    everything = list(cases())
    for case in random.Random(20261124).sample(everything, len(everything)):
        if not {case.strike.name, case.step.name} <= seen:
            seen |= {case.strike.name, case.step.name}
            if (case.strike.name, case.step.name) != ("storage changed", "stage"):  # rows are staged without an ETag
                yield case


# Known fault, not explained yet: a mapping that changes while links are read back leaves rows wrong that no run reports.
OPEN: Final = {"mapping_changed / read-back / first / 1"}


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """Return the mark of a case that is known to fail."""
    return [pytest.mark.xfail(strict=True, reason="rows stay wrong and are not reported")] if case.name in OPEN else []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=marks(case)) for case in cross_section()])
def test_at_most_two_further_runs_set_everything_right(azurite: str, case: Case) -> None:
    assert try_case(case, port_of(azurite)).harm == ()
