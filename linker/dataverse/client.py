"""What the linker asks of Dataverse about rows: the mapping, profiles, links. One object per activity; it meters itself."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

from linker import odata, telemetry
from linker.core.keys import key_text, row_key, spellings
from linker.dataverse import batch, shapes
from linker.dataverse.http import API, PAGE_SIZE, THROTTLED_WAIT_S, Connection, Meter, error_in
from linker.dataverse.shapes import Fields, LiveLink, Page
from linker.errors import DataverseError, ThrottledError, TransientError
from linker.model import PROFILE_TABLE, CustomerId, KeyRange, RowKey, Source, Target
from linker.odata import MappingColumns
from linker.transport import json_of
from linker.verdict import Answer, judge

MAPPING_SET = "msdynci_alternatekeys"
PROFILE_SET, PROFILE_KEY = "msdynci_customerprofiles", f"{PROFILE_TABLE}id"
# No custom step or workflow runs, and no flow is triggered (dataverse.md 10). Needs prvBypassCustomBusinessLogic.
BYPASS: Final = {
    "MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync",
    "MSCRM.SuppressCallbackRegistrationExpanderJob": "true",
}


class Dataverse:
    """Reads and writes of one activity. Every method may raise what Connection.send raises.

    `write_headers` go with every write of rows and with no read: BYPASS, or nothing.
    """

    def __init__(
        self, connection: Connection, meter: Meter | None = None, write_headers: Mapping[str, str] | None = None
    ) -> None:
        self.connection = connection
        self.meter = meter or Meter()
        self.write_headers = write_headers or {}

    async def get(self, path: str, *, prefer: str = "", strong: bool = False) -> Any:
        """Return the JSON at a path. `strong` waits for metadata that another server may not know yet (dataverse.md 8.2)."""
        headers = {"Prefer": prefer} if prefer else {}
        headers |= {"Consistency": "Strong"} if strong else {}
        return json_of(await self.connection.send(self.meter, "GET", path, headers=headers))

    async def first[T](self, path: str, kind: type[T], *, strong: bool = False) -> list[T]:
        """Return the rows of one response, each as the TypedDict `kind` describes it."""
        return shapes.rows_in(kind, await self.get(path, strong=strong))

    async def one[T](self, path: str, kind: type[T]) -> T:
        """Return the object at a path as the TypedDict `kind` describes it."""
        return shapes.read(kind, await self.get(path))

    async def rows(self, path: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the rows of a query, one response of up to 5,000 at a time."""
        link: str | None = path
        seen = set[str]()
        while link:
            if link in seen:
                raise TransientError("Dataverse sent a link to the next rows twice, so their end would never come.")
            seen.add(link)
            page = shapes.checked(Page, await self.get(link, prefer=PAGE_SIZE))
            yield page["value"]
            link = page.get("@odata.nextLink")

    # ---- the mapping ----

    async def next_source(self, columns: MappingColumns, found: Iterable[Source]) -> Source | None:
        """Return one source that is not among those found so far, None when there is none left.

        Raises ConfigurationError when a name is none that could be asked for.
        """
        options = odata.query(select=f"{columns.data_source},{columns.table}", filter=columns.outside(found), top=1)
        rows = shapes.checked(Page, await self.get(MAPPING_SET + options))["value"]
        return shapes.source_in(rows[0].get(columns.data_source), rows[0].get(columns.table)) if rows else None

    async def mapping(
        self, columns: MappingColumns, source: Source, keys: KeyRange
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the mapping rows of one source within a range of key texts, up to 5,000 at a time."""
        doubtful = odata.may_be_pattern(source.data_source + source.table)
        select = f"{columns.key},{columns.customer}"
        select += f",{columns.data_source},{columns.table}" if doubtful else ""
        path = MAPPING_SET + odata.query(select=select, filter=columns.in_range(source, keys))
        async for rows in self.rows(path):
            yield [row for row in rows if _is_of(row, columns, source)] if doubtful else rows

    async def count_mapping(self, columns: MappingColumns, source: Source, keys: KeyRange) -> int:
        """Return how many mapping rows of a source lie in a range; 5,000 means that many or more (dataverse.md 5.3)."""
        return await self.count(MAPPING_SET, columns.in_range(source, keys))

    async def count(self, entity_set: str, expression: str) -> int:
        """Return how many rows a filter finds; 5,000 means that many or more (dataverse.md 5.3)."""
        path = f"{entity_set}/$count" + odata.query(filter=expression)
        answer = await self.connection.send(self.meter, "GET", path)
        return shapes.checked(int, answer.text.lstrip("\ufeff"))

    async def spellings(
        self, columns: MappingColumns, sources: Sequence[Source], keys: Sequence[RowKey]
    ) -> dict[RowKey, dict[str, CustomerId]]:
        """Return each spelling by which any of the sources names a key, and its customer; asked anew. Keys without one lack."""
        tables = {source.table.casefold() for source in sources}
        texts = [text for key in keys for text in spellings(key)]
        select = f"{columns.key},{columns.customer},{columns.table}"
        queries = [
            MAPPING_SET + odata.query(select=select, filter=odata.is_in(columns.key, chunk))
            for chunk in odata.chunks(texts)
        ]
        found: dict[RowKey, dict[str, CustomerId]] = defaultdict(dict)
        for row in [row for answer in await self.read_all(queries) for row in answer]:
            text, of_table = str(row.get(columns.key)), str(row.get(columns.table)).casefold() in tables
            if of_table and (key := row_key(text)) is not None:
                found[key][text] = shapes.customer_in(row.get(columns.customer)) or ""
        return found

    async def still_mapped(
        self, columns: MappingColumns, sources: Sequence[Source], keys: Sequence[RowKey]
    ) -> set[RowKey]:
        """Return which keys any of the sources still maps, asked anew and in every spelling."""
        return set(await self.spellings(columns, sources, keys))

    async def user(self) -> str:
        """Return the id of the Dataverse user behind the app's token (dataverse.md 11)."""
        return shapes.guid_in(await self.one("WhoAmI", Fields), "UserId")

    # ---- profiles and links ----

    async def profiles(self, customers: Iterable[CustomerId]) -> dict[CustomerId, str]:
        """Return the profile id of each CustomerId that has a profile. Of two profiles with one CustomerId the lower id."""
        queries = [
            PROFILE_SET + odata.query(select="msdynci_customerid", filter=odata.is_in("msdynci_customerid", chunk))
            for chunk in odata.chunks(sorted(set(customers)))
        ]
        found: dict[CustomerId, str] = {}
        for rows in await self.read_all(queries):
            for row in rows:
                customer, profile = shapes.customer_in(row.get("msdynci_customerid")), shapes.guid_in(row, PROFILE_KEY)
                if customer is not None:
                    found[customer] = min(profile, found.get(customer, profile))
        return found

    async def links(self, target: Target, column: str, keys: Sequence[RowKey]) -> dict[RowKey, LiveLink]:
        """Return the live link of each row that exists, with the CustomerId of its profile."""
        expand = f"{target.navigation}($select=msdynci_customerid)"
        queries = [
            target.entity_set
            + odata.query(
                select=f"_{column}_value", expand=expand, filter=odata.is_in(target.key, map(key_text, chunk))
            )
            for chunk in odata.chunks(keys)
        ]
        rows = [row for answer in await self.read_all(queries) for row in answer]
        return {shapes.key_in(row, target.key): shapes.link_in(row, target, column) for row in rows}

    async def keys_by_link(self, target: Target, column: str, *, empty: bool) -> AsyncIterator[list[RowKey]]:
        """Yield the keys of rows whose link is empty, or is not, up to 5,000 at a time."""
        comparison = "eq" if empty else "ne"
        path = target.entity_set + odata.query(select=target.key, filter=f"_{column}_value {comparison} null")
        async for rows in self.rows(path):
            yield [shapes.key_in(row, target.key) for row in rows]

    async def write_links(self, target: Target, links: Mapping[RowKey, str]) -> dict[RowKey, DataverseError]:
        """Set the link of each row to a profile id; return the rows that were refused one by one.

        UpdateMultiple writes all rows or none, and then raises DataverseError. Where a table lacks it, single PATCH requests
        in a batch never create a row (If-Match: *).
        """
        started = time.monotonic()
        try:
            return await (self._update_multiple(target, links) if target.bulk else self._patch_each(target, links))
        finally:
            self.meter.wrote(len(links), time.monotonic() - started)

    async def _update_multiple(self, target: Target, links: Mapping[RowKey, str]) -> dict[RowKey, DataverseError]:
        key, bind = target.key, f"{target.navigation}@odata.bind"
        rows = [{key: key_text(row), bind: f"/{PROFILE_SET}({profile})"} for row, profile in links.items()]
        await self.update_multiple(target.table, target.entity_set, rows)
        return {}

    async def _patch_each(self, target: Target, links: Mapping[RowKey, str]) -> dict[RowKey, DataverseError]:
        bind = f"{target.navigation}@odata.bind"
        parts = {
            row: self.patch(target.entity_set, key_text(row), {bind: f"/{PROFILE_SET}({profile})"}, etag="*")
            for row, profile in links.items()
        }
        return await self.write_parts(parts)

    async def clear_links(self, target: Target, etags: Mapping[RowKey, str]) -> dict[RowKey, DataverseError]:
        """Empty the link of each row that still has the given ETag; return the rows that were refused (412: it changed)."""
        bind = f"{target.navigation}@odata.bind"
        return await self.write_parts(
            {row: self.patch(target.entity_set, key_text(row), {bind: None}, etag) for row, etag in etags.items()}
        )

    # ---- shapes of writes, each with the write headers ----

    async def update_multiple(self, table: str, entity_set: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Update rows that carry their key, all or none; never creates one (dataverse.md 2)."""
        targets = [{"@odata.type": f"Microsoft.Dynamics.CRM.{table}", **row} for row in rows]
        body = json.dumps({"Targets": targets}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **self.write_headers}
        path = f"{entity_set}/Microsoft.Dynamics.CRM.UpdateMultiple"
        await self.connection.send(self.meter, "POST", path, body=body, headers=headers)

    def patch(self, entity_set: str, key: str, body: Mapping[str, object], etag: str) -> batch.Part:
        """Return the update of one row that exists and has this ETag ("*": any), as a part of a batch."""
        headers = {"If-Match": etag, **self.connection.extra_headers, **self.write_headers}
        return batch.Part("PATCH", f"{API}{entity_set}({key})", json.dumps(body), headers)

    async def write_parts[K](self, parts: Mapping[K, batch.Part]) -> dict[K, DataverseError]:
        """Send single writes in batches; return those that were refused."""
        refused: dict[K, DataverseError] = {}
        for keys in odata.chunks(list(parts), 100):
            answers = await self._exchange([parts[key] for key in keys])
            for key, answer in zip(keys, answers, strict=True):
                if answer.status >= 300:
                    error = self._refusal(answer)
                    if not isinstance(error, DataverseError):
                        raise error
                    refused[key] = error
        return refused

    # ---- batches ----

    async def read_all(self, paths: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the rows of each query, asked in one batch and followed to their last page."""
        found: list[list[dict[str, Any]]] = []
        for group in odata.chunks(
            [batch.Part("GET", API + path, headers=self.connection.extra_headers) for path in paths], 50
        ):
            for answer in await self._exchange(group, reads=True):
                if answer.status != 200:
                    raise self._refusal(answer)
                page = shapes.checked(Page, answer.body)
                rows = page["value"]
                if link := page.get("@odata.nextLink"):
                    rows += [row async for more in self.rows(link) for row in more]
                found.append(rows)
        return found

    async def _exchange(self, parts: Sequence[batch.Part], *, reads: bool = False) -> list[batch.PartAnswer]:
        headers = {"Content-Type": batch.CONTENT_TYPE, "Prefer": "odata.continue-on-error"}
        body = batch.build(parts)
        answer = await self.connection.send(self.meter, "POST", "$batch", body=body, headers=headers, reads=reads)
        return batch.parse(answer.headers.get("Content-Type", ""), answer.content, len(parts))

    def _refusal(self, answer: batch.PartAnswer) -> Exception:
        code, text = error_in(answer.body) or ("", "")
        match judge(answer.status, code, text):
            case Answer.WAIT:
                self.meter.throttled += 1
                telemetry.throttled(THROTTLED_WAIT_S)
                return ThrottledError(f"Dataverse asked for a pause: {text}", wait_s=THROTTLED_WAIT_S)
            case Answer.RETRY:
                return TransientError(f"Dataverse answered {answer.status} {code}: {text}")
            case _:
                return DataverseError(answer.status, code, text)


def _is_of(row: Mapping[str, Any], columns: MappingColumns, source: Source) -> bool:
    pairs = ((row.get(columns.data_source), source.data_source), (row.get(columns.table), source.table))
    return all(str(found).casefold() == wanted.casefold() for found, wanted in pairs)
