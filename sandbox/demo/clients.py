"""The two sides that the demo talks to: the app's own API, and the sandbox (its admin API and its Web API)."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx

type Json = dict[str, Any]

LOOKUP: Final = "_msdynci_lookupfield_customerprofile_value"
MAPPING_SET: Final = "msdynci_alternatekeys"
_TIMEOUT_S: Final = 300.0  # a unification over a million rows takes its time


@dataclass(frozen=True, slots=True)
class Source:
    """A pair of data source and table as the mapping names them, with its rows in the mapping.

    `is_table` says whether Dataverse has a table of that name, so that its rows can be linked.
    """

    data_source: str
    table: str
    rows: int
    is_table: bool


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The links of one table, read through the Web API and held against the truth. All are numbers of rows.

    `right` rows have the link that mapping and profiles ask for; `waiting` have none, because their profile is missing;
    `lost` are in the mapping and not in the table; `outside` take part in nothing and have no link, as it should be.
    """

    table: str
    right: int = 0
    waiting: int = 0
    wrong: int = 0
    lost: int = 0
    outside: int = 0


class _Client:
    """Keeps its connections until the end of a `with`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class App(_Client):
    """The app's API on the local host."""

    def publish(self, job: str) -> Json:
        """Report a completed unification to the webhook; returns the run that serves it."""
        return self._json("POST", "/api/unification-events", {"jobId": job})

    def request(self, **body: object) -> Json:
        """Ask for a run; returns it."""
        return self._json("POST", "/api/runs", body)

    def run(self, run: str) -> Json:
        """Return a run as it is now."""
        return self._json("GET", f"/api/runs/{run}")

    def cancel(self, run: str) -> Json:
        """Ask a run to stop; returns it."""
        return self._json("POST", f"/api/runs/{run}/cancel")

    def status(self) -> Json:
        """Return the task as it is now."""
        return self._json("GET", "/api/status")

    def preflight(self) -> Json:
        """Return what may be linked and what would happen."""
        return self._json("GET", "/api/preflight")

    def _json(self, method: str, path: str, body: object = None) -> Json:
        answer = self._http.request(method, path, json=body)
        return dict(answer.raise_for_status().json())


class Sandbox(_Client):
    """The sandbox, given what it printed when ready."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready["dataverse"])
        self.ready = ready

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin API below /sandbox and return its JSON, None when it has none."""
        answer = self._http.request(method, f"/sandbox/{path}", json=body)
        return answer.raise_for_status().json() if answer.content else None

    def last_job(self) -> str:
        """Return the id of the newest unification job."""
        return str(self.admin("GET", "unifications")[0]["jobId"])

    def unify(self, **request: object) -> Json:
        """Run a unification; returns its job id and what it changed."""
        return dict(self.admin("POST", "unifications", request))

    def reset_counters(self) -> None:
        """Count from zero."""
        self.admin("POST", "counters/reset")

    def counters(self) -> Json:
        """Return what a real environment would have suffered since the last reset."""
        return dict(self.admin("GET", "counters"))

    def truth(self, table: str) -> dict[str, set[str | None]]:
        """Return by row the profiles that may be linked; None is a profile that is not in Dataverse."""
        expected: dict[str, set[str | None]] = {}
        with self._http.stream("GET", "/sandbox/truth", params={"table": table}) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                link = json.loads(line)
                expected.setdefault(link["id"], set()).add(link["profileId"])
        return expected

    def sources(self) -> list[Source]:
        """Return what takes part in unification, counted in the mapping."""
        first = next(self.rows(MAPPING_SET, {"$top": "1"}), {})
        name = "msdynci_tablename" if "msdynci_tablename" in first else "msdynci_entityname"
        rows = self.rows(MAPPING_SET, {"$select": f"msdynci_datasourcename,{name}"})
        counted = Counter((row["msdynci_datasourcename"], row[name]) for row in rows)
        return [Source(*pair, rows, self._is_table(pair[1])) for pair, rows in sorted(counted.items())]

    def links(self, table: str) -> Iterator[tuple[str, str | None]]:
        """Yield key and linked profile of every row of a table."""
        names = {"$select": "EntitySetName,PrimaryIdAttribute"}
        entity = self.get(f"EntityDefinitions(LogicalName='{table}')?{urlencode(names)}")
        key = entity["PrimaryIdAttribute"]
        for row in self.rows(entity["EntitySetName"], {"$select": f"{key},{LOOKUP}"}):
            yield row[key], row[LOOKUP]

    def check(self, table: str) -> TableCheck:
        """Read every link of a table through the Web API and hold it against the truth."""
        expected = self.truth(table)
        counted = Counter(_kind(expected.pop(row, None), link) for row, link in self.links(table))
        return TableCheck(table, **counted, lost=len(expected))

    def rows(self, entity_set: str, query: Mapping[str, str]) -> Iterator[Json]:
        """Yield all rows of a query, over all its pages."""
        url: str | None = f"{entity_set}?{urlencode(query)}"
        while url:
            page = self.get(url)
            yield from page["value"]
            url = page.get("@odata.nextLink")

    def get(self, path: str) -> Json:
        """Return what the Web API answers below its root, as the app's own user sees it."""
        url = httpx.URL(f"{self.ready['dataverse']}/api/data/v9.2/").join(path)
        answer = self._http.get(url, headers={"Authorization": f"Bearer {self._token()}"})
        return dict(answer.raise_for_status().json())

    def _is_table(self, name: str) -> bool:
        query = urlencode({"$filter": f"LogicalName eq '{name}'", "$select": "LogicalName"})
        return bool(self.get(f"EntityDefinitions?{query}")["value"])

    def _token(self) -> str:
        query = {"api-version": "2019-08-01", "resource": self.ready["dataverse"]}
        headers = {"X-IDENTITY-HEADER": self.ready["identityHeader"]}
        answer = self._http.get(self.ready["identityEndpoint"], params=query, headers=headers)
        return str(answer.raise_for_status().json()["access_token"])


def _kind(expected: set[str | None] | None, link: str | None) -> str:
    if expected is None:
        return "outside" if link is None else "wrong"
    if link in expected:
        return "right" if link is not None else "waiting"
    return "wrong"
