"""Dataverse in memory, behind httpx.MockTransport: exactly the requests that the linker sends, and nothing else.

It keeps the rules a link depends on: UpdateMultiple is all or nothing and ignores later duplicates
(docs/reference/dataverse.md 2.5), a PATCH keeps its If-Match (4), a deleted profile empties the links to it (RemoveLink),
and text compares regardless of case.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from sandbox.webapi.protocol.messages import ApiResponse
from sandbox.webapi.protocol.multipart import write_answer, write_part
from tests.fakes.environment import EnvironmentRows, FakeTable, SourceRow, set_link
from tests.fakes.requests import (
    API,
    CHANGED_ROW,
    COLUMN,
    LABEL,
    MISSING_ROW,
    MISSING_TARGET,
    PROFILE_SET,
    STAMP,
    URL,
    Refusal,
    Request,
    batch_parts,
    filtered,
    parse,
)

type Hook = Callable[[Request], Awaitable[None] | None]


class FakeDataverse(EnvironmentRows):
    """One environment. `asked` counts requests by kind, `written` counts rows by how they were written."""

    def __init__(self) -> None:
        super().__init__()
        self.touch_requests: list[Request] = []
        self.asked: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.bodies: list[Request] = []  # every write request as it came
        self.tokens: list[str] = []
        self.hooks: list[Hook] = []  # called before each request is served; may raise a Refusal or anything else
        self.after: list[Hook] = []  # called when it was served and the answer is not sent yet
        self.page_size = 5_000
        self.dop_hint: int | None = None
        self.next_link_host = URL

    # ---- the seam ----

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """httpx.MockTransport calls this."""
        self.tokens.append(request.headers["Authorization"])
        try:
            if request.url.path == f"{API}$batch":
                return await self._batch(request)
            asked = parse(request.method, str(request.url), dict(request.headers), request.content)
            status, body = await self._serve(asked)
        except Refusal as refusal:
            return refusal.answer()
        if isinstance(body, str):
            return httpx.Response(status, text=body, headers=self._headers())
        return (
            httpx.Response(status, json=body, headers=self._headers())
            if body
            else httpx.Response(status, headers=self._headers())
        )

    def _headers(self) -> dict[str, str]:
        return {"x-ms-dop-hint": str(self.dop_hint)} if self.dop_hint else {}

    async def _serve(self, asked: Request) -> tuple[int, Any]:
        for hook in self.hooks:
            await _run(hook, asked)
        self.asked[asked.kind] += 1
        answer = self._route(asked)
        for hook in self.after:
            await _run(hook, asked)
        return answer

    async def _batch(self, request: httpx.Request) -> httpx.Response:
        parts = batch_parts(request)
        reads = all(part.method == "GET" for part in parts)
        for hook in self.hooks:
            await _run(hook, parts[0])
        self.asked["$batch"] += 1
        out: list[bytes] = []
        for part in parts:
            self.asked[part.kind] += 1
            headers = {"Content-Type": "application/json"}
            try:
                status, body = self._route(part)
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
                headers |= refusal.headers
            out.append(write_part(ApiResponse(status, headers, json.dumps(body).encode() if body else b""), None))
            for hook in self.after if reads else ():
                await _run(hook, part)
        for hook in () if reads else self.after:
            await _run(hook, parts[0])
        answer = write_answer("answer", out, 200)
        return httpx.Response(200, content=answer.body, headers={**answer.headers, **self._headers()})

    def _route(self, asked: Request) -> tuple[int, Any]:  # noqa: PLR0911 - a table of what is understood
        if (about := self.about(asked.path)) is not None:
            return 200, about
        match asked.method, asked.path:
            case "GET", "msdynci_alternatekeys/$count":
                return 200, str(min(5_000, len(filtered(self.mapping, asked))))
            case "GET", ("msdynci_alternatekeys" | "msdynci_customerprofiles") as entity_set:
                return 200, self._customer_data(entity_set, asked)
            case "GET", path if path.startswith(("EntityDefinitions", "sdkmessagefilters")):
                return 200, self.metadata(asked)
            case "GET", path if path in self.tables:
                return 200, self._source_rows(self.tables[path], asked)
            case "GET", path if found := re.fullmatch(rf"{PROFILE_SET}\(([0-9a-f-]{{36}})\)", path):
                return 200, self._profile(found[1])
            case "GET", path if found := re.fullmatch(r"(\w+)\(([0-9a-f-]{36})\)", path):
                return 200, self._source_row(self.tables[found[1]], found[2])
            case "POST", "RelationshipDefinitions":
                return self._create_column(asked)
            case "POST", path if path == f"{PROFILE_SET}/Microsoft.Dynamics.CRM.UpdateMultiple":
                return self._touch(asked, {row.pop("msdynci_customerprofileid"): row for row in asked.body["Targets"]})
            case "PATCH", path if found := re.fullmatch(rf"{PROFILE_SET}\(([0-9a-f-]{{36}})\)", path):
                return self._touch(asked, {found[1]: asked.body})
            case "POST", path if path.endswith("/Microsoft.Dynamics.CRM.UpdateMultiple"):
                return self._update_multiple(self.tables[path.partition("/")[0]], asked)
            case "PATCH", path if found := re.fullmatch(r"(\w+)\(([0-9a-f-]{36})\)", path):
                return self._patch(self.tables[found[1]], found[2], asked)
        raise Refusal(501, "", f"The fake does not know {asked.method} {asked.path}.")

    # ---- reads ----

    def _paged(self, rows: list[dict[str, Any]], asked: Request) -> dict[str, Any]:
        if top := asked.options.get("$top"):
            return {"value": rows[: int(top)]}
        start = int(asked.options.get("$skiptoken", 0))
        answer: dict[str, Any] = {"value": rows[start : start + self.page_size]}
        if start + self.page_size < len(rows):
            options = asked.options | {"$skiptoken": str(start + self.page_size)}
            query = str(httpx.QueryParams(options))
            answer["@odata.nextLink"] = f"{self.next_link_host}{API}{asked.path}?{query}"
        return answer

    def _customer_data(self, entity_set: str, asked: Request) -> dict[str, Any]:
        if "$orderby" in asked.options:
            assert asked.options["$orderby"] == "modifiedon desc"
            return self._newest_change(entity_set, asked)
        profiles = [
            {
                "@odata.etag": f'W/"{self.touches[profile]}"',
                "msdynci_customerid": customer,
                "msdynci_customerprofileid": profile,
                "partitionid": self.partitions.get(profile, profile),
                "createdon": self.created.get(profile, STAMP),
            }
            for profile, customer in self.profiles.items()
        ]
        rows = self.mapping if entity_set == "msdynci_alternatekeys" else profiles
        return self._paged(filtered(rows, asked), asked)

    def _profile(self, profile: str) -> dict[str, Any]:
        if profile not in self.profiles:
            raise Refusal(404, MISSING_ROW, f"Entity 'msdynci_customerprofile' With Id = {profile} Does Not Exist")
        return {"msdynci_customerprofileid": profile, "msdynci_customerid": self.profiles[profile]}

    def _newest_change(self, entity_set: str, asked: Request) -> dict[str, Any]:
        """Others wrote at `marks`, the linker's own user, whom a filter may leave out, at `touched_at`."""
        if "versionnumber" in asked.options["$select"] and not self.versions:
            raise Refusal(400, "0x0", "Could not find a property named 'versionnumber'.")
        if entity_set == PROFILE_SET and self.profiles.keys() <= self.touches.keys():
            return {"value": []} if "$filter" in asked.options else {"value": [{"modifiedon": self.touched_at}]}
        if entity_set == PROFILE_SET and self.touches and "$filter" not in asked.options:
            return {"value": [{"modifiedon": self.touched_at}]}
        return {"value": [{"modifiedon": self.marks[entity_set]} | self._version(entity_set, asked)]}

    def _version(self, entity_set: str, asked: Request) -> dict[str, Any]:
        return {"versionnumber": self.versions[entity_set]} if "versionnumber" in asked.options["$select"] else {}

    def _source_rows(self, table: FakeTable, asked: Request) -> dict[str, Any]:
        if not table.column and COLUMN in str(asked.options):
            raise Refusal(400, "0x0", f"Could not find a property named '_{COLUMN}_value'.")
        rows = [self._source_row(table, key) for key in sorted(table.rows)]
        return self._paged(filtered(rows, asked), asked)

    def _source_row(self, table: FakeTable, key: str) -> dict[str, Any]:
        row = table.rows.get(key)
        if row is None:
            raise Refusal(404, MISSING_ROW, f"Entity 'Contact' With Id = {key} Does Not Exist")
        return {
            "@odata.etag": f'W/"{row.version}"',
            table.key: key,
            f"_{COLUMN}_value": row.link,
        } | self._label(key, row)

    def _label(self, key: str, row: SourceRow) -> dict[str, str]:
        label = self.label_of.get(key, self.profiles.get(row.link or "") if self.labels else None)
        return {f"_{COLUMN}_value{LABEL}": label} if row.link and label else {}

    # ---- writes ----

    def _create_column(self, asked: Request) -> tuple[int, Any]:
        self.bodies.append(asked)
        table = next(t for t in self.tables.values() if t.logical == asked.body["ReferencingEntity"])
        if table.column:
            raise Refusal(400, "0x80047013", "A column with this name exists.")
        table.column = True
        self.written["column"] += 1
        return 204, None

    def _update_multiple(self, table: FakeTable, asked: Request) -> tuple[int, Any]:
        self.bodies.append(asked)
        links: dict[str, str] = {}
        for item in asked.body["Targets"]:
            assert item["@odata.type"] == f"Microsoft.Dynamics.CRM.{table.logical}"
            assert item.keys() == {"@odata.type", table.key, f"{self.navigation}@odata.bind"}
            links.setdefault(item[table.key], _bound(item[f"{self.navigation}@odata.bind"]) or "")
        missing = [key for key in links if key not in table.rows]
        if missing:
            raise Refusal(404, MISSING_ROW, f"Contact With Ids = {', '.join(missing)} Do Not Exist")
        for key, profile in links.items():
            self._check(key, profile)
        for key, profile in links.items():
            self._store(table, key, profile, "bulk")
        return 204, None

    def _touch(self, asked: Request, rows: dict[str, dict[str, Any]]) -> tuple[int, Any]:
        """Write profiles: all or none. What is written must be what they say already."""
        self.touch_requests.append(asked)
        if missing := [profile for profile in rows if profile not in self.profiles]:
            raise Refusal(404, MISSING_ROW, f"Customer Profile With Ids = {', '.join(missing)} Do Not Exist")
        for profile, values in rows.items():
            if asked.headers["if-match"] != f'W/"{self.touches[profile]}"':
                raise Refusal(412, CHANGED_ROW, "The version of the existing record doesn't match.")
            assert values.keys() - {"@odata.type"} == {"msdynci_customerid"}
            assert values["msdynci_customerid"] == self.profiles[profile]
            if profile in self.refuse:
                raise self.refuse[profile]
        self.touches.update(rows.keys())
        return 204, None

    def _patch(self, table: FakeTable, key: str, asked: Request) -> tuple[int, Any]:
        self.bodies.append(asked)
        etag = asked.headers["if-match"]
        row = table.rows.get(key)
        if row is None:
            raise Refusal(404, MISSING_ROW, f"Entity 'Contact' With Id = {key} Does Not Exist")
        if etag not in ("*", f'W/"{row.version}"'):
            raise Refusal(412, CHANGED_ROW, "The version of the existing record doesn't match.")
        assert asked.body.keys() == {f"{self.navigation}@odata.bind"}
        profile = _bound(asked.body[f"{self.navigation}@odata.bind"])
        self._check(key, profile)
        self._store(table, key, profile, "patch" if profile else "clear")
        return 204, None

    def _check(self, key: str, profile: str | None) -> None:
        if key in self.refuse:
            raise self.refuse[key]
        if profile and profile not in self.profiles:
            raise Refusal(400, MISSING_TARGET, "A record with the specified key values does not exist")

    def _store(self, table: FakeTable, key: str, profile: str | None, how: str) -> None:
        self.written[how] += 1
        if self.drop[key] > 0:
            self.drop[key] -= 1
            return
        set_link(table.rows[key], profile)


async def _run(hook: Hook, asked: Request) -> None:
    result = hook(asked)
    if result is not None:
        await result


def _bound(value: str | None) -> str | None:
    if value is None:
        return None
    found = re.fullmatch(r"/msdynci_customerprofiles\(([0-9a-f-]{36})\)", value)
    assert found, value
    return found[1]
