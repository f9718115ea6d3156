"""A seeded cross-section of the fault matrix: each fault and each step once at least. `make faults` plays all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator

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
            yield case


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cross_section()])
def test_at_most_two_further_runs_set_everything_right(azurite: str, case: Case) -> None:
    assert try_case(case, port_of(azurite)).harm == ()
