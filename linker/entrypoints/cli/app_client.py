"""A client of the deployed app's HTTP API, with a function key or the user's own sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx

from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.model import Run
from linker.core.permissions.preflight_report import Picture
from linker.core.runs.lock_state import Pause
from linker.core.serialization import from_json
from linker.entrypoints.api.answers import (
    AuditPage,
    HeldLink,
    IssuePage,
    Resumption,
    RowState,
    RunPage,
    SampleList,
    TaskStatus,
)
from linker.settings import AppAccess

TIMEOUT_S = 60.0
# No byte of the request was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


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

    def page(self, run: str = "") -> str:
        """Return the address of the status page, with the progress of a run if one is named."""
        return f"{self._access.url}/api/portal" + (f"?run={quote(run, safe='')}#progress" if run else "")

    def status(self) -> TaskStatus:
        """Return the task and its latest run."""
        return from_json(TaskStatus, self._json("GET", "/api/status"))

    def preflight(self) -> Picture:
        """Return what a run of the app would do."""
        return from_json(Picture, self._json("GET", "/api/preflight"))

    def runs(self, **wanted: str | int) -> RunPage:
        """Return runs, newest first; `wanted` are the query parameters of GET /api/runs, empty ones are left out."""
        return from_json(RunPage, self._json("GET", "/api/runs", query=wanted))

    def run(self, run: str) -> Run:
        """Return a run as it is now."""
        return from_json(Run, self._json("GET", f"/api/runs/{quote(run, safe='')}"))

    def last_run(self) -> Run:
        """Return the newest run. Raises RefusedError when there is none."""
        newest = self.runs(top=1).value
        if not newest:
            raise RefusedError("No run was started yet. Start one with 'linker run'.")
        return self.run(newest[0].id)

    def cancel(self, run: str) -> Run:
        """Cancel a run; return it as it was then."""
        return from_json(Run, self._json("POST", f"/api/runs/{quote(run, safe='')}/cancel"))

    def pause(self, until: str, reason: str) -> Pause:
        """Let no run begin before a time (ISO 8601); return the pause."""
        return from_json(Pause, self._json("POST", "/api/pause", {"until": until, "reason": reason}))

    def resume(self) -> Resumption:
        """End the pause of runs. Raises RefusedError when there is none."""
        return from_json(Resumption, self._json("POST", "/api/resume"))

    def errors(self, run: str, **wanted: str | int) -> IssuePage:
        """Return row errors of a run; `wanted` are the query parameters of GET /api/runs/{run}/errors."""
        return from_json(IssuePage, self._json("GET", f"/api/runs/{quote(run, safe='')}/errors", query=wanted))

    def samples(self, run: str) -> SampleList:
        """Return examples of rows that a dry run would change; a real run has none."""
        return from_json(SampleList, self._json("GET", f"/api/runs/{quote(run, safe='')}/samples"))

    def row(self, table: str, row: str) -> RowState:
        """Return what is known of one row, and its link read now."""
        path = f"/api/rows/{quote(table, safe='')}/{quote(row, safe='')}"
        return from_json(RowState, self._json("GET", path))

    def audit(self, **wanted: str | int) -> AuditPage:
        """Return manual actions, newest first; `wanted` are the query parameters of GET /api/audit."""
        return from_json(AuditPage, self._json("GET", "/api/audit", query=wanted))

    def first_link(self, table: str) -> HeldLink:
        """Return what the first link of a table fires."""
        return from_json(HeldLink, self._json("GET", f"/api/tables/{quote(table, safe='')}/first-link"))

    def approve(self, table: str, digest: str) -> Run:
        """Allow the first link of a table as it was shown; return the run that does it."""
        return from_json(Run, self._json("POST", f"/api/tables/{quote(table, safe='')}/approve", {"digest": digest}))

    def _json(self, method: str, path: str, body: object = None, query: Mapping[str, str | int] | None = None) -> Any:
        given = {name: value for name, value in (query or {}).items() if value != ""}
        try:
            answer = self._http.request(method, path, json=body, params=given, headers=self._headers())
        except httpx.HTTPError as error:
            raise TransientError(f"{self._access.url} {_silence(method, error)}") from error
        if not answer.is_success:
            raise _refusal(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise RefusedError(
                f"{self._access.url} isn't this app: it returned no JSON. Check LINKER_APP_URL."
            ) from error

    def _headers(self) -> dict[str, str]:
        if self._access.audience:
            return {"Authorization": f"Bearer {_own_token(self._access.audience)}"}
        return {"x-functions-key": self._access.key.get_secret_value()} if self._access.key else {}


def _silence(method: str, error: httpx.HTTPError) -> str:
    """Return what is known of a request without an answer: whether it was sent decides whether it may be repeated."""
    if isinstance(error, _UNSENT):
        return "could not be reached. Nothing was sent. Check LINKER_APP_URL and that the app is running."
    perhaps = " The app may have received the request: check with 'linker runs'." if method == "POST" else ""
    return f"did not answer: {str(error) or type(error).__name__}.{perhaps}"


def _refusal(answer: httpx.Response) -> LinkerError:
    if answer.status_code == 401 and not answer.content:  # of the Functions host
        return ConfigurationError("The app requires a function key. Set LINKER_APP_KEY. Nothing was started.")
    if answer.is_redirect or (answer.status_code == 401 and not _is_problem(answer)):  # of App Service Authentication
        return ConfigurationError(
            "The app requires you to sign in. Run 'az login' and set LINKER_APP_AUDIENCE to the application id URI of its app "
            "registration, such as api://7c0f.... Nothing was started."
        )
    kind = TransientError if answer.status_code >= 500 else RefusedError
    if _is_problem(answer):
        return kind(str(answer.json()["detail"]))
    return kind(f"The server at {answer.url.netloc.decode()} returned {answer.status_code}. Check LINKER_APP_URL.")


def _is_problem(answer: httpx.Response) -> bool:
    kind: str = answer.headers.get("Content-Type", "")
    return kind.startswith("application/problem+json")


def _own_token(audience: str) -> str:
    """Return a token of the person who signed in on this machine; azure-identity keeps it until it ends."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import DefaultAzureCredential

    try:
        return DefaultAzureCredential().get_token(f"{audience}/.default").token
    except ClientAuthenticationError as error:
        raise ConfigurationError(
            f"No token for {audience}: {error.message.splitlines()[0]} Sign in with 'az login'."
        ) from error
