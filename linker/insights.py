"""The Customer Insights API (customer-insights.md section 3): what the environment is, and when unification last succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NotRequired, TypedDict
from urllib.parse import quote

import httpx
from pydantic import StringConstraints

from linker.dataverse.http import TokenSource
from linker.dataverse.shapes import read
from linker.errors import ConfigurationError, TransientError
from linker.events import JOB_ID
from linker.facts import DataSource
from linker.transport import json_of

UNIFICATION = frozenset({"all", "merge"})  # mapping or matching alone changes no profile
NEWEST_JOBS = 20


@dataclass(frozen=True, slots=True)
class Instance:
    """The environment as Customer Insights describes it; None where it does not tell."""

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

    async def instance(self) -> Instance:
        """Return what the instance says about itself."""
        found = await self._get("", _Instance)
        return Instance(
            linked_url=(found.get("cdsOrgInfo") or {}).get("url"),
            is_b2b=_is_b2b(found),
            managed_lake=_managed_lake(found),
        )

    async def data_sources(self) -> tuple[DataSource, ...]:
        """Return the data sources of the instance."""
        found = await self._get("/manage/datasources", list[_DataSource])
        return tuple(_data_source(item["dataSourceMetadata"]) for item in found)

    async def last_unification(self) -> Job | None:
        """Return the newest unification whose merge was successful, None when there is none among the newest jobs.

        The newest is the one that was submitted last: a job whose merge is over may still work on segments for hours.
        """
        merged = [job for job in await self._jobs() if _is_unification(job)]
        newest = max(
            merged, key=lambda job: job.get("submittedTimestamp") or job.get("endTimestamp") or "", default=None
        )
        return newest and Job(newest["jobId"], newest.get("submittedTimestamp") or "", newest.get("endTimestamp") or "")

    async def has_never_unified(self) -> bool:
        """Whether no job is a unification whose merge was successful; False where older jobs are not listed."""
        jobs = await self._jobs()
        return len(jobs) < NEWEST_JOBS and not any(map(_is_unification, jobs))

    async def _jobs(self) -> list[_Job]:
        return await self._get(f"/workflows/{self._workflow}/jobs?top={NEWEST_JOBS}&includeTasks=true", list[_Job])

    async def _get[T](self, path: str, kind: type[T]) -> T:
        headers = {
            **self._headers,
            "Authorization": f"Bearer {await self._tokens.token()}",
            "Accept": "application/json",
        }
        try:
            answer = await self._client.get(self._base + path, headers=headers)
        except httpx.RequestError as error:
            raise TransientError(f"Customer Insights at {self._base} could not be reached: {error!r}.") from error
        if answer.is_success:
            return read(kind, json_of(answer), "Customer Insights")
        if answer.status_code in (401, 403, 404):
            raise ConfigurationError(
                f"Customer Insights refused {self._base}{path} ({answer.status_code}). Check LINKER_INSIGHTS_URL, "
                "LINKER_INSIGHTS_INSTANCE_ID, LINKER_INSIGHTS_KEY where a subscription key is asked for, and that the app's "
                "identity has a role there."
            )
        raise TransientError(f"Customer Insights answered {answer.status_code}.")


def _managed_lake(found: _Instance) -> bool | None:
    """Return whether the output goes to the managed lake. The flag is true for a lake of one's own as well, so true alone
    tells nothing (customer-insights.md section 3).
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
