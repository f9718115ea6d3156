"""Steps that ask many questions wait out the pauses of Dataverse, within bounds; writes are never repeated."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from linker.adapters.dataverse import Connection, Meter
from linker.adapters.dataverse.http import BUSY_WAITS
from linker.adapters.dataverse.patient_reads import patient
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
