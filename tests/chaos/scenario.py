"""What happens in a scenario, drawn from its seed: hosts, clocks, changes of the world, and what strikes each run. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sandbox.faults import Fault, read_faults
from sandbox.server.app import API_PATH, IDENTITY_PATH, INSIGHTS_PATH
from sandbox.switches.config import SandboxConfig
from tests.faults.proxy import Kind, StorageFault

type Mode = Literal["incremental", "full", "verify"]
type Interruption = Literal["crash", "freeze", "cancel"]

ROUNDS: Final = (1, 2)
KINDS: Final = ("elastic", "elastic", "standard")
CLOCKS_S: Final = (0.0, 0.0, 0.0, -3_600.0, -90.0, 90.0, 3_600.0)  # how far the clock of a host is ahead
CHANGES: Final[tuple[Mapping[str, Any], ...]] = (
    {},
    {"move": 0.1},
    {"move": 0.1, "drop": 0.02},
    {"move": 0.05, "merge": 0.05, "recreate": 0.03},
    {"split": 0.05},
    {"restore": "before"},
    {"delete_profiles": 0.1},
    {"bring_back": "same id"},
    {"bring_back": "new id"},
)
# Faults that pass: each ends by itself within what a run waits for, or within the time until the next run.
OF_DATAVERSE: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "requests_limit", "retry_after_s": 20},
    {"kind": "execution_limit", "retry_after_s": 3},
    {"kind": "concurrency_limit"},
    {"kind": "table_throttled"},
    {"kind": "unavailable"},
    {"kind": "server_error"},
    {"kind": "unauthorized", "path": API_PATH},  # the identity endpoint says so for ever, to an app without an identity
    {"kind": "late_commit", "delay_s": 12},
    {"kind": "reset_before_commit"},
    {"kind": "reset_after_commit"},
    {"kind": "sql_timeout"},
    {"kind": "deadlock"},
    {"kind": "unavailable", "path": IDENTITY_PATH},
    {"kind": "server_error", "path": IDENTITY_PATH},
    {"kind": "reset_before_commit", "path": IDENTITY_PATH},
    {"kind": "unauthorized", "path": INSIGHTS_PATH},
    {"kind": "unavailable", "path": INSIGHTS_PATH},
    {"kind": "mapping_changed", "unification": {"move": 0.05, "seed": 99}},
)
BETWEEN: Final[tuple[Kind, ...]] = ("gateway", "late gateway", "unavailable", "reset", "lost answer", "silence", "slow")
OF_STORAGE: Final[tuple[Kind, ...]] = ("unavailable", "silence", "reset", "lost answer", "changed", "slow")
SKIPPED: Final = 60  # requests that may go well before a fault strikes
ACTIVITIES: Final = 45  # of a run, among which one is interrupted
REQUESTS: Final = 12  # of an activity, before or after which it is


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What happens to the process at which activity of a run, and at which of its requests, both counted from 1."""

    what: Interruption
    activity: int
    request: int


@dataclass(frozen=True, slots=True)
class Round:
    """A change of the world, and a run with what strikes it."""

    change: Mapping[str, Any]
    mode: Mode
    dataverse: tuple[Fault, ...] = ()
    between: StorageFault | None = None
    storage: StorageFault | None = None
    interrupted: Interrupted | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One environment and what happens in it. `clocks_s` has an entry for each host."""

    seed: int
    config: SandboxConfig
    stored: bool  # in Azurite, behind a proxy of its own, instead of in memory
    clocks_s: tuple[float, ...]
    rounds: tuple[Round, ...]


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed, always the same."""
    chance = random.Random(f"chaos {seed}")
    stored = chance.random() < 0.5
    kind = chance.choice(KINDS)
    config = SandboxConfig(protection=False, profile_table=kind, mapping_table=kind)  # type: ignore[arg-type]
    clocks_s = tuple(chance.choice(CLOCKS_S) for _ in range(chance.choice((1, 2))))
    rounds = tuple(_round(chance, seed, number, stored=stored) for number in range(chance.choice(ROUNDS)))
    return Scenario(seed, config, stored, clocks_s, rounds)


def _round(chance: random.Random, seed: int, number: int, *, stored: bool) -> Round:
    change = chance.choice(CHANGES) if number else {"snapshot": "before"}
    mode: Mode = chance.choice(("incremental", "incremental", "incremental", "full", "verify"))
    return Round(
        {**change, "seed": 100 * seed + number} if change else {},
        mode,
        tuple(_fault(chance) for _ in range(chance.choice((0, 1, 1, 2)))),
        _proxied(chance, BETWEEN, most=4) if chance.random() < 0.4 else None,
        _proxied(chance, OF_STORAGE, most=6) if stored and chance.random() < 0.6 else None,
        _interruption(chance) if chance.random() < 0.4 else None,
    )


def _fault(chance: random.Random) -> Fault:
    document = dict(chance.choice(OF_DATAVERSE))
    times = 1 if document["kind"] in ("mapping_changed", "late_commit") else chance.choice((1, 1, 3, 6))
    skip = 0 if document.get("path") in (IDENTITY_PATH, INSIGHTS_PATH) else chance.randrange(SKIPPED)
    return read_faults({**document, "skip": skip, "times": times})[0]


def _proxied(chance: random.Random, kinds: Sequence[Kind], *, most: int) -> StorageFault:
    return StorageFault(chance.choice(kinds), skip=chance.randrange(SKIPPED), times=chance.choice((1, 1, 2, most)))


def _interruption(chance: random.Random) -> Interrupted:
    what: Interruption = chance.choice(("crash", "crash", "freeze", "cancel"))
    return Interrupted(what, chance.randrange(1, ACTIVITIES), chance.randrange(1, REQUESTS))
