"""The profile and the mapping table of an environment behind httpx.MockTransport, for reading. Each ability has a switch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from linker.adapters.dataverse import Connection, Dataverse
from linker.core.capabilities import ELASTIC_PROVIDER
from sandbox.query.evaluation import compile_test
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Compare, Condition, CrmFunction, Junction, Kind, Literal, Path
from sandbox.schema.insights_tables import CUSTOMER
from tests.fakes.requests import API, COLUMN, LABEL, PROFILE_SET, URL
from tests.fakes.world import StaticTokens

MAPPING_SET = "msdynci_alternatekeys"


@dataclass(slots=True)
class ElasticTables:
    """What the tables are and can do. A switch with "ignore" answers as if the option were not there."""

    profile_type: str = "Elastic"
    mapping_type: str = "Elastic"
    provider: str | None = str(ELASTIC_PROVIDER)  # None: the request is refused
    rows: int = 620
    page_max: int = 500
    most_rows: int = 1_000_000  # more in one response are refused
    case: str = "exact"  # fold
    in_filter: str = "allow"  # refuse, ignore
    ranges: str = "allow"  # refuse, ignore
    count: str = "exact"  # capped, refuse, wrong
    modified: str = "allow"  # refuse, ignore, absent
    sorting: str = "allow"  # refuse, ignore
    partition: str = "own"  # null, absent
    lookup: str = "empty"  # filled, mixed, wrong, absent
    pid: bool = True
    labels: str = "customer"  # none, other
    linked: int = 0  # contacts with a link
    tracking: str = "off"  # on, ignore
    fails: int = 0  # status of every answer about rows
    asked: list[str] = field(default_factory=list)

    def client(self) -> Dataverse:
        """Return the linker's client over these tables."""
        transport = httpx.MockTransport(self)
        return Dataverse(Connection(URL, httpx.AsyncClient(transport=transport), StaticTokens()))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """httpx.MockTransport calls this."""
        parts = urlsplit(str(request.url))
        path, options = unquote(parts.path).removeprefix(API), dict(parse_qsl(parts.query))
        if path == "$batch":
            return _refusal(400, "0x0", "This fake knows no batches: each read comes alone.")
        self.asked.append(f"{path} {options}")
        prefer = request.headers.get("Prefer", "")
        if path.startswith("EntityDefinitions"):
            return self._metadata(path, options)
        if self.fails:
            return _refusal(self.fails, "0x80048d0b", "The provider failed.")
        if path == f"{MAPPING_SET}/$count":
            return self._counted()
        return self._rows(path, options, prefer)

    def _metadata(self, path: str, options: dict[str, str]) -> httpx.Response:
        if "/Attributes" in path:
            names = self._mapping_columns() if "alternatekey" in path else self._profile_columns()
            return _json({"value": [{"LogicalName": name} for name in names]})
        if "DataProviderId" in options["$select"]:
            if self.provider is None:
                return _refusal(400, "0x0", "Could not find a property named 'DataProviderId'.")
            facts = [{"DataProviderId": self.provider}] * 2
        else:
            tracks = {"ChangeTrackingEnabled": self.tracking != "off"}
            facts = [{"TableType": self.profile_type}, {"TableType": self.mapping_type} | tracks]
        names = ("msdynci_customerprofile", "msdynci_alternatekey")
        return _json({"value": [{"LogicalName": name} | fact for name, fact in zip(names, facts, strict=True)]})

    def _profile_columns(self) -> list[str]:
        stamp = ["modifiedon"] if self.modified != "absent" else []
        part = ["partitionid"] if self.partition != "absent" else []
        return ["msdynci_customerprofileid", "msdynci_customerid", *stamp, *part]

    def _mapping_columns(self) -> list[str]:
        names = ("alternatekeyid", "identifier", "customerid", "alternatevalue", "datasourcename", "entityname")
        stamp = ["modifiedon"] if self.modified != "absent" else []
        lookup = [CUSTOMER, f"{CUSTOMER}pid"] if self.lookup != "absent" else []
        return [*(f"msdynci_{name}" for name in names), *stamp, *lookup]

    def _counted(self) -> httpx.Response:
        if self.count == "refuse":
            return _refusal(400, "0x80040203", "Counting is not supported.")
        count = {"exact": self.rows, "capped": min(self.rows, 5_000), "wrong": 0}[self.count]
        return httpx.Response(200, text=f"\ufeff{count}")

    def _rows(self, path: str, options: dict[str, str], prefer: str) -> httpx.Response:
        known = {PROFILE_SET: self._profiles, MAPPING_SET: self._mapping, "contacts": self._contacts}
        rows, expression = known[path](), options.get("$filter", "")
        refused = self._refused(path, options)
        if refused:
            return refused
        rows = self._matching(rows, expression) if expression else rows
        if options.get("$orderby") and self.sorting == "allow":
            rows = sorted(rows, key=lambda row: str(row["modifiedon"]), reverse=True)
        paged = re.search(r"maxpagesize=(\d+)", prefer)  # beside a page size $top is ignored
        wanted = int(paged[1]) if paged else int(options.get("$top", self.page_max))
        if min(len(rows), wanted) > self.most_rows:
            return _refusal(400, "0x80048d0b", "Too many rows.")
        shown, headers = rows[: min(wanted, self.page_max)], {}
        body: dict[str, Any] = {"value": [_selected(row, options) for row in shown]}
        if len(shown) < len(rows) and (paged or "$top" not in options):
            body["@odata.nextLink"] = f"{URL}{API}{path}?$skiptoken=x"
        if self.tracking == "on" and "track-changes" in prefer:
            headers["Preference-Applied"] = "odata.track-changes"
        return _json(body, headers)

    def _refused(self, path: str, options: dict[str, str]) -> httpx.Response | None:
        expression = options.get("$filter", "")
        on_text = re.search(r"(ge|lt) '", expression) is not None
        refused = {
            "In is not supported.": self.in_filter == "refuse" and ".In(" in expression,
            "Comparison is not supported.": self.ranges == "refuse" and on_text,
            "Dates are not supported.": self.modified == "refuse" and "modifiedon ge" in expression,
            "Sorting is not supported.": self.sorting == "refuse" and "$orderby" in options,
            "No such property pid.": not self.pid and f"{COLUMN}pid" in options["$select"],
        }
        return next((_refusal(400, "0x80048d0b", text) for text, is_so in refused.items() if is_so), None)

    def _matching(self, rows: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        condition = self._understood(parse_filter(expression))
        return list(filter(compile_test(condition, _value, fold_case=self.case == "fold"), rows))

    def _understood(self, condition: Condition) -> Condition:
        """Return a condition without the comparisons that are ignored."""
        match condition:
            case Junction(word, parts):
                return Junction(word, tuple(self._understood(part) for part in parts))
            case Compare("ge" | "lt", _, Literal(_, kind)) if self._ignores(kind):
                return Junction("and", ())
            case CrmFunction("In") if self.in_filter == "ignore":
                return Junction("and", ())
        return condition

    def _ignores(self, kind: Kind) -> bool:
        return (self.ranges if kind is Kind.TEXT else self.modified) == "ignore"

    def _profiles(self) -> list[dict[str, Any]]:
        return [
            {
                "msdynci_customerprofileid": _profile_id(number),
                "msdynci_customerid": _customer(number),
                "modifiedon": _stamp(number),
                "partitionid": _profile_id(number) if self.partition == "own" else None,
            }
            for number in range(self.rows)
        ]

    def _mapping(self) -> list[dict[str, Any]]:
        return [
            {
                "msdynci_alternatekeyid": f"{number:08x}-1111-4000-8000-000000000000",
                "msdynci_identifier": f"crm|contact|{number:08x}-abcd",
                "msdynci_alternatevalue": f"{number:08x}-abcd",
                "msdynci_customerid": _customer(number),
                "modifiedon": _stamp(number),
                f"_{CUSTOMER}_value": self._looked_up(number),
                f"{CUSTOMER}pid": self._looked_up(number),
                f"_{CUSTOMER}_value{LABEL}": self._label(number) if self._looked_up(number) else None,
            }
            for number in range(self.rows)
        ]

    def _looked_up(self, number: int) -> str | None:
        match self.lookup:
            case "filled":
                return _profile_id(number)
            case "mixed":
                return _profile_id(number) if number % 2 else None
            case "wrong":
                return _profile_id(number + 1)
        return None

    def _contacts(self) -> list[dict[str, Any]]:
        return [
            {
                f"_{COLUMN}_value": _profile_id(number),
                f"{COLUMN}pid": _profile_id(number),
                f"_{COLUMN}_value{LABEL}": self._label(number),
            }
            for number in range(self.linked)
        ]

    def _label(self, number: int) -> str | None:
        return {"customer": _customer(number), "none": None, "other": "somebody"}[self.labels]


def _profile_id(number: int) -> str:
    return f"{number:08x}-0000-4000-9000-000000000000"


def _customer(number: int) -> str:
    return f"c{number:030x}e"


def _stamp(number: int) -> str:
    return f"2026-11-01T00:{number // 60 % 60:02}:{number % 60:02}Z"


def _value(row: dict[str, Any], path: Path) -> Any:
    return row.get(str(path))


def _selected(row: dict[str, Any], options: dict[str, str]) -> dict[str, Any]:
    names = options["$select"].split(",")
    labels = [name + LABEL for name in names if row.get(name + LABEL)]
    return {name: row[name] for name in (*names, *labels)}


def _json(body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(200, json=body, headers=headers)


def _refusal(status: int, code: str, text: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": text}})
