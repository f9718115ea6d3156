"""The seam for cost and faults: what surrounds an operation, and what may be done to it there."""

from dataclasses import dataclass, field

import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.runtime import BatchPart, Environment, ReadOperation, WriteOperation
from sandbox.webapi.protocol.errors import ApiError
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, error, read, update_multiple
from tests.sandbox.webapi.test_batch import GOING_ON, change_set, parts, request, send


@dataclass
class Recorder:
    """Notes every operation; refuses, drops or breaks what a test asks for."""

    writes: list[WriteOperation] = field(default_factory=list)
    committed: list[WriteOperation] = field(default_factory=list)
    reads: list[ReadOperation] = field(default_factory=list)
    parts: list[BatchPart] = field(default_factory=list)
    refuse: str = ""
    drop: bool = False
    reset: bool = False

    async def before_part(self, part: BatchPart) -> None:
        self.parts.append(part)
        if self.refuse and self.refuse in part.path:
            raise ApiError(429, "0x80072322", "Number of requests exceeded the limit.")

    async def before_write(self, operation: WriteOperation) -> bool:
        self.writes.append(operation)
        return not self.drop

    async def after_commit(self, operation: WriteOperation) -> None:
        self.committed.append(operation)
        if self.reset:
            raise ConnectionResetError

    async def after_read(self, operation: ReadOperation) -> None:
        self.reads.append(operation)


@pytest.fixture
def hooks(environment: Environment) -> Recorder:
    environment.hooks = Recorder()
    return environment.hooks


async def test_a_write_shows_its_rows_columns_and_user(api: Client, hooks: Recorder) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    await update_multiple(api, {"contactid": row_id, "jobtitle": "x"}, **{"MSCRM.Tag": "t"})
    operation = hooks.writes[-1]
    assert (operation.kind, operation.table, operation.row_ids) == ("UpdateMultiple", "contact", (row_id,))
    assert (operation.columns, operation.user) == (frozenset({"jobtitle"}), ADMIN.systemuser_id)
    assert operation.headers["mscrm.tag"] == "t"
    assert hooks.committed == hooks.writes


async def test_a_read_shows_how_many_rows_it_answers(api: Client, hooks: Recorder, environment: Environment) -> None:
    for name in ("Ash", "Elm"):
        await create(api, "contacts", lastname=name)
    await read(api, "contacts?$select=lastname")
    assert [(operation.table, operation.rows) for operation in hooks.reads] == [("contact", 2)]
    counters = environment.counters.of("contact")
    assert (counters.reads, counters.rows_read) == (1, 2)


async def test_a_dropped_write_answers_success_and_writes_nothing(
    api: Client, hooks: Recorder, environment: Environment
) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    environment.counters.reset()
    hooks.drop = True
    assert (await update_multiple(api, {"contactid": row_id, "lastname": "Elm"})).status_code == 204
    assert (await read(api, f"contacts({row_id})"))["lastname"] == "Ash"
    assert environment.counters.of("contact").rows_written == 0


async def test_an_answer_that_is_lost_after_the_commit_leaves_the_row_written(api: Client, hooks: Recorder) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    hooks.reset = True
    with pytest.raises(ConnectionResetError):
        await api.patch(f"contacts({row_id})", json={"lastname": "Elm"})
    assert (await read(api, f"contacts({row_id})"))["lastname"] == "Elm"


async def test_each_part_of_a_batch_is_announced_and_may_be_refused(api: Client, hooks: Recorder) -> None:
    hooks.refuse = "leads"
    answer = await send(
        api,
        request("GET contacts?$top=1"),
        request("GET leads"),
        change_set(request("POST contacts", "{}"), request("POST leads", "{}")),
        **GOING_ON,
    )
    assert [part.status for part in parts(answer)] == [200, 429, 429]
    assert [(part.method, part.path) for part in hooks.parts] == [
        ("GET", "contacts"),
        ("GET", "leads"),
        ("POST", "contacts"),
        ("POST", "leads"),
    ]
    assert hooks.writes == []


async def test_a_request_that_fails_its_checks_never_reaches_the_hooks(api: Client, hooks: Recorder) -> None:
    assert error(await api.post("contacts", json={"nothing": 1})) == (400, "0x0")
    assert hooks.writes == []
