"""What AzureTables makes of a service that refuses, is silent or loses its answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.core.exceptions import ClientAuthenticationError

from linker.errors import AlreadyThereError, ChangedError, ConfigurationError, StateError, TransientError
from linker.tables import AzureTables
from sandbox.azurite import connection_string

type Answers = list[int | None]
"""Statuses to answer with, one a request; None ends the connection without an answer."""


class Service:
    """A Table Storage that gives prepared answers."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.requests: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and end the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head.split(" ", 1)[0])
        status = self.answers.pop(0)
        if status is not None:
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nx-ms-retry-after-ms: 1\r\n\r\n".encode())
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def tables(service: Service) -> AsyncIterator[AzureTables]:
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
        pytest.param([403], ConfigurationError, id="forbidden"),
        pytest.param([401], ConfigurationError, id="unknown"),
        pytest.param([400], StateError, id="refused"),
    ],
)
async def test_answers_become_errors(
    tables: AzureTables, service: Service, answers: Answers, meaning: type[Exception]
) -> None:
    service.answers = answers
    with pytest.raises(meaning, match="Inserting linkerstatus 'p' / 'r'"):
        await tables.insert("linkerstatus", "p", "r", {})


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
