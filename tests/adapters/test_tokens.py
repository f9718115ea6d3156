"""Tokens: what passes is worth another try, what an administrator has to change says what to do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from linker.adapters.outgoing import Identity, Tokens
from linker.adapters.storage.table_client import AzureTables
from linker.core.errors import ConfigurationError, LinkerError, TransientError

ORG = "https://contoso.crm4.dynamics.com"


class Endpoint:
    """The identity endpoint of a function app, with prepared answers: status, body, content type."""

    GOOD = (200, json.dumps({"access_token": "t", "expires_on": "9999999999", "resource": ORG}), "application/json")

    def __init__(self) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        status, body, kind = self.answers.pop(0) if self.answers else self.GOOD
        head = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        passing = "x-ms-retry-after-ms: 1\r\n" if status >= 429 else ""
        writer.write(f"{head}{passing}Connection: close\r\n\r\n{body}".encode())
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    made = Endpoint()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    monkeypatch.setattr("linker.adapters.outgoing._REFUSED_WAITS_S", (0.01, 0.01))
    yield made
    server.close()
    await server.wait_closed()


HTML = (200, "<html>Sign in</html>", "text/html")
REFUSAL = json.dumps({"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found."})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((400, REFUSAL, "application/json"), id="400"),
        pytest.param((404, "", "text/plain"), id="404"),
        pytest.param((403, "<html>", "text/html"), id="403"),
        pytest.param((500, "", "text/plain"), id="500"),
        pytest.param((503, "<html>", "text/html"), id="503"),
        pytest.param((429, "", "text/plain"), id="429"),
    ],
)
async def test_a_single_failure_of_the_identity_endpoint_passes(
    endpoint: Endpoint, answer: tuple[int, str, str]
) -> None:
    endpoint.answers = [answer]
    tokens = Tokens(ORG, None)
    assert await tokens.token() == "t"
    await tokens.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param((400, REFUSAL, "application/json"), ConfigurationError, id="no identity"),
        pytest.param((404, "", "text/plain"), ConfigurationError, id="no endpoint"),
        pytest.param((500, "", "text/plain"), TransientError, id="broken"),
        pytest.param((503, "<html>", "text/html"), TransientError, id="restarting"),
        pytest.param((429, "", "text/plain"), TransientError, id="throttled"),
        pytest.param(HTML, TransientError, id="a web page"),
        pytest.param((200, "", "application/json"), TransientError, id="nothing"),
        pytest.param((200, '{"access_token"', "application/json"), TransientError, id="cut off"),
        pytest.param((200, "{}", "application/json"), TransientError, id="another shape"),
    ],
)
async def test_what_stays_is_reported_with_what_to_do(
    endpoint: Endpoint, answer: tuple[int, str, str], kind: type[LinkerError]
) -> None:
    endpoint.answers = [answer] * 20
    tokens = Tokens(ORG, None)
    with pytest.raises(kind) as found:
        await tokens.token()
    assert "othing was written" not in str(found.value)  # a run may have written before
    assert ("assign the managed identity" in str(found.value)) is (kind is ConfigurationError)
    await tokens.close()


async def test_table_storage_meets_the_same_errors(endpoint: Endpoint) -> None:
    endpoint.answers = [(400, REFUSAL, "application/json")] * 20
    tables = AzureTables(endpoint="https://x.table.core.windows.net", credential=Identity(None))
    with pytest.raises(ConfigurationError, match="assign the managed identity"):
        await tables.get("linkerstatus", "p", "r")
    await tables.close()


class Scripted:
    """A credential that gives or refuses as a test says."""

    def __init__(self, *answers: AzureError | AccessToken) -> None:
        self.answers = list(answers)

    async def get_token(self, *_: Any, **__: Any) -> AccessToken:
        answer = self.answers.pop(0)
        if isinstance(answer, AzureError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""


def tokens_of(*answers: AzureError | AccessToken) -> Tokens:
    return Tokens(ORG, None, Identity(None, Scripted(*answers)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(ClientAuthenticationError("No identity."), ConfigurationError, "az login", id="no user signed in"),
        pytest.param(ServiceRequestError("No route."), TransientError, "could not be reached", id="no answer"),
    ],
)
async def test_a_token_that_cannot_be_had_says_why(error: AzureError, kind: type[LinkerError], words: str) -> None:
    with pytest.raises(kind, match=words):
        await tokens_of(error).token()


@pytest.mark.parametrize("error", [ServiceRequestError("No route."), ClientAuthenticationError("No identity.")])
async def test_a_token_that_cannot_be_replaced_yet_is_used_to_its_end(
    error: AzureError, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    tokens = tokens_of(AccessToken("first", int(now) + 600), error, error, AccessToken("second", int(now) + 6_000))
    assert await tokens.token() == "first"
    monkeypatch.setattr("linker.adapters.outgoing.time.time", lambda: now + 400)
    assert await tokens.token() == "first"
    monkeypatch.setattr("linker.adapters.outgoing.time.time", lambda: now + 590)
    with pytest.raises(LinkerError):
        await tokens.token()
    assert await tokens.token() == "second"


async def test_a_token_that_was_refused_is_not_used_again() -> None:
    tokens = tokens_of(AccessToken("first", int(time.time()) + 6_000))
    await tokens.token()
    tokens.forget()
    tokens._identity._credential = Scripted(ServiceRequestError("No route."))  # type: ignore[assignment]
    with pytest.raises(TransientError):
        await tokens.token()
