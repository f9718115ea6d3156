"""Steps that ask many questions wait out the pauses of Dataverse, within bounds; writes are never repeated."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from linker.adapters.dataverse import Connection, Meter
from linker.adapters.dataverse.patience import patient
from linker.core.errors import ThrottledError
from tests.fakes.world import StaticTokens

URL = "https://contoso.crm4.dynamics.com"


def throttling(times: int, wait: str) -> tuple[Connection, list[str]]:
    """Return a connection whose first answers ask for a pause."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) <= times:
            return httpx.Response(
                429, headers={"Retry-After": wait}, json={"error": {"code": "429", "message": "busy"}}
            )
        return httpx.Response(200, json={"value": []})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Connection(URL, client, StaticTokens()), asked


@pytest.mark.parametrize(
    ("method", "reads", "times", "wait", "patience_s", "asked"),
    [
        pytest.param("GET", False, 0, "1", 5.0, 1, id="no pause"),
        pytest.param("GET", False, 2, "0.01", 5.0, None, id="an odd pause is a long one"),
        pytest.param("GET", False, 2, "1", 5.0, 3, id="two pauses"),
        pytest.param("POST", True, 1, "1", 5.0, 2, id="a batch of reads"),
        pytest.param("GET", False, 9, "1", 1.5, None, id="more than it waits for"),
        pytest.param("GET", False, 1, "60", 5.0, None, id="one that is too long"),
        pytest.param("POST", False, 1, "1", 5.0, None, id="a write"),
    ],
)
async def test_reads_wait_out_pauses(
    method: str, reads: bool, times: int, wait: str, patience_s: float, asked: int | None
) -> None:
    connection, sent = throttling(times, wait)
    ask: Callable[[], object] = lambda: patient(connection, patience_s).send(Meter(), method, "rows", reads=reads)  # noqa: E731
    if asked is None:
        with pytest.raises(ThrottledError):
            await ask()  # type: ignore[misc]
        assert method == "GET" or sent == ["POST"]
    else:
        await ask()  # type: ignore[misc]
        assert len(sent) == asked
