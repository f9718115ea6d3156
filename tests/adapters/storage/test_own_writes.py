"""A conditional write whose answer was lost is recognized as this app's own, by every user of conditional writes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from linker.adapters.storage.table_guards import WRITE, OwnWrites
from linker.core.errors import AlreadyThereError, ChangedError, LinkerError, TransientError
from linker.core.model import Run, Status
from linker.core.ports import Tables
from tests.fakes.app import FakeApp
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.world import Store

type Write = Callable[[Tables, str], Any]
WRITES = [
    pytest.param("insert", lambda tables, _: tables.insert("t", "p", "new", {"n": 9}), "new", id="insert"),
    pytest.param("replace", lambda tables, etag: tables.replace("t", "p", "r", {"n": 9}, etag=etag), "r", id="replace"),
    pytest.param("merge", lambda tables, etag: tables.merge("t", "p", "r", {"n": 9}, etag=etag), "r", id="merge"),
]
LOST = [
    pytest.param(None, id="the client sends it again and is refused"),
    pytest.param(TransientError("reset"), id="no answer at all"),
]


class Losing(MemoryTables):
    """Stores the next conditional write and loses its answer; `error` None sends it again, as Microsoft's client does."""

    def __init__(self) -> None:
        super().__init__()
        self.armed, self.before, self.sent = False, False, 0
        self.error: LinkerError | None = None

    async def insert(self, *args: Any, **options: Any) -> str:
        return await self._lose(super().insert, args, options)

    async def replace(self, *args: Any, **options: Any) -> str:
        return await self._lose(super().replace, args, options)

    async def merge(self, *args: Any, **options: Any) -> str:
        return await self._lose(super().merge, args, options)

    async def _lose(self, send: Any, args: Any, options: Any) -> str:
        self.sent += 1
        if not self.armed:
            return await send(*args, **options)
        self.armed = False
        if not self.before:
            await send(*args, **options)
        if self.error is not None:
            raise self.error
        return await send(*args, **options)


@pytest.fixture
def losing() -> Losing:
    return Losing()


def own(tables: Tables) -> OwnWrites:
    ids = count()
    return OwnWrites(tables, lambda: f"write{next(ids)}")


@pytest.mark.parametrize("error", LOST)
@pytest.mark.parametrize(("operation", "write", "row"), WRITES)
async def test_a_lost_answer_is_the_answer(
    losing: Losing, operation: str, write: Write, row: str, error: LinkerError | None
) -> None:
    tables = own(losing)
    etag = await tables.insert("t", "p", "r", {"n": 1})
    losing.armed, losing.error = True, error
    saved = await write(tables, etag)
    found = await tables.get("t", "p", row)
    assert found is not None
    assert (found.properties, found.etag) == ({"n": 9}, saved)


@pytest.mark.parametrize(("operation", "write", "row"), WRITES)
async def test_what_never_arrived_is_sent_once_more(losing: Losing, operation: str, write: Write, row: str) -> None:
    tables = own(losing)
    etag = await tables.insert("t", "p", "r", {"n": 1})
    losing.armed, losing.before, losing.error, losing.sent = True, True, TransientError("reset"), 0
    await write(tables, etag)
    assert losing.sent == 2
    assert (await tables.get("t", "p", row)).properties == {"n": 9}  # type: ignore[union-attr]


@pytest.mark.parametrize(("operation", "write", "row"), WRITES)
async def test_the_write_of_another_host_is_not_mistaken_for_ones_own(
    losing: Losing, operation: str, write: Write, row: str
) -> None:
    tables, other = own(losing), OwnWrites(losing, lambda: "another host")
    etag = await tables.insert("t", "p", "r", {"n": 1})
    if operation == "insert":
        await other.insert("t", "p", "new", {"n": 9})
    else:
        await other.replace("t", "p", "r", {"n": 9}, etag=etag)
    with pytest.raises((ChangedError, AlreadyThereError)):
        await write(tables, etag)


async def test_an_entity_of_an_earlier_version_is_nobodys_own(losing: Losing) -> None:
    await losing.insert("t", "p", "r", {"n": 1})
    with pytest.raises(AlreadyThereError):
        await own(losing).insert("t", "p", "r", {"n": 1})


async def test_the_id_of_a_write_is_never_seen(tables: Tables) -> None:
    seen = own(tables)
    await seen.insert("ids", "p", "r", {"n": 1})
    assert (await seen.get("ids", "p", "r")).properties == {"n": 1}  # type: ignore[union-attr]
    assert [one.properties async for one in seen.query("ids", "p")] == [{"n": 1}]
    stored = await tables.get("ids", "p", "r")
    assert stored is not None
    assert stored.properties == {"n": 1, WRITE: "write0"}


async def test_an_outage_while_looking_leaves_the_outcome_open(losing: Losing) -> None:
    async def outage(*_: Any, **__: Any) -> Any:
        raise TransientError("down")

    tables = own(losing)
    etag = await tables.insert("t", "p", "r", {"n": 1})
    losing.armed, losing.get = True, outage  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="down"):
        await tables.replace("t", "p", "r", {"n": 9}, etag=etag)


# ---- a whole run, with each of its conditional writes lost ----


def lose(store: Store, number: int, kind: str) -> Callable[[], int]:
    """Lose the answer to one conditional write of the app; return what counts them."""
    sent = count(1)
    last = [0]

    def losing(send: Any, conditional: Callable[[Any], bool]) -> Any:
        async def sending(*args: Any, **options: Any) -> str:
            etag: str = await send(*args, **options)
            if not conditional(options):
                return etag
            last[0] = next(sent)
            if last[0] == number:
                if kind == "reset":
                    raise TransientError("reset")
                return await send(*args, **options)
            return etag

        return sending

    for name, conditional in (
        ("insert", lambda _: True),
        ("replace", lambda options: options.get("etag") is not None),
        ("merge", lambda _: True),
    ):
        setattr(store, name, losing(getattr(store, name), conditional))
    return lambda: last[0]


def outcome(app: FakeApp, run: Run) -> tuple[Any, ...]:
    return run.status, run.counts, run.warnings, app.world.is_right(), run.follow_up


@pytest.mark.parametrize("kind", ["reset", "refused"])
def test_a_run_does_not_notice_which_answer_was_lost(make_app: Callable[..., FakeApp], kind: str) -> None:
    """The first run of a table is full: it saves a plan, intents, pages and the end of its epoch."""
    whole = make_app()
    sent = lose(whole.world.store, 0, kind)
    wanted = outcome(whole, whole.run())
    assert wanted[:2] == (Status.SUCCESSFUL, wanted[1])
    assert sent() > 20
    for number in range(1, sent() + 1):
        app = make_app()
        lose(app.world.store, number, kind)
        assert (number, *outcome(app, app.run())) == (number, *wanted)
