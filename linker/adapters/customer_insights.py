"""The Customer Insights API: what the environment is, and when unification last succeeded.

The service is optional. No public method of `Insights` raises: each returns what it asked for, or a `NoAnswer` that says why
there is none, which is a note for an administrator and never ends a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, NotRequired, TypedDict
from urllib.parse import quote

import httpx
from pydantic import StringConstraints

from linker.adapters.dataverse.response_models import read
from linker.adapters.outgoing import TokenSource, json_of
from linker.core.errors import LinkerError
from linker.core.requirements.facts import DataSource
from linker.core.runs.workflow_jobs import JOB_ID

UNIFICATION = frozenset({"all", "merge"})  # mapping or matching alone changes no profile
NEWEST_JOBS = 20
ANSWER_S = 30.0  # a request, its answer and its repetitions together
PAUSE_S = 1.0  # before a request is sent once more
PASSING = frozenset({408, 429, 500, 502, 503, 504})
_SETTINGS = (
    "Check LINKER_INSIGHTS_URL, LINKER_INSIGHTS_INSTANCE_ID, LINKER_INSIGHTS_KEY where a subscription key is required, "
    "and that the app's identity has a role there."
)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why Customer Insights gave no usable answer, in sentences for an administrator."""

    reason: str


class _RefusedError(LinkerError):
    """An answer that is not the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The environment as Customer Insights describes it; None where it does not say."""

    linked_url: str | None = None
    is_b2b: bool | None = None
    managed_lake: bool | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One unification that ended successfully."""

    id: str
    submitted_at: str
    ended_at: str


class _Organization(TypedDict, total=False):
    url: str | None


class _Instance(TypedDict, total=False):
    cdsOrgInfo: _Organization | None
    cdsMdlInfo: object
    isCdsMdlOrCdsByodl: bool | None
    isB2B: bool | None
    isB2C: bool | None


class _Entity(TypedDict):
    entityName: str
    primaryKey: NotRequired[str | None]


class _Metadata(TypedDict, total=False):
    name: str | None
    kind: str | None
    entityNames: list[str] | None
    entityInformation: list[_Entity] | None


class _DataSource(TypedDict):
    dataSourceMetadata: _Metadata


class _Task(TypedDict, total=False):
    operationType: str | None
    taskStatus: str | None


class _Job(_Task):
    jobId: Annotated[str, StringConstraints(pattern=JOB_ID)]
    jobStatus: NotRequired[str | None]
    submittedTimestamp: NotRequired[str | None]
    endTimestamp: NotRequired[str | None]
    tasks: NotRequired[list[_Task] | None]


class Insights:
    """Calls of one process to one instance."""

    def __init__(
        self,
        url: str,
        instance: str,
        client: httpx.AsyncClient,
        tokens: TokenSource,
        *,
        key: str | None = None,
        workflow: str = "main",
    ) -> None:
        self._base = f"{url}/instances/{quote(instance, safe='')}"
        self._workflow = quote(workflow, safe="")
        self._client, self._tokens = client, tokens
        self._headers = {"Ocp-Apim-Subscription-Key": key} if key else {}

    async def instance(self) -> Instance | NoAnswer:
        """Return what the instance says about itself."""
        return await self._consult("", _Instance, _describe)

    async def data_sources(self) -> tuple[DataSource, ...] | NoAnswer:
        """Return the data sources of the instance."""
        return await self._consult("/manage/datasources", list[_DataSource], _data_sources)

    async def last_unification(self) -> Job | NoAnswer | None:
        """Return the newest unification whose merge was successful, None when there is none among the newest jobs.

        The newest is the one that was submitted last: a job whose merge is over may still work on segments for hours.
        """
        return await self._consult(self._jobs, list[_Job], _newest_unification)

    async def has_never_unified(self) -> bool | NoAnswer:
        """Whether no job is a unification whose merge was successful; False where older jobs are not listed."""
        return await self._consult(self._jobs, list[_Job], _is_without_unification)

    @property
    def _jobs(self) -> str:
        return f"/workflows/{self._workflow}/jobs?top={NEWEST_JOBS}&includeTasks=true"

    async def _consult[T, R](self, path: str, kind: type[T], described: Callable[[T], R]) -> R | NoAnswer:
        """Return what an answer says. Whatever goes wrong on the way is a reason, because a run must not depend on it."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return described(await self._get(path, kind))
        except LinkerError as error:
            return NoAnswer(str(error))
        except TimeoutError:
            return NoAnswer(f"Customer Insights at {self._base} did not answer within {ANSWER_S:g} s.")
        except Exception as error:  # a fault of ours or of a library must not end a run either
            return NoAnswer(f"Customer Insights at {self._base} could not be asked: {type(error).__name__}.")

    async def _get[T](self, path: str, kind: type[T]) -> T:
        answer = await self._send_twice(path)
        if answer.status_code == 401:  # the token may have been revoked, or be of an earlier role
            self._tokens.forget()
            answer = await self._send(path)
        if answer.is_success:
            return read(kind, json_of(answer), "Customer Insights")
        raise _RefusedError(_refusal(answer, f"{self._base}{path}"))

    async def _send_twice(self, path: str) -> httpx.Response:
        """Return the answer to a request that is sent once more when it met a fault which may pass in a moment."""
        with suppress(_RefusedError):
            answer = await self._send(path)
            if answer.status_code not in PASSING:
                return answer
        await asyncio.sleep(PAUSE_S)
        return await self._send(path)

    async def _send(self, path: str) -> httpx.Response:
        headers = {
            **self._headers,
            "Authorization": f"Bearer {await self._tokens.token()}",
            "Accept": "application/json",
        }
        try:
            return await self._client.get(self._base + path, headers=headers)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _RefusedError(f"Customer Insights at {self._base} could not be reached: {error!r}.") from error


def _refusal(answer: httpx.Response, address: str) -> str:
    status = answer.status_code
    if answer.is_redirect:
        return f"Customer Insights at {address} redirects ({status}), which is not followed. Check LINKER_INSIGHTS_URL."
    if status == 410:
        return f"Customer Insights no longer offers {address} (410). Remove LINKER_INSIGHTS_URL if this stays."
    if status in (401, 403, 404):
        return f"Customer Insights refused {address} ({status}). {_SETTINGS}"
    return f"Customer Insights answered {status}."


def _describe(found: _Instance) -> Instance:
    if not found.keys() & _Instance.__annotations__.keys():
        raise _RefusedError("Customer Insights answered with nothing that describes an instance.")
    linked_url = (found.get("cdsOrgInfo") or {}).get("url")
    return Instance(linked_url, _is_b2b(found), _managed_lake(found))


def _data_sources(found: list[_DataSource]) -> tuple[DataSource, ...]:
    return tuple(_data_source(item["dataSourceMetadata"]) for item in found)


def _newest_unification(jobs: list[_Job]) -> Job | None:
    merged = [job for job in jobs if _is_unification(job)]
    newest = max(merged, key=lambda job: job.get("submittedTimestamp") or job.get("endTimestamp") or "", default=None)
    return newest and Job(newest["jobId"], newest.get("submittedTimestamp") or "", newest.get("endTimestamp") or "")


def _is_without_unification(jobs: list[_Job]) -> bool:
    return len(jobs) < NEWEST_JOBS and not any(map(_is_unification, jobs))


def _managed_lake(found: _Instance) -> bool | None:
    """Return whether the output goes to the managed lake. The flag is true for a lake of one's own as well, so true alone
    shows nothing (docs/reference/customer-insights.md section 3).
    """
    if found.get("cdsMdlInfo"):
        return True
    return False if found.get("isCdsMdlOrCdsByodl") is False else None


def _is_b2b(found: _Instance) -> bool | None:
    b2b, b2c = found.get("isB2B"), found.get("isB2C")
    return b2b if b2b is not None or b2c is None else not b2c


def _data_source(metadata: _Metadata) -> DataSource:
    information = metadata.get("entityInformation") or []
    return DataSource(
        name=metadata.get("name") or "",
        kind=metadata.get("kind") or "",
        tables=tuple(metadata.get("entityNames") or ()),
        keys={item["entityName"]: key for item in information if (key := item.get("primaryKey"))},
    )


def _is_unification(job: _Job) -> bool:
    """A unification is over when its merge was successful; a job without tasks is judged by its own operation."""
    if tasks := job.get("tasks"):
        merges = [task for task in tasks if (task.get("operationType") or "").lower() == "merge"]
        return bool(merges) and all((task.get("taskStatus") or "").lower() == "successful" for task in merges)
    operation = (job.get("operationType") or "").lower()
    return operation in UNIFICATION and (job.get("jobStatus") or "").lower() == "successful"
