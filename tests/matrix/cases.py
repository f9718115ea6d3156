"""The cases of the matrix: each kind of table, each value of each switch, and seeded combinations of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import registry

KINDS = ("elastic", "standard", "virtual")
BASE: Mapping[str, object] = {"profile_table": "elastic", "mapping_table": "elastic"}
COMBINATIONS = 200
BOUNDED = 12  # combinations in `make test`; all are in `make matrix`
LEFT_OUT = frozenset({"events_url"})  # pushes messages to an address, which is another matter

type Case = Mapping[str, object]


def kinds() -> Iterator[Case]:
    """Yield every pair of table kinds."""
    for profile in KINDS:
        for mapping in KINDS:
            yield {"profile_table": profile, "mapping_table": mapping}


def singles() -> Iterator[Case]:
    """Yield every value of every switch that is not its default, on elastic tables."""
    for entry in registry(SandboxConfig).values():
        for value in entry.values:
            if value != entry.default and entry.name not in (*BASE, *LEFT_OUT):
                yield {**BASE, entry.name: value}


def apart(prefix: str = "elastic_") -> Iterator[Case]:
    """Yield what `singles` yields of the switches about elastic tables, where only one of the two tables is elastic."""
    for case in singles():
        if any(name.startswith(prefix) for name in case):
            yield {**case, "profile_table": "standard"}
            yield {**case, "mapping_table": "standard"}


def combinations(number: int = COMBINATIONS) -> Iterator[Case]:
    """Yield seeded combinations: kinds of both tables, and two to six switches."""
    entries = [entry for entry in registry(SandboxConfig).values() if entry.name not in (*BASE, *LEFT_OUT)]
    for seed in range(number):
        chance = random.Random(seed)
        chosen = chance.sample(entries, chance.randint(2, 6))
        switches = {entry.name: chance.choice(list(entry.values)) for entry in chosen}
        yield {"profile_table": chance.choice(KINDS), "mapping_table": chance.choice(KINDS), **switches}


def name_of(case: Case) -> str:
    """Return a case as people write it."""
    return " ".join(f"{name}={value}" for name, value in case.items())


def config_of(case: Case) -> SandboxConfig:
    """Return the switches of a case. Service protection is off unless the case is about it: it is tested elsewhere."""
    protected = any(name.startswith(("limit_", "protection")) for name in case)
    return changed(SandboxConfig(), {**({} if protected else {"protection": False}), **case})
