"""What a shard asks of Table Storage, counted on the real code: docs/scale.md multiplies these figures."""

from __future__ import annotations

import pytest

from bench.simulation import OPERATIONS_LINKED, OPERATIONS_UNCHANGED
from linker.core.linking import shards
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode
from tests.fakes.world import World

ROWS, SHARDS = 40, 8


class Counting(World):
    """A world whose shards hold five rows. `operations` are those of a shard: (operation, table or row)."""

    def __init__(self) -> None:
        super().__init__()
        self.people(ROWS)
        self.operations: list[tuple[str, str]] = []
        self.store.hooks.append(self._note)
        query = self.store.query

        def counted(table: str, *keys: str, **options: object) -> object:
            self.operations.append(("query", table))
            return query(table, *keys, **options)  # type: ignore[arg-type]

        self.store.query = counted  # type: ignore[method-assign,assignment]

    def _note(self, operation: str, _: str, row: str) -> None:
        if not row.startswith("run-"):  # this world looks whether its run is there
            self.operations.append((operation, row))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(shards, "SHARD_ROWS", ROWS // SHARDS)
    return Counting()


async def count(world: Counting, run: str, mode: Mode) -> float:
    """Link all shards in one process and return the operations of each after the first, which also reads what all share."""
    await world.prepare(run)
    scan = await world.scan(run)
    assert scan.count == SHARDS
    outcomes = [await world.link(run, scan=scan, mode=mode, epoch=run, number=0)]
    world.operations.clear()
    outcomes += [await world.link(run, scan=scan, mode=mode, epoch=run, number=at) for at in range(1, SHARDS)]
    assert sum(outcome.counts.rows_read for outcome in outcomes) == ROWS
    return len(world.operations) / (SHARDS - 1)


async def test_a_shard_takes_so_many_operations_at_its_first_link_and_when_nothing_changed(world: Counting) -> None:
    await world.deps.states.save("contact", TableState(), None)
    await world.prepare("run1")
    assert await count(world, "run1", Mode.FULL) == OPERATIONS_LINKED
    assert world.is_right()
    assert [one for one in world.operations if one[0] == "merge"] == []  # intents take the shard
    assert await count(world, "run2", Mode.INCREMENTAL) == OPERATIONS_UNCHANGED


async def test_a_shard_of_a_full_run_that_is_delivered_again_reads_its_index_and_its_removed_rows(
    world: Counting,
) -> None:
    await count(world, "run1", Mode.FULL)
    asked = dict(world.dataverse.asked)
    assert await count(world, "run1", Mode.FULL) == OPERATIONS_UNCHANGED + 1  # the note of removed rows
    assert {kind: n for kind, n in world.dataverse.asked.items() if kind != "mapping"} == {
        kind: n for kind, n in asked.items() if kind != "mapping"
    }


async def test_a_process_notes_the_progress_of_a_run_once(world: Counting) -> None:
    await count(world, "run1", Mode.FULL)
    looks = [row for operation, row in world.operations if operation == "get" and row == "lock"]
    assert len(looks) == SHARDS - 1  # whether the run continues; none notes its progress
