"""The app's identity: tokens for Dataverse, Customer Insights and Table Storage, and what a failure to get one means."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final

from linker.core.errors import ConfigurationError, LinkerError, TransientError

if TYPE_CHECKING:  # Microsoft's packages cost 0.2 s to import: cold start
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError

ANSWER_S: Final = (
    60.0  # one request for a token with all that Microsoft's client repeats, so that no answer can hang a run
)
MARGIN_S: Final = 300.0  # a token is replaced so long before it ends
LAST_USE_S: Final = 30.0  # one that cannot be replaced is used until so long before it ends
MIN_USE_S: Final = 5.0
# An identity endpoint that restarts or learns of an identity answers 400 or 404 for a moment.
_REFUSED_WAITS_S: Final = (1.0, 3.0)
_ADVICE: Final = "In Azure, assign the managed identity to the app; locally, sign in with 'az login'."


class _RefusedError(ConfigurationError):
    """The identity service answered, and refused. A single refusal passes."""


class Identity:
    """The app's identity as Microsoft's clients ask for it (AsyncTokenCredential). Failures are errors of core.errors."""

    def __init__(self, client_id: str | None, credential: AsyncTokenCredential | None = None) -> None:
        self._client_id = client_id
        self._credential = credential
        self._retired: list[AsyncTokenCredential] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token. Raises TransientError while the identity service fails, ConfigurationError when it keeps refusing."""
        for wait_s in (*_REFUSED_WAITS_S, None):
            try:
                return await self._request_token(scopes, options)
            except _RefusedError:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def forget(self) -> None:
        """Ask with a credential that remembers nothing from now on."""
        self._retired += [self._credential] if self._credential else []
        self._credential = None

    async def close(self) -> None:
        """Close every credential that was used."""
        self.forget()
        for used in self._retired:
            await used.close()
        self._retired.clear()

    async def __aenter__(self) -> Identity:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _request_token(self, scopes: tuple[str, ...], options: dict[str, Any]) -> AccessToken:
        from azure.core.exceptions import AzureError

        try:
            self._credential = self._credential or credential(self._client_id)
            async with asyncio.timeout(ANSWER_S):
                return await self._credential.get_token(*scopes, **options)
        except TimeoutError as error:
            raise TransientError(f"The identity service gave no token within {ANSWER_S:g} s.") from error
        except AzureError as error:
            raise _meaning(scopes[0] if scopes else "", error) from error


class Tokens:
    """Bearer tokens for one audience from the app's identity."""

    def __init__(self, audience: str, client_id: str | None, identity: Identity | None = None) -> None:
        self._scope = f"{audience}/.default"
        self._identity = identity or Identity(client_id)
        self._token, self._good_until, self._ends = "", 0.0, 0.0  # epoch s

    async def token(self) -> str:
        """Return a token that is still valid. Raises ConfigurationError when there is none to get, TransientError when the
        identity service fails and the last token has ended.
        """
        now = time.time()
        if now < self._good_until:
            return self._token
        try:
            found = await self._identity.get_token(self._scope)
        except LinkerError:
            if now < self._ends - LAST_USE_S:
                return self._token
            raise
        self._token, self._ends = found.token, float(found.expires_on)
        self._good_until = max(self._ends - MARGIN_S, now + MIN_USE_S)
        return self._token

    def forget(self) -> None:
        """Ask for a new token next time: the last one was refused."""
        self._identity.forget()
        self._good_until = self._ends = 0.0

    async def close(self) -> None:
        """Close every credential that was used."""
        await self._identity.close()


def credential(client_id: str | None) -> AsyncTokenCredential:
    """Return the app's identity: managed identity where the platform offers one, else the developer's sign-in."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if "IDENTITY_ENDPOINT" in os.environ:
        return ManagedIdentityCredential(client_id=client_id)
    return DefaultAzureCredential(managed_identity_client_id=client_id)


def _meaning(scope: str, error: AzureError) -> LinkerError:
    """An answer of 400 to 404 refuses; any other answer, or none, is a passing fault of the identity service.

    Without an answer, ClientAuthenticationError says that no credential is set up at all.
    """
    from azure.core.exceptions import ClientAuthenticationError

    status = getattr(error, "status_code", None)
    said = error.message.splitlines()[0][:300] if error.message else type(error).__name__
    if isinstance(error, ClientAuthenticationError):
        if status is None:
            return ConfigurationError(f"No token for {scope}: {said} {_ADVICE}")
        if status in (400, 401, 403, 404):
            return _RefusedError(f"No token for {scope}: the identity service answered {status}. {said} {_ADVICE}")
    what = f"answered {status}" if status else "could not be reached"
    return TransientError(f"No token for {scope}: the identity service {what}. {said}")
