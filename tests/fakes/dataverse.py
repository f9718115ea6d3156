"""Dataverse in memory, behind httpx.MockTransport: exactly the requests that the linker sends, and nothing else.

It keeps the rules a link depends on: UpdateMultiple is all or nothing and ignores later duplicates (dataverse.md 2.5), a PATCH
keeps its If-Match (4), a profile that is deleted takes the links to it along (RemoveLink), text compares regardless of case.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from linker.core.permissions.privileges import CREATE_COLUMN, READ_METADATA
from sandbox.query.evaluation import Test, compile_test
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Path
from sandbox.webapi.protocol.messages import ApiRequest, ApiResponse
from sandbox.webapi.protocol.multipart import Operation, read_items, write_answer, write_part

URL = "https://contoso.crm4.dynamics.com"
API = "/api/data/v9.2/"
COLUMN = "msdynci_lookupfield_customerprofile"
NAVIGATION = "msdynci_LookupField_CustomerProfile"
PROFILE_SET = "msdynci_customerprofiles"
STAMP = "2026-11-01T00:00:00Z"
MISSING_ROW = "0x80040217"
MISSING_TARGET = "0x80060891"
CHANGED_ROW = "0x80060882"
LABEL = "@OData.Community.Display.V1.FormattedValue"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the fake
    """An error answer."""

    def __init__(self, status: int, code: str = "", text: str = "", retry_after: str | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text
        self.headers = {"Retry-After": retry_after} if retry_after else {}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.text}}

    def answer(self) -> httpx.Response:
        return httpx.Response(self.status, json=self.body, headers=self.headers)


@dataclass(slots=True)
class SourceRow:
    link: str | None = None
    version: int = 1


@dataclass(slots=True)
class FakeTable:
    """A source table. Without `column` the lookup does not exist yet."""

    logical: str
    entity_set: str
    key: str
    schema: str = ""
    table_type: str = "Standard"
    provider: str | None = None  # of the data of a virtual or elastic table
    bulk: bool = True
    column: bool = True
    creatable: bool = True
    primary: bool = True
    custom: bool = False
    points_to: str = "msdynci_customerprofile"
    rows: dict[str, SourceRow] = field(default_factory=dict)

    def definition(self) -> dict[str, Any]:
        return {
            "LogicalName": self.logical,
            "SchemaName": self.schema or self.logical.capitalize(),
            "EntitySetName": self.entity_set,
            "PrimaryIdAttribute": self.key,
            "TableType": self.table_type,
            "DataProviderId": self.provider,
            "CanCreateAttributes": {"Value": self.creatable},
            "CanBePrimaryEntityInRelationship": {"Value": self.primary},
            "IsPrivate": False,
            "Privileges": [],
            "IsCustomEntity": self.custom,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or one part of a batch."""

    method: str
    path: str  # below the API, decoded, without options
    options: dict[str, str]
    headers: dict[str, str]
    body: Any = None

    @property
    def kind(self) -> str:
        """Name by which tests count and stop requests."""
        return _kind(self)


type Hook = Callable[[Request], Awaitable[None] | None]


class FakeDataverse:
    """One environment. `asked` counts requests by kind, `written` counts rows by how they were written."""

    def __init__(self) -> None:
        self.mapping: list[dict[str, Any]] = []
        self.profiles: dict[str, str] = {}  # profile id -> CustomerId
        self.labels = True  # whether links show the CustomerId of their profile
        self.label_of: dict[str, str | None] = {}  # by row id: what its link shows instead; None: nothing
        self.created: dict[str, str] = {}  # by profile id, where it is not STAMP
        self.languages: list[int] | None = [1033]  # None: the organization may not be read
        self.partitions: dict[str, str] = {}  # by profile id: those that are not the default one
        self.tables: dict[str, FakeTable] = {}  # by entity set
        self.mapping_column = "msdynci_entityname"
        self.text_columns: list[str] = []  # of every table
        self.marks = {"msdynci_alternatekeys": STAMP, "msdynci_customerprofiles": STAMP}
        self.versions = {"msdynci_alternatekeys": 7, "msdynci_customerprofiles": 7}  # {}: it has no such column
        self.touches: Counter[str] = Counter()  # by profile id: how often the linker wrote it
        self.flows: list[dict[str, Any]] = []  # on every table
        self.touch_requests: list[Request] = []
        self.touched_at = "2026-12-01T00:00:00Z"
        self.profile_table = FakeTable("msdynci_customerprofile", PROFILE_SET, "msdynci_customerprofileid")
        self.asked: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.bodies: list[Request] = []  # every write request as it came
        self.tokens: list[str] = []
        self.refuse: dict[str, Refusal] = {}  # by row id: what a write of this row is answered
        self.drop: Counter[str] = Counter()  # by row id: how many accepted writes are not stored
        self.hooks: list[Hook] = []  # called before each request is served; may raise a Refusal or anything else
        self.after: list[Hook] = []  # called when it was served and the answer is not sent yet
        self.page_size = 5_000
        self.dop_hint: int | None = None
        self.privileges = [*READ_METADATA, *CREATE_COLUMN]  # that belong to no table; tables ask for none here
        self.navigation = NAVIGATION  # as metadata names it
        self.next_link_host = URL
        self._ids = count(1)

    # ---- what a test says about the world ----

    def table(self, logical: str = "contact", entity_set: str = "", **values: Any) -> FakeTable:
        made = FakeTable(logical, entity_set or f"{logical}s", f"{logical}id", **values)
        self.tables[made.entity_set] = made
        return made

    def map(self, key: str, customer: str | None, *, table: str = "contact", source: str = "crm") -> None:
        """Let the mapping name a row for a customer; None takes the row out."""
        identifier = f"{source}|{table}|{key}"
        self.mapping = [row for row in self.mapping if row["msdynci_identifier"] != identifier]
        if customer is not None:
            self.add_mapping(key, customer, table=table, source=source)

    def add_mapping(
        self, key: str | None, customer: str | None, *, table: str = "contact", source: str = "crm"
    ) -> None:
        """Add a mapping row beside those that are there."""
        self.mapping.append(
            {
                "msdynci_datasourcename": source,
                self.mapping_column: table,
                "msdynci_alternatevalue": key,
                "msdynci_customerid": customer,
                "msdynci_identifier": f"{source}|{table}|{key}",
                "msdynci_alternatekeyid": f"00000000-0000-4000-a000-{next(self._ids):012x}",
                "modifiedon": self.marks["msdynci_alternatekeys"],
            }
        )

    def profile(self, customer: str, profile: str | None = None) -> str:
        """Write a profile and return its id."""
        made = profile or f"00000000-0000-4000-9000-{next(self._ids):012x}"
        self.profiles[made] = customer
        return made

    def delete_profile(self, customer: str) -> None:
        """Delete a profile; links to it are emptied (RemoveLink)."""
        gone = {profile for profile, found in self.profiles.items() if found == customer}
        self.profiles = {profile: found for profile, found in self.profiles.items() if profile not in gone}
        for table in self.tables.values():
            for row in table.rows.values():
                if row.link in gone:
                    _set(row, None)

    def vanish(self, customer: str) -> None:
        """Delete a profile as an elastic table does: links to it stay."""
        self.profiles = {profile: found for profile, found in self.profiles.items() if found != customer}

    def customer_of(self, key: str, entity_set: str = "contacts") -> str | None:
        """Return the CustomerId that a row is linked to."""
        row = self.tables[entity_set].rows[key]
        return self.profiles.get(row.link, "gone") if row.link else None

    def link_by_hand(self, key: str, customer: str | None, entity_set: str = "contacts") -> None:
        """Change a link as a person would."""
        by_customer = {found: profile for profile, found in self.profiles.items()}
        _set(self.tables[entity_set].rows[key], None if customer is None else by_customer[customer])

    # ---- the seam ----

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """httpx.MockTransport calls this."""
        self.tokens.append(request.headers["Authorization"])
        try:
            if request.url.path == f"{API}$batch":
                return await self._batch(request)
            asked = _parse(request.method, str(request.url), dict(request.headers), request.content)
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
        parts = _batch_parts(request)
        reads = all(part.method == "GET" for part in parts)
        for hook in self.hooks:
            await _run(hook, parts[0])
        self.asked["$batch"] += 1
        out: list[bytes] = []
        for part in parts:
            self.asked[part.kind] += 1
            try:
                status, body = self._route(part)
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
            headers = {"Content-Type": "application/json"}
            out.append(write_part(ApiResponse(status, headers, json.dumps(body).encode() if body else b""), None))
            for hook in self.after if reads else ():
                await _run(hook, part)
        for hook in () if reads else self.after:
            await _run(hook, parts[0])
        answer = write_answer("answer", out, 200)
        return httpx.Response(200, content=answer.body, headers={**answer.headers, **self._headers()})

    def _route(self, asked: Request) -> tuple[int, Any]:  # noqa: PLR0911 - a table of what is understood
        if (about := self._about(asked.path)) is not None:
            return 200, about
        match asked.method, asked.path:
            case "GET", "msdynci_alternatekeys/$count":
                return 200, str(min(5_000, len(self._filtered(self.mapping, asked))))
            case "GET", ("msdynci_alternatekeys" | "msdynci_customerprofiles") as entity_set:
                return 200, self._customer_data(entity_set, asked)
            case "GET", path if path.startswith(("EntityDefinitions", "sdkmessagefilters")):
                return 200, self._metadata(asked)
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

    # ---- who asks, what he may do, what is registered ----

    def _about(self, path: str) -> dict[str, Any] | None:
        match path:
            case "WhoAmI":
                return {"UserId": "11111111-1111-1111-1111-111111111111"}
            case "callbackregistrations":
                return {"value": self.flows}
            case "systemusers" | "sdkmessageprocessingsteps" | "workflows" | "msdynci_customermeasures":
                return {"value": []}
            case _ if path.endswith("RetrieveUserPrivileges()"):
                return {"RolePrivileges": [{"PrivilegeName": name, "Depth": "Global"} for name in self.privileges]}
            case "organizations":
                if self.languages is None:
                    raise Refusal(403, "0x80040220", "prvReadOrganization is missing")
                return {"value": [{"languagecode": code} for code in self.languages]}
            case _ if path.startswith("systemusers("):
                return {"fullname": "# linker", "domainname": "linker@contoso"}
            case _ if path.startswith("RetrieveTotalRecordCount("):
                return {"EntityRecordCountCollection": {"Values": [len(self.mapping)]}}
        return None

    # ---- reads ----

    def _filtered(self, rows: list[dict[str, Any]], asked: Request) -> list[dict[str, Any]]:
        expression = asked.options.get("$filter", "")
        return list(filter(matcher(expression), rows)) if expression else rows

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
        return self._paged(self._filtered(rows, asked), asked)

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
        return self._paged(self._filtered(rows, asked), asked)

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

    def _metadata(self, asked: Request) -> dict[str, Any]:
        if asked.path.endswith("/OneToManyRelationships") or "$expand" in asked.options:
            return {"value": []}  # no tables about customers besides mapping and profiles
        if asked.path == "EntityDefinitions":
            definitions = [table.definition() for table in (*self.tables.values(), self.profile_table)]
            return {"value": self._filtered(definitions, asked)}
        if asked.path == "sdkmessagefilters":
            rows = [
                {"sdkmessageid/name": "UpdateMultiple", "primaryobjecttypecode": table.logical}
                for table in (*self.tables.values(), self.profile_table)
                if table.bulk
            ]
            return {"value": self._filtered(rows, asked)}
        logical = asked.path.split("'")[1]
        if asked.path == "EntityDefinitions(LogicalName='msdynci_customerprofile')":
            return {"PrimaryNameAttribute": "msdynci_customerid"}
        if asked.path.endswith("/Attributes"):
            names = (self.mapping_column, "msdynci_customerid", *self.text_columns)
            return {"value": [_attribute(name) for name in names]}
        table = next(table for table in self.tables.values() if table.logical == logical)
        relationship = {
            "SchemaName": f"msdynci_{logical}_customerprofile",
            "ReferencedEntity": table.points_to,
            "ReferencingAttribute": COLUMN,
            "ReferencingEntityNavigationPropertyName": self.navigation,
        }
        return {"value": [relationship] if table.column else []}

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
        _set(table.rows[key], profile)


async def _run(hook: Hook, asked: Request) -> None:
    result = hook(asked)
    if result is not None:
        await result


def _set(row: SourceRow, link: str | None) -> None:
    row.link = link
    row.version += 1


def _attribute(name: str) -> dict[str, Any]:
    facts = {"AttributeOf": None, "DisplayName": None, "IsPrimaryId": False, "IsValidForRead": True}
    return {"LogicalName": name, "AttributeType": "String", **facts}


def _bound(value: str | None) -> str | None:
    if value is None:
        return None
    found = re.fullmatch(r"/msdynci_customerprofiles\(([0-9a-f-]{36})\)", value)
    assert found, value
    return found[1]


def _parse(method: str, url: str, headers: dict[str, str], content: bytes) -> Request:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    body = json.loads(content) if content else None
    path = unquote(parts.path).removeprefix(API)
    return Request(method, path, options, {name.lower(): value for name, value in headers.items()}, body)


def _batch_parts(request: httpx.Request) -> list[Request]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    batch = ApiRequest(request.method, "$batch", "", headers, request.content, "")
    found = [item.request for item in read_items(batch) if isinstance(item, Operation)]
    return [
        _parse(one.method, f"{URL}{API}{one.path}?{one.query}", dict(one.headers), one.body.strip()) for one in found
    ]


def matcher(expression: str) -> Test[Mapping[str, Any]]:
    """Return the test that a filter stands for, with texts compared regardless of case (dataverse.md 6.2)."""
    return compile_test(parse_filter(expression), _value, fold_case=True)


def _value(row: Mapping[str, Any], path: Path) -> Any:
    return row.get(str(path))


def _kind(asked: Request) -> str:  # noqa: PLR0911, PLR0912 - a table of names
    filtered, select = asked.options.get("$filter", ""), asked.options.get("$select", "")
    match asked.method, asked.path:
        case "GET", "msdynci_alternatekeys/$count":
            return "count"
        case "GET", "msdynci_alternatekeys" | "msdynci_customerprofiles" if "$orderby" in asked.options:
            return "marks"
        case "GET", "msdynci_alternatekeys" if "Dynamics.CRM.In(" in filtered:
            return "absent"
        case "GET", "msdynci_alternatekeys" if "$top" in asked.options:
            return (
                "source"
                if "$select" in asked.options and "alternatevalue" not in asked.options["$select"]
                else "sample"
            )
        case "GET", "msdynci_alternatekeys":
            return "mapping"
        case "GET", "msdynci_customerprofiles":
            if "customerprofileid" in filtered:
                return "profiles to touch"
            return "profiles" if filtered else "any profile"
        case "GET", path if path.split("(")[0] in ("EntityDefinitions", "sdkmessagefilters", "WhoAmI", "systemusers"):
            return "metadata"
        case "GET", _:
            if f"_{COLUMN}_value" not in select:
                return "empties" if "eq null" in filtered else "keys"
            if "ne null" in filtered:
                return "linked rows"
            return "links" if "Dynamics.CRM.In(" in filtered else "column"
        case "POST", "RelationshipDefinitions":
            return "create column"
        case "POST" | "PATCH", path if path.startswith(PROFILE_SET):
            return "touch"
        case "POST", _:
            return "update"
    return "clear" if None in (asked.body or {}).values() else "patch"
