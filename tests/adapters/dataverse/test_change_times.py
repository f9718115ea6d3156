"""The newest change of a table, asked for with one $orderby column from tables of every kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.adapters.dataverse.change_times import MANY, ROWS, Newest, newest_change
from linker.adapters.dataverse.response_models import time_in
from linker.core.errors import DataverseError
from tests.fakes.world import StaticTokens

URL = "https://contoso.crm4.dynamics.com"
US, OTHERS = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
OLD, NEW = "2026-11-01T00:00:00Z", "2026-11-01T00:00:07Z"
T_OLD, T_NEW = time_in(OLD), time_in(NEW)


@dataclass(slots=True)
class OneTable:
    """A table that refuses every option of `refuses`, and sorts unless asked otherwise."""

    rows: list[dict[str, Any]]
    refuses: tuple[str, ...] = ()
    sorts: bool = True
    status: int = 400
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        options = dict(parse_qsl(urlsplit(str(request.url)).query))
        self.asked.append(options)
        if any(word in str(options) for word in self.refuses):
            return httpx.Response(self.status, json={"error": {"code": "0x80048d0b", "message": "refused"}})
        rows = self.rows
        if "$filter" in options:
            rows = [row for row in rows if row["_modifiedby_value"] != US]
        if self.sorts:
            rows = sorted(rows, key=lambda row: row["modifiedon"] or "", reverse=True)
        names = options["$select"].split(",")
        return httpx.Response(200, json={"value": [{n: row[n] for n in names} for row in rows[: int(options["$top"])]]})

    async def newest(self, besides: str = "") -> Newest | None:
        """Ask for the newest change."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return await newest_change(Dataverse(Connection(URL, client, StaticTokens())), "rows", besides=besides)


def row(stamp: str | None, version: int | None = 1, by: str = OTHERS) -> dict[str, Any]:
    return {"modifiedon": stamp, "versionnumber": version, "_modifiedby_value": by}


MIXED = [row(OLD, 9), row(NEW, 3), row(NEW, 5), row(NEW, 4)]
OURS = [row(OLD, 9), row(NEW, 5, US)]


@pytest.mark.parametrize(
    ("table", "besides", "newest"),
    [
        pytest.param(OneTable(MIXED), "", Newest(T_NEW, 5), id="the highest version of the newest second"),
        pytest.param(OneTable([*reversed(MIXED)]), "", Newest(T_NEW, 5), id="in any order of the rows"),
        pytest.param(OneTable([row(NEW, 638751518483842799)]), "", Newest(T_NEW, 638751518483842799), id="ticks"),
        pytest.param(OneTable(MIXED, ("versionnumber",)), "", Newest(T_NEW, 3), id="no versions: the number of rows"),
        pytest.param(OneTable([row(NEW, None)]), "", Newest(T_NEW, 1), id="versions are null"),
        pytest.param(
            OneTable([row(NEW)] * ROWS), "", Newest(T_NEW, 1), id="more rows than are read: the highest version"
        ),
        pytest.param(
            OneTable([row(NEW)] * ROWS, ("versionnumber",)),
            "",
            Newest(T_NEW, MANY),
            id="more rows than are read, no versions",
        ),
        pytest.param(OneTable([row(NEW)] * (ROWS - 1)), "", Newest(T_NEW, 1), id="just not more rows"),
        pytest.param(OneTable([]), "", None, id="empty"),
        pytest.param(OneTable([row(None)]), "", None, id="no stamp"),
        pytest.param(OneTable([row(OLD), row(NEW)], sorts=False), "", None, id="the order is ignored"),
        pytest.param(OneTable(MIXED, ("modifiedon",)), "", None, id="no modifiedon"),
        pytest.param(OneTable(MIXED, ("orderby",)), "", None, id="no sorting"),
        pytest.param(OneTable(MIXED, ("orderby",), status=501), "", None, id="sorting is not implemented"),
        pytest.param(OneTable([], ("select",), status=404), "", None, id="no table"),
        pytest.param(OneTable(OURS), US, Newest(T_OLD, 9), id="ours are left out"),
        pytest.param(OneTable(OURS, ("versionnumber",)), US, Newest(T_OLD, 1), id="ours without versions"),
        pytest.param(OneTable(OURS, ("filter",)), US, Newest(T_OLD, 1), id="ours where lookups cannot be filtered"),
        pytest.param(OneTable([row(NEW, 5, US)]), US, Newest(0.0), id="ours alone"),
        pytest.param(OneTable([row(NEW, 5, US)], ("filter",)), US, Newest(0.0), id="ours alone, no filter"),
        pytest.param(OneTable([], ("filter",)), US, None, id="empty, no filter"),
        pytest.param(OneTable(OURS, ("orderby",)), US, None, id="ours, no sorting"),
    ],
)
async def test_the_newest_change(table: OneTable, besides: str, newest: Newest | None) -> None:
    assert await table.newest(besides) == newest
    assert table.asked[0]["$orderby"] == "modifiedon desc"
    assert {options["$orderby"] for options in table.asked} <= {"modifiedon desc", "versionnumber desc"}


async def test_a_missing_privilege_is_an_error() -> None:
    with pytest.raises(DataverseError):
        await OneTable(MIXED, ("orderby",), status=403).newest()
