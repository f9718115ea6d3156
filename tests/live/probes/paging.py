"""P11 to P14: pages, counts, changes since a moment, and the query language of Cosmos DB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from linker.core import odata
from linker.core.names import MAPPING_SET, MAPPING_TABLE
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import IDENTIFIER, MAPPING_KEY, Scene, need_rows
from tests.live.probes.wire import Answer, Asker

MAX_READ = 6_000  # rows that the probes read to compare a count with

DEFAULT_PAGE = Point("page-without-a-wish", "2.3", "How many rows does a page have when no size is asked for?")
SMALL_PAGE = Point("page-of-500", "2.3", "How many rows does a page have when 500 are asked for?")
LARGE_PAGE = Point(
    "page-of-5000",
    "2.3",
    "How many rows does a page have when 5,000 are asked for?",
    "page_max",
    {"500": "500", "5000": "5000", "more than 500": "5000"},
)
NEXT = Point("next-link", "2.3", "Of which form is the link to the next page?")
VIRTUAL_ROWS = Point(
    "rows-of-a-virtual-table",
    "4",
    "What does a query of more than 1,000 rows of a virtual table return?",
    "virtual_limit",
    {"refused": "error", "1000 and no link to more": "cut", "1000 and a link to more": "page", "all rows": "page"},
)


@probe("P11", "Pages", (DEFAULT_PAGE, SMALL_PAGE, LARGE_PAGE, NEXT, VIRTUAL_ROWS))
async def ask_pages(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    path = MAPPING_SET + odata.query(select=MAPPING_KEY)
    default = await ask.get(path)
    small = await ask.get(path, prefer="odata.maxpagesize=500")
    large = await ask.get(path, prefer="odata.maxpagesize=5000")
    links = [answer.next_link for answer in (large, small, default) if answer.next_link]
    return (
        describe_page(DEFAULT_PAGE, default, 5_000),
        describe_page(SMALL_PAGE, small, 500),
        describe_page(LARGE_PAGE, large, 5_000),
        NEXT.settle(describe_link(links[0])) if links else NEXT.leave_open("The mapping fits into one page."),
        describe_virtual(large, scene.definitions[MAPPING_TABLE].get("TableType")),
    )


def describe_page(point: Point, answer: Answer, asked: int) -> Result:
    """Return how many rows came; open where the table ends before a page of the size asked for could be full."""
    if not answer.is_ok:
        return point.settle(f"refused: {answer.refusal}")
    rows = len(answer.rows)
    if answer.next_link:
        return point.settle(str(rows), f"{rows:,} rows and a link to more")
    if rows > 500:
        return point.settle("more than 500", f"{rows:,} rows, and the table ended")
    return point.leave_open(
        f"The table ends after {rows:,} rows, so a page of {asked:,} rows and a smaller one look the same."
    )


def describe_virtual(answer: Answer, kind: object) -> Result:
    """Return what a large query of a virtual mapping brought; open for other types and for small tables."""
    if kind != "Virtual":
        return VIRTUAL_ROWS.leave_open("The mapping is not virtual.")
    if not answer.is_ok:
        return VIRTUAL_ROWS.settle(f"refused: {answer.refusal}", answer.text)
    rows = len(answer.rows)
    if rows < 1_000:
        return VIRTUAL_ROWS.leave_open(f"The table ends after {rows:,} rows.")
    if rows > 1_000:
        return VIRTUAL_ROWS.settle("all rows", f"{rows:,} rows at once")
    return VIRTUAL_ROWS.settle(f"1000 and {'a' if answer.next_link else 'no'} link to more")


def describe_link(link: str) -> str:
    """Return what the link to the next page carries, without its cookie."""
    parts = dict(part.partition("=")[::2] for part in urlsplit(link).query.split("&"))
    cookie = unquote(unquote(parts.get("$skiptoken", parts.get("%24skiptoken", ""))))
    if not cookie:
        return f"no $skiptoken, but {', '.join(sorted(parts))}"
    kind = next((name for name, mark in _COOKIES.items() if mark in cookie), "of another form")
    return f"$skiptoken, {kind}"


_COOKIES = {
    "with a continuation of Cosmos DB": '"token"',
    "with the paging cookie of FetchXML and ids of rows": "last=",
    "with the paging cookie of FetchXML": "pagingcookie",
}

_COUNTS = {"exact": "exact", "5000 although there are more": "capped", "refused": "400"}

SLASH_COUNT = Point(
    "count-of-a-table",
    "2.3",
    "What does /$count return?",
    "elastic_count",
    _COUNTS,
)
INLINE_COUNT = Point(
    "count-beside-rows",
    "2.3",
    "What does $count=true return?",
    "elastic_count",
    _COUNTS,
)
AGGREGATE = Point("aggregate", "2.3", "What does an aggregate count return?")
GROUPS = Point(
    "grouped-counts",
    "2.3",
    "Are all groups of a grouped count returned?",
    "elastic_groups",
    {"cut at 500": "cut", "all of them": "next"},
)
TOTAL = Point(
    "total-record-count",
    "2.3",
    "What does RetrieveTotalRecordCount return?",
    "record_count_refusal",
    {"refused as a virtual entity": "virtual", "refused": "method"},
)


@probe("P12", "Counts", (SLASH_COUNT, INLINE_COUNT, AGGREGATE, GROUPS, TOTAL))
async def ask_counts(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    pages = await ask.pages(MAPPING_SET + odata.query(select=IDENTIFIER), MAX_READ)
    read, is_all = sum(len(page.rows) for page in pages), pages[-1].next_link is None
    slash = await ask.get(f"{MAPPING_SET}/$count")
    inline = await ask.get(MAPPING_SET + odata.query(select=MAPPING_KEY, count="true", top=1))
    total = await ask.get(
        f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={quote(json.dumps([MAPPING_TABLE]), safe='')}"
    )
    aggregate = await ask.get(f"{MAPPING_SET}?$apply=aggregate($count as rows)")
    grouped = await ask.pages(f"{MAPPING_SET}?$apply=groupby(({IDENTIFIER}),aggregate($count as rows))", MAX_READ)
    return (
        describe_count(SLASH_COUNT, slash, slash.body, read, is_all=is_all),
        describe_count(INLINE_COUNT, inline, _counted(inline), read, is_all=is_all),
        describe_count(AGGREGATE, aggregate, _first(aggregate, "rows"), read, is_all=is_all),
        describe_groups(grouped, read),
        TOTAL.settle(describe_total(total), total.text),
    )


def _counted(answer: Answer) -> Any:
    return answer.body.get("@odata.count") if isinstance(answer.body, dict) else None


def _first(answer: Answer, name: str) -> Any:
    return answer.rows[0].get(name) if answer.rows else None


def describe_count(point: Point, answer: Answer, number: Any, read: int, *, is_all: bool) -> Result:
    """Return whether a count is right; `read` rows were read, which is the whole table when `is_all`."""
    if not answer.is_ok:
        return point.settle(f"refused: {answer.refusal}", answer.text)
    count = int(number) if str(number).isdecimal() else None
    if count is None:
        return point.settle("no number")
    if count == 5_000 and read > 5_000:
        return point.settle("5000 although there are more")
    if is_all and read <= 5_000 and count == read:
        return point.leave_open(f"The count of {read:,} rows is exact, but only above 5,000 rows a limit would show.")
    return point.settle("exact" if is_all and count == read else "above the rows read" if count >= read else "too low")


def describe_groups(pages: Sequence[Answer], read: int) -> Result:
    """Return whether a count by group brought every group."""
    refused = next((page for page in pages if not page.is_ok), None)
    if refused:
        return GROUPS.settle(f"refused: {refused.refusal}", refused.text)
    groups = sum(len(page.rows) for page in pages)
    if read <= 500:
        return GROUPS.leave_open(f"There are only {read:,} groups, and a limit would show above 500.")
    if groups >= read:
        return GROUPS.settle("all of them", f"{groups:,} groups in {len(pages)} pages")
    return GROUPS.settle(f"cut at {groups}", "and no link to the rest")


def describe_total(answer: Answer) -> str:
    """Return whether the number of rows of the table comes, and whether a refusal calls the table virtual."""
    if answer.is_ok:
        return "a number"
    return f"refused{' as a virtual entity' if 'virtual entity' in answer.text.lower() else ''}: {answer.refusal}"


SINCE_VERSION = Point("filter-by-version", "2.3", "Does a filter by versionnumber find what changed?")
SINCE_TIME = Point("filter-by-time", "2.3", "Does a filter by modifiedon find what changed?")
TRACK = Point("track-changes", "2.3", "What becomes of odata.track-changes?")


@probe("P13", "Changes since a moment", (SINCE_VERSION, SINCE_TIME, TRACK))
async def ask_changes(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    version, stamp = scene.mappings[0].get("versionnumber"), scene.mappings[0].get("modifiedon")
    tracked = await ask.pages(MAPPING_SET + odata.query(select=IDENTIFIER), MAX_READ, prefer="odata.track-changes")
    return (
        describe_since(SINCE_VERSION, await _since(ask, "versionnumber", "gt", version), "versionnumber", version),
        describe_since(SINCE_TIME, await _since(ask, "modifiedon", "ge", stamp), "modifiedon", stamp),
        TRACK.settle(describe_tracking(tracked), tracked[-1].text),
    )


async def _since(ask: Asker, column: str, operator: str, value: Any) -> Answer | None:
    if value is None:
        return None
    bound = value if column == "modifiedon" else int(value) - 1
    return await ask.get(
        MAPPING_SET + odata.query(select=f"{MAPPING_KEY},{column}", filter=f"{column} {operator} {bound}", top=50)
    )


def describe_since(point: Point, answer: Answer | None, column: str, value: Any) -> Result:
    """Return whether every row that came is as new as asked for, and any came."""
    if answer is None:
        return point.leave_open(f"Rows show no {column}.")
    if not answer.is_ok:
        return point.settle(f"refused: {answer.refusal}", answer.text)
    fits = all(_ordered(row.get(column)) >= _ordered(value) for row in answer.rows)
    return point.settle("works" if answer.rows and fits else "no row came" if fits else "older rows came")


def _ordered(value: Any) -> tuple[datetime, int]:
    origin = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    return (datetime.fromisoformat(value), 0) if isinstance(value, str) else (origin, int(value or 0))


def describe_tracking(pages: Sequence[Answer]) -> str:
    """Return whether tracking changes brings a link for later, or how it was refused."""
    refused = next((page for page in pages if not page.is_ok), None)
    if refused:
        return f"refused: {refused.refusal}"
    if any("@odata.deltaLink" in page.body for page in pages):
        return "a delta link"
    is_taken = "track-changes" in pages[0].headers.get("preference-applied", "")
    return "accepted, the end of the table was not reached" if is_taken and pages[-1].next_link else "ignored"


PROBES = (ask_pages, ask_counts, ask_changes)
