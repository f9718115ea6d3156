"""The run lock over storage: atomic among many, also when answers are lost."""

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import uuid4

import pytest

from linker.adapters.storage.lock_store import MAX_ATTEMPTS, ROW, TABLE, RunLock, pause
from linker.core.errors import ChangedError, TransientError
from linker.core.model import Mode, RunRequest, Ticket, UnlinkAllowance
from linker.core.ports import Properties, Tables
from linker.core.runs.lock_state import MAX_SERVED, MAX_TABLES, LockState
from linker.core.runs.run_lock import Cancellation
from linker.core.serialization import dumps
from tests.fakes.memory_tables import MemoryTables

_environments = count()


@dataclass
class Clock:
    """Epoch seconds that only move when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class LosingTables(MemoryTables):
    """Storage whose next conditional writes end without an answer, stored or not, as a lost connection leaves it."""

    stored: list[bool] = field(default_factory=list)  # one a write that loses its answer

    def __post_init__(self) -> None:
        super().__init__()

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        if not self.stored:
            return await super().replace(table, partition, row, properties, etag=etag)
        if self.stored.pop(0):
            await super().replace(table, partition, row, properties, etag=etag)
        raise TransientError("no answer")


def run_lock(tables: Tables, partition: str = "environment", clock: Clock | None = None) -> RunLock:
    async def at_once(attempt: int) -> None:
        await asyncio.sleep(0)

    return RunLock(tables, partition, clock or Clock(), 60.0, lambda: uuid4().hex, at_once)


@pytest.fixture
def partition() -> str:
    """An environment of its own."""
    return f"environment{next(_environments)}"


async def test_fifty_requests_at_once_make_one_run_and_at_most_one_more(tables: Tables, partition: str) -> None:
    locks = [replace(run_lock(tables, partition), pause=pause) for _ in range(5)]
    wanted = [
        RunRequest(mode=Mode.FULL if number == 7 else Mode.INCREMENTAL, jobs=(f"job{number}",)) for number in range(50)
    ]
    grants = await asyncio.gather(*(locks[number % 5].request(one) for number, one in enumerate(wanted)))
    first = [grant.run for grant in grants if not grant.waits]
    rest = {grant.run for grant in grants if grant.waits}
    assert len(first) == 1
    assert len(rest) == 1
    state = await locks[0].peek()
    assert state.holder is not None
    assert state.pending is not None
    assert (state.holder.run, state.pending.run) == (first[0], rest.pop())
    assert {*state.holder.request.jobs, *state.pending.request.jobs} == {f"job{number}" for number in range(50)}
    assert Mode.FULL in (state.holder.request.mode, state.pending.request.mode)


async def test_one_job_requested_by_many_at_once_makes_one_run(tables: Tables, partition: str) -> None:
    locks = [replace(run_lock(tables, partition), pause=pause) for _ in range(3)]
    grants = await asyncio.gather(*(locks[number % 3].request(RunRequest(jobs=("job",))) for number in range(20)))
    assert len({grant.run for grant in grants}) == 1
    state = await locks[0].peek()
    assert (state.holder, state.pending) == (grants[0].ticket, None)


async def test_a_run_from_request_to_the_next_one(tables: Tables, partition: str) -> None:
    clock = Clock()
    lock = run_lock(tables, partition, clock)
    first = await lock.request(RunRequest(jobs=("job",)))
    assert (await lock.renew(first.run)).held
    second = await lock.request(RunRequest(mode=Mode.FULL))
    following = await lock.finish(first.run, completed=True)
    assert following == Ticket(second.run, RunRequest(mode=Mode.FULL))
    again = await lock.request(RunRequest(jobs=("job",)))
    assert (again.run, again.served, again.unstarted) == (first.run, True, following)
    assert await lock.cancel(second.run) is Cancellation.RUNNING
    assert (await lock.renew(second.run)).cancel
    assert await lock.finish(second.run, completed=False) is None
    assert (await lock.peek()).holder is None


async def test_of_many_watchdogs_one_takes_over(tables: Tables, partition: str) -> None:
    clock = Clock()
    locks = [run_lock(tables, partition, clock) for _ in range(4)]
    dead = await locks[0].request(RunRequest(jobs=("job",)))
    clock.now += 60.0
    taken = [one for one in await asyncio.gather(*(lock.take_over() for lock in locks)) if one is not None]
    assert [one.ended.run for one in taken] == [dead.run]
    assert taken[0].next == Ticket(taken[0].successor, RunRequest(jobs=("job",)), interruptions=1)
    assert not (await locks[0].renew(dead.run)).held
    await locks[1].note_progress(taken[0].successor)
    assert (await locks[0].peek()).holder == Ticket(taken[0].successor, RunRequest(jobs=("job",)))


async def test_environments_do_not_see_each_other(tables: Tables, partition: str) -> None:
    grants = [await run_lock(tables, name).request(RunRequest()) for name in (partition, f"{partition} other")]
    assert [grant.waits for grant in grants] == [False, False]


async def test_the_largest_requests_fit_and_their_run_is_taken_over(tables: Tables, partition: str) -> None:
    clock = Clock()
    lock = run_lock(tables, partition, clock)
    names = [f"{number:0128}" for number in range(MAX_TABLES)]
    largest = RunRequest(tables=tuple(names), unlink_allowed=tuple(UnlinkAllowance(name, 1) for name in names[:20]))
    jobs = tuple(f"{number:0200}" for number in range(MAX_SERVED))
    for more in (RunRequest(jobs=jobs), largest, replace(largest, jobs=jobs), replace(largest, dry_run=True)):
        await lock.request(more)
    await lock.finish((await held(lock)).run, completed=True)
    clock.now += 61
    taken = await lock.take_over()
    assert taken is not None
    assert taken.next == await held(lock)


async def held(lock: RunLock) -> Ticket:
    holder = (await lock.peek()).holder
    assert holder is not None
    return holder


async def test_a_lock_that_the_version_before_saved_is_read() -> None:
    tables, ticket = MemoryTables(), Ticket("r", RunRequest())
    before = LockState(holder=ticket, expires=2_000.0)
    await tables.insert(TABLE, "environment", ROW, {"state": dumps(before), "marks": "one two"})
    lock = run_lock(tables)
    assert await lock.peek() == before
    assert (await lock.request(RunRequest())).run != "r"
    assert (await lock.peek()).holder == ticket


async def test_what_changes_nothing_writes_nothing() -> None:
    tables = MemoryTables()
    lock = run_lock(tables)
    run = (await lock.request(RunRequest())).run
    await lock.renew(run)  # the first one says that it has begun
    before = dict(tables.entities)
    await lock.renew(run)
    await lock.note_progress(run)
    await lock.finish("another", completed=True)
    assert tables.entities == before


@pytest.mark.parametrize("stored", [[True], [False], [False, True], [False, False, True]], ids=str)
async def test_a_change_whose_answer_was_lost_is_made_once(stored: list[bool]) -> None:
    tables = LosingTables()
    lock = run_lock(tables)
    first = (await lock.request(RunRequest())).run
    second = (await lock.request(RunRequest(mode=Mode.FULL))).run
    tables.stored = stored
    assert await lock.finish(first, completed=True) == Ticket(second, RunRequest(mode=Mode.FULL))
    assert tables.stored == []
    assert await lock.finish(second, completed=True) is None


async def test_a_lost_answer_is_recognised_after_others_changed_the_lock() -> None:
    tables, clock = LosingTables(), Clock()
    other = run_lock(tables, clock=clock)
    first = (await other.request(RunRequest())).run
    second = (await other.request(RunRequest())).run

    async def others_come(attempt: int) -> None:
        clock.now += 30.0
        assert (await other.renew(second)).held

    tables.stored = [True]
    assert await replace(other, pause=others_come).finish(first, completed=True) == Ticket(second, RunRequest())


async def test_who_never_gets_through_says_so() -> None:
    class Contended(MemoryTables):
        async def replace(self, *args: object, **options: object) -> str:
            raise ChangedError("another writer was faster")

    attempts: list[int] = []

    async def noted(attempt: int) -> None:
        attempts.append(attempt)

    lock = replace(run_lock(Contended()), pause=noted)
    await lock.request(RunRequest())
    with pytest.raises(TransientError, match="'environment'"):
        await lock.request(RunRequest())
    assert attempts == list(range(MAX_ATTEMPTS))


async def test_storage_that_cannot_be_read_is_reported_at_once() -> None:
    class Silent(MemoryTables):
        async def get(self, *args: object, **options: object) -> None:
            raise TransientError("no answer")

    with pytest.raises(TransientError, match="no answer"):
        await run_lock(Silent()).request(RunRequest())
