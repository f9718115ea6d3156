"""The deployed app as the command line asks it: over its HTTP API, with a function key or the user's own sign-in."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import quote

import httpx

from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.model import Run
from linker.core.serialization import from_json
from linker.entrypoints.api.answers import HeldLink
from linker.settings import AppAccess

TIMEOUT_S = 60.0


class RefusedError(LinkerError):
    """The app refused a request; the message is its own."""


class AppClient:
    """Keeps its connection until the end of a `with`. Every method may raise LinkerError, with what was done by then."""

    def __init__(self, access: AppAccess, transport: httpx.BaseTransport | None = None) -> None:
        self._access = access
        self._http = httpx.Client(base_url=access.url, timeout=TIMEOUT_S, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request_run(self, body: dict[str, Any]) -> Run:
        """Ask for a run; return the one that does it."""
        return from_json(Run, self._json("POST", "/api/runs", body))

    def run(self, run: str) -> Run:
        """Return a run as it is now."""
        return from_json(Run, self._json("GET", f"/api/runs/{run}"))

    def first_link(self, table: str) -> HeldLink:
        """Return what the first link of a table fires."""
        return from_json(HeldLink, self._json("GET", f"/api/tables/{quote(table, safe='')}/first-link"))

    def approve(self, table: str, digest: str) -> Run:
        """Allow the first link of a table as it was shown; return the run that does it."""
        return from_json(Run, self._json("POST", f"/api/tables/{quote(table, safe='')}/approve", {"digest": digest}))

    def _json(self, method: str, path: str, body: object = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body, headers=self._headers())
        except httpx.HTTPError as error:
            perhaps = " It may have got the request: look at its last runs." if method == "POST" else ""
            raise TransientError(
                f"{self._access.url} did not answer: {str(error) or type(error).__name__}.{perhaps}"
            ) from error
        if not answer.is_success:
            raise _refusal(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise RefusedError(f"{self._access.url} answers, but not as the app does. Check LINKER_APP_URL.") from error

    def _headers(self) -> dict[str, str]:
        if self._access.audience:
            return {"Authorization": f"Bearer {_own_token(self._access.audience)}"}
        return {"x-functions-key": self._access.key.get_secret_value()} if self._access.key else {}


def _refusal(answer: httpx.Response) -> LinkerError:
    if answer.status_code == 401 and not answer.content:  # of the Functions host
        return ConfigurationError("The app asks for a function key: set LINKER_APP_KEY. Nothing was started.")
    if answer.is_redirect or (answer.status_code == 401 and not _is_problem(answer)):  # of App Service Authentication
        return ConfigurationError(
            "The app asks you to sign in: run 'az login' and set LINKER_APP_AUDIENCE to the application id URI of its app "
            "registration, such as api://7c0f.... Nothing was started."
        )
    detail = answer.json()["detail"] if _is_problem(answer) else f"{answer.url.host} answered {answer.status_code}."
    kind = TransientError if answer.status_code >= 500 else RefusedError
    return kind(f"The app did not do it. {detail}")


def _is_problem(answer: httpx.Response) -> bool:
    kind: str = answer.headers.get("Content-Type", "")
    return kind.startswith("application/problem+json")


def _own_token(audience: str) -> str:
    """Return a token of whoever signed in on this machine; azure-identity keeps it until it ends."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import DefaultAzureCredential

    try:
        return DefaultAzureCredential().get_token(f"{audience}/.default").token
    except ClientAuthenticationError as error:
        raise ConfigurationError(
            f"No token for {audience}: {error.message.splitlines()[0]} Sign in with 'az login'."
        ) from error
