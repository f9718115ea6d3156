"""The real shard and unlinking code keep the promise on the schedules that break the model, and break it without its rules."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import Scan
from linker.core.linking.hash_blocks import UNCONFIRMED, Entry
from linker.core.runs.activity_values import ShardTask
from linker.deps import Deps
from linker.durable import writes
from linker.durable.activities import link_shard, unlink_table
from linker.durable.attempt import Attempt
from tests.model_checking import replay
from tests.model_checking.page_model import Model, State
from tests.model_checking.replay import Replay
from tests.model_checking.schedules import BREAKING, CHANGES, search

WALKS, STEPS = 25, 45


def schedule(rule: str) -> list[str]:
    return BREAKING.get(rule) or search(rule)[0]


@pytest.mark.parametrize("rule", [*CHANGES, *BREAKING])
async def test_the_code_keeps_the_promise_on_the_schedule_that_breaks_the_model_without(rule: str) -> None:
    assert await Replay().play(schedule(rule)) == ""


async def nothing(*_: Any, **__: Any) -> int:
    return 0


async def no_claims(*_: Any, **__: Any) -> list[Any]:
    return []


async def remembered_scan(deps: Deps, task: ShardTask, *, again: bool = False) -> Scan | None:
    """Return the scan as the process remembers it: the look at the current one is a second fence."""
    return await deps.staging.current(task.table, task.scan)


def with_any_etag(patch: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, entity_set, key, body, etag: patch(self, entity_set, key, body, "*")


WITHOUT: dict[str, tuple[object, str, object]] = {
    "intent": (link_shard, "intend", lambda row, wanted: tuple(row) or (Entry(0, 0),)),
    "old-entry": (link_shard, "intend", lambda row, wanted: (Entry(wanted.wish, wanted.link | UNCONFIRMED),)),
    "empties": (replay, "mark_vanished", nothing),
    "absence": (Dataverse, "claims_of", no_claims),
    "etag": (Dataverse, "patch", with_any_etag(Dataverse.patch)),
    "ours": (unlink_table, "_is_ours", lambda *_: True),
    "read-back": (writes, "is_stored", lambda *_: True),
    "fence": (Attempt, "before_send", nothing),
    "late-bit": (link_shard, "mark_late", nothing),
}


@pytest.mark.parametrize("rule", WITHOUT)
async def test_the_code_breaks_the_promise_when_it_loses_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only patching of our own code in the tests: it proves that the replay would notice."""
    monkeypatch.setattr(*WITHOUT[rule])
    if rule == "fence":
        monkeypatch.setattr(link_shard, "current_scan", remembered_scan)
    assert await Replay().play(schedule(rule)) != ""


@pytest.mark.parametrize("seed", range(WALKS))
async def test_the_code_keeps_the_promise_on_a_random_walk_through_the_model(seed: int) -> None:
    walk = random_walk(seed)
    assert await Replay().play(walk) == "", walk


def random_walk(seed: int) -> list[str]:
    """Mostly steps of two attempts, now and then a change of the world, a crash or an attempt that runs out of time."""
    chance, model, state, walk = random.Random(seed), Model(frozen=True), State(), []
    for _ in range(STEPS):
        moves = list(model.moves(state))
        steps = [move for move in moves if ": " in move[0] or move[0].endswith("starts")]
        name, state = chance.choice(steps if steps and chance.random() < 0.8 else moves)
        walk.append(name)
    return walk
