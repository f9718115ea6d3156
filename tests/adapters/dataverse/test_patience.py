"""Steps that ask many questions wait out the pauses of Dataverse, within bounds; writes are never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse, Meter, patient_reads
from linker.adapters.dataverse.http import BUSY_WAITS
from linker.adapters.dataverse.patient_reads import answer_or_reason, patient
from linker.adapters.dataverse.web_api import WebApi
from linker.adapters.write_limiter import answer_limit
from linker.core.errors import TableBusyError, ThrottledError, TransientError
from tests.fakes.world import StaticTokens

URL = "https://contoso.crm4.dynamics.com"


def throttling(times: int, wait: str, code: str) -> tuple[Connection, list[str]]:
    """Return a connection whose first answers ask for a pause."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) <= times:
            return httpx.Response(429, headers={"Retry-After": wait}, json={"error": {"code": code, "message": "busy"}})
        return httpx.Response(200, json={"value": []})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Connection(URL, client, StaticTokens()), asked


@pytest.mark.parametrize(
    ("code", "refusal"), [("0x80072321", ThrottledError), ("429", TableBusyError)], ids=["protection", "busy table"]
)
@pytest.mark.parametrize(
    ("method", "reads", "times", "wait", "patience_s", "asked"),
    [
        pytest.param("GET", False, 0, "1", 5.0, 1, id="no pause"),
        pytest.param("GET", False, 2, "1", 5.0, 3, id="two pauses"),
        pytest.param("POST", True, 1, "1", 5.0, 2, id="a batch of reads"),
        pytest.param("GET", False, 9, "1", 1.5, None, id="more than it waits for"),
        pytest.param("GET", False, 1, "60", 5.0, None, id="one that is too long"),
        pytest.param("POST", False, 1, "1", 5.0, None, id="a write"),
    ],
)
async def test_reads_wait_out_pauses(  # noqa: PLR0917 - a table of cases
    method: str,
    reads: bool,
    times: int,
    wait: str,
    patience_s: float,
    asked: int | None,
    code: str,
    refusal: type[TransientError],
) -> None:
    connection, sent = throttling(times, wait, code)
    ask: Callable[[], object] = lambda: patient(connection, patience_s).send(Meter(), method, "rows", reads=reads)  # noqa: E731
    if asked is None:
        with pytest.raises(refusal):
            await ask()  # type: ignore[misc]
        assert method == "GET" or sent == ["POST"]
    else:
        await ask()  # type: ignore[misc]
        assert len(sent) == asked


@pytest.mark.parametrize(("code", "pause_s"), [("0x80072321", 30.0), ("429", 2.0)], ids=["protection", "busy table"])
@pytest.mark.parametrize("wait", ["0.01", "", "soon"])
async def test_without_a_usable_pause_a_busy_table_is_asked_again_soon(code: str, pause_s: float, wait: str) -> None:
    connection, _ = throttling(9, wait, code)
    slept = without_sleep(connection)
    with pytest.raises(TransientError) as refused:
        await connection.send(Meter(), "GET", "rows")
    assert refused.value.wait_s == pause_s
    assert set(slept) <= {pause_s}


def without_sleep(connection: Connection) -> list[float]:
    """Let the pauses of a connection pass at once; return the list that they are added to."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    connection.limiter._sleep = sleep
    return slept


@pytest.mark.parametrize(
    ("code", "method", "reads", "times", "wait", "slept", "sent"),
    [
        pytest.param("429", "GET", False, 1, "", [2.0], 2, id="a pause without a length"),
        pytest.param(
            "429", "GET", False, BUSY_WAITS, "3", [3.0] * BUSY_WAITS, BUSY_WAITS + 1, id="as often as it waits"
        ),
        pytest.param("429", "POST", True, 1, "3", [3.0], 2, id="a batch of reads"),
        pytest.param("429", "GET", False, 9, "3", [3.0] * BUSY_WAITS, None, id="more often"),
        pytest.param("429", "GET", False, 1, "6", [], None, id="a long pause"),
        pytest.param("429", "POST", False, 1, "3", [], None, id="a write"),
        pytest.param("0x80072321", "GET", False, 1, "3", [], None, id="service protection"),
    ],
)
async def test_a_read_waits_a_few_times_for_a_busy_table(
    code: str, method: str, reads: bool, times: int, wait: str, slept: list[float], sent: int | None
) -> None:
    """A step of many reads would never end where it began again with each refusal."""
    connection, asked = throttling(times, wait, code)
    pauses = without_sleep(connection)
    if sent is None:
        with pytest.raises(TransientError):
            await connection.send(Meter(), method, "rows", reads=reads)
    else:
        await connection.send(Meter(), method, "rows", reads=reads)
        assert len(asked) == sent
    assert pauses == slept


@pytest.mark.parametrize(("code", "holds"), [("0x80072321", True), ("429", False)], ids=["protection", "busy table"])
async def test_only_service_protection_holds_the_requests_of_the_process(code: str, holds: bool) -> None:
    connection, _ = throttling(1, "60", code)
    with pytest.raises(TransientError):
        await connection.send(Meter(), "GET", "rows")
    assert connection.limiter.control.held_until_s > 0 if holds else connection.limiter.control.held_until_s == 0


# ---- steps of many reads ----


def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the pauses of a patient connection pass at once; return the list that they are added to."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(patient_reads, "time", SimpleNamespace(monotonic=lambda: sum(slept)))
    monkeypatch.setattr(patient_reads, "asyncio", SimpleNamespace(sleep=sleep))
    return slept


def refusing(kind: str, wait: str) -> tuple[Connection, list[str]]:
    """Return a connection that refuses each page once before it gives it: all pages, or those after the first alone."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", "0"))
        asked.append(f"{page}")
        if asked.count(f"{page}") == 1 and (page or kind == "every page"):
            return httpx.Response(
                429, headers={"Retry-After": wait}, json={"error": {"code": "429", "message": "busy"}}
            )
        link = {"@odata.nextLink": f"{URL}/api/data/v9.2/rows?page={page + 1}"} if page < 4 else {}
        return httpx.Response(200, json={"value": [{"n": page}], **link})

    return Connection(URL, httpx.AsyncClient(transport=httpx.MockTransport(answer)), StaticTokens()), asked


@pytest.mark.parametrize("kind", ["every page", "next links"])
@pytest.mark.parametrize("is_patient", [True, False])
async def test_a_list_of_which_each_page_is_refused_once_is_read_to_its_end(
    kind: str, is_patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses take longer together than patience lasts; each of them is followed by an answer."""
    connection, asked = refusing(kind, "100" if is_patient else "5")
    slept = waits(monkeypatch) if is_patient else without_sleep(connection)
    found = WebApi(patient(connection, renews=True) if is_patient else connection).rows("rows")
    assert [row["n"] async for rows in found for row in rows] == [0, 1, 2, 3, 4]
    assert len(slept) == len(asked) - 5 == (5 if kind == "every page" else 4)


def answering_parts(times: int) -> tuple[Connection, list[int]]:
    """Return a connection whose batches answer one part after another, each batch one, and refuse the others."""
    sent: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        parts = request.content.count(b"GET ")
        sent.append(parts)
        good = len(sent) > times
        bodies = [(200, b'{"value": [{"n": 1}]}') if good and not n else BUSY for n in range(parts)]
        sections = [
            b"--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 %d X\r\nRetry-After: 3\r\n\r\n%s\r\n" % body
            for body in bodies
        ]
        return httpx.Response(
            200, headers={"Content-Type": "multipart/mixed; boundary=x"}, content=b"".join(sections) + b"--x--\r\n"
        )

    return Connection(URL, httpx.AsyncClient(transport=httpx.MockTransport(answer)), StaticTokens()), sent


BUSY = (429, b'{"error": {"code": "429", "message": "busy"}}')
PARTS = 3 * BUSY_WAITS


async def test_a_batch_of_reads_ends_however_few_parts_a_busy_table_answers_for_each_pause() -> None:
    connection, sent = answering_parts(times=0)
    slept = without_sleep(connection)
    assert await WebApi(connection).read_all([f"rows?n={n}" for n in range(PARTS)]) == [[{"n": 1}]] * PARTS
    assert sent == list(range(PARTS, 0, -1))
    assert slept == [3.0] * (PARTS - 1)


async def test_a_batch_of_which_no_part_is_answered_ends_the_step() -> None:
    connection, sent = answering_parts(times=99)
    without_sleep(connection)
    with pytest.raises(TableBusyError):
        await WebApi(connection).read_all(["rows"] * PARTS)
    assert len(sent) == 1 + BUSY_WAITS


async def test_the_pauses_of_a_question_that_a_run_can_do_without_do_not_begin_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection, slept = patient(throttling(0, "", "")[0], renews=True), waits(monkeypatch)
    busy = TableBusyError("busy", wait_s=100.0)
    async with asyncio.timeout(3_600) as limit:
        outer = answer_limit.set(limit)
        await connection.pause(busy, 0)
        connection.note_answer()
        with pytest.raises(TableBusyError):
            await connection.pause(busy, 0)
        answer_limit.reset(outer)
        connection.note_answer()
        await connection.pause(busy, 0)
    assert slept == [100.0, 100.0]


async def test_patience_lasts_once_for_a_step_that_someone_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preflight is shown on a page, so that answers in between do not make it longer."""
    connection, _ = refusing("every page", "100")
    slept = waits(monkeypatch)
    with pytest.raises(TableBusyError):
        _ = [rows async for rows in WebApi(patient(connection)).rows("rows")]
    assert slept == [100.0]


@pytest.mark.parametrize("is_patient", [True, False])
async def test_a_pause_does_not_count_against_the_limit_on_an_answer(is_patient: bool) -> None:
    connection, _ = throttling(2, "1", "429")
    without_sleep(connection)
    dataverse = Dataverse(patient(connection) if is_patient else connection)
    seen: list[float] = []

    async def ask() -> object:
        limit = answer_limit.get()
        assert limit is not None
        before = limit.when()
        found = await dataverse.get("rows")
        seen.append((limit.when() or 0.0) - (before or 0.0))
        return found

    assert await answer_or_reason(dataverse, ask, 30.0) == {"value": []}
    assert seen == [pytest.approx(2.0)]
