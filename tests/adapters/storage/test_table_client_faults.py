"""What AzureTables makes of a service that refuses, is silent or loses its answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from azure.core.exceptions import ClientAuthenticationError

from linker.adapters.storage.table_client import AzureTables
from linker.core.errors import AlreadyThereError, ChangedError, ConfigurationError, StateError, TransientError
from sandbox.server.azurite import connection_string


@dataclass(frozen=True)
class Answer:
    """One answer of the service. `length` is what it claims, "" says nothing: the end of the connection is the end then."""

    status: int
    body: bytes = b""
    code: str = ""
    kind: str = "application/json"
    length: str | None = None

    def wire(self) -> bytes:
        length = str(len(self.body)) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} x", "x-ms-retry-after-ms: 1", f"Content-Type: {self.kind}", 'ETag: W/"1"']
        lines += [f"Content-Length: {length}"] if length else ["Connection: close"]
        lines += [f"x-ms-error-code: {self.code}"] if self.code else []
        return "\r\n".join((*lines, "", "")).encode() + self.body


type Answers = list[int | Answer | None]
"""What to answer with, one a request; None ends the connection without an answer."""


class Service:
    """A Table Storage that gives prepared answers."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.requests: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and end the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head.split(" ", 1)[0])
        answer = self.answers.pop(0)
        if answer is not None:
            writer.write((Answer(answer) if isinstance(answer, int) else answer).wire())
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def tables(service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AzureTables]:
    monkeypatch.setattr("linker.adapters.storage.table_client._REFUSED_WAITS_S", (0.01, 0.01))
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    tables = AzureTables(connection_string=connection_string(server.sockets[0].getsockname()[1]))
    yield tables
    await tables.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("answers", "meaning"),
    [
        pytest.param([503] * 5, TransientError, id="busy"),
        pytest.param([429] * 5, TransientError, id="throttled"),
        pytest.param([500] * 5, TransientError, id="broken"),
        pytest.param([403] * 3, ConfigurationError, id="forbidden"),
        pytest.param([401] * 3, ConfigurationError, id="unknown"),
        pytest.param([400], StateError, id="refused"),
    ],
)
async def test_answers_become_errors(
    tables: AzureTables, service: Service, answers: Answers, meaning: type[Exception]
) -> None:
    service.answers = answers
    with pytest.raises(meaning, match="Inserting linkerstatus 'p' / 'r'"):
        await tables.insert("linkerstatus", "p", "r", {})


ENTITY = json.dumps({"PartitionKey": "p", "RowKey": "r", "n": 1, "odata.etag": 'W/"1"'}).encode()
LIST = json.dumps({"value": [json.loads(ENTITY)]}).encode()


async def listed(tables: AzureTables) -> list[str]:
    return [one.row async for one in tables.query("linkerstatus", "p")]


OPERATIONS = [
    pytest.param(lambda t: t.get("linkerstatus", "p", "r"), Answer(200, ENTITY), id="get"),
    pytest.param(listed, Answer(200, LIST), id="query"),
    pytest.param(lambda t: t.insert("linkerstatus", "p", "r", {}), Answer(204), id="insert"),
    pytest.param(lambda t: t.replace("linkerstatus", "p", "r", {}), Answer(204), id="replace"),
    pytest.param(lambda t: t.replace("linkerstatus", "p", "r", {}, etag="x"), Answer(204), id="replace if"),
    pytest.param(lambda t: t.merge("linkerstatus", "p", "r", {}, etag="x"), Answer(204), id="merge"),
    pytest.param(lambda t: t.delete("linkerstatus", "p", "r"), Answer(204), id="delete"),
]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("ask", "good"), OPERATIONS)
async def test_a_single_refusal_passes(
    tables: AzureTables, service: Service, ask: Callable[[AzureTables], Awaitable[object]], good: Answer, status: int
) -> None:
    service.answers = [status, good]
    await ask(tables)
    assert len(service.requests) == 2


@pytest.mark.parametrize(("ask", "good"), OPERATIONS[:2])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda body: Answer(200, body[:-9], length=""), id="cut off where the connection ends"),
        pytest.param(lambda body: Answer(200, body[:-9]), id="cut off with a length that fits"),
        pytest.param(lambda body: Answer(200, b"<html>Sign in</html>", kind="text/html"), id="a web page"),
        pytest.param(lambda body: Answer(200, b"[1]"), id="another shape"),
        pytest.param(lambda body: Answer(200, b"null"), id="nothing"),
    ],
)
async def test_a_success_that_cannot_be_read_is_a_passing_fault(
    tables: AzureTables,
    service: Service,
    ask: Callable[[AzureTables], Awaitable[object]],
    good: Answer,
    damage: Callable[[bytes], Answer],
) -> None:
    service.answers = [damage(good.body)] * 5
    with pytest.raises(TransientError):
        await ask(tables)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        pytest.param(403, "KeyBasedAuthenticationNotPermitted", "LINKER_STORAGE__tableServiceUri", id="keys forbidden"),
        pytest.param(403, "AuthorizationFailure", "network", id="network closed"),
        pytest.param(403, "AuthenticationFailed", "clock", id="clock or key wrong"),
        pytest.param(403, "AuthorizationPermissionMismatch", "Storage Table Data Contributor", id="role missing"),
        pytest.param(403, "AccountIsDisabled", "disabled", id="account disabled"),
        pytest.param(401, "InvalidAuthenticationInfo", "tenant", id="token of another tenant"),
        pytest.param(403, "SomethingNew", "Storage Table Data Contributor", id="code that is not known"),
    ],
)
async def test_a_lasting_refusal_names_its_cause(
    tables: AzureTables, service: Service, status: int, code: str, words: str
) -> None:
    service.answers = [Answer(status, code=code)] * 3
    with pytest.raises(ConfigurationError, match=words):
        await tables.get("linkerstatus", "p", "r")


async def test_a_busy_service_is_asked_again(tables: AzureTables, service: Service) -> None:
    service.answers = [503, 503, 204]
    await tables.delete("linkerstatus", "p", "r")
    assert service.requests == ["DELETE"] * 3


async def test_a_service_that_is_not_there_is_worth_trying_later() -> None:
    tables = AzureTables(connection_string=connection_string(1))
    with pytest.raises(TransientError, match="answered nothing"):
        await tables.insert("linkerstatus", "p", "r", {})
    await tables.close()


async def test_an_identity_is_asked_for_a_storage_token() -> None:
    class NoToken:
        scopes: tuple[str, ...] = ()

        async def get_token(self, *scopes: str, **_: object) -> None:
            self.scopes = scopes
            raise ClientAuthenticationError("the identity endpoint is not ready")

        async def close(self) -> None:
            """Nothing is open."""

    credential = NoToken()
    tables = AzureTables(endpoint="https://x.table.core.windows.net", credential=credential)  # type: ignore[arg-type]
    with pytest.raises(TransientError, match="the identity endpoint is not ready"):
        await tables.get("linkerstatus", "p", "r")
    await tables.close()
    assert credential.scopes == ("https://storage.azure.com/.default",)


async def test_a_write_without_answer_may_have_been_stored_and_says_so(tables: AzureTables, service: Service) -> None:
    service.answers = [None]
    with pytest.raises(TransientError):
        await tables.insert("linkerstatus", "p", "r", {})
    assert service.requests == ["POST"]


async def test_a_conditional_write_whose_answer_was_lost_finds_the_entity_changed_by_itself(
    tables: AzureTables, service: Service
) -> None:
    service.answers = [None, 412]
    with pytest.raises(ChangedError):
        await tables.replace("linkerstatus", "p", "r", {}, etag='W/"1"')
    assert service.requests == ["PUT", "PUT"]


async def test_a_key_that_is_taken_and_then_gone_is_reported_as_taken(tables: AzureTables, service: Service) -> None:
    service.answers = [409, 404]
    with pytest.raises(AlreadyThereError):
        await tables.insert("linkerstatus", "p", "r", {})
