"""What the linker asks of Dataverse about rows: the mapping, profiles, links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from itertools import batched
from typing import Any

from linker.adapters.dataverse import response_models
from linker.adapters.dataverse.http import PAGE_SIZE
from linker.adapters.dataverse.response_models import Fields, LiveLink
from linker.adapters.dataverse.web_api import WebApi
from linker.core import odata
from linker.core.errors import DataverseError
from linker.core.keys import key_text, key_texts, row_key, spellings
from linker.core.linking.mapping_scan import KeySpan
from linker.core.linking.shards import ClaimRow, fold_customer
from linker.core.model import CustomerId, Link, RowKey, Source, Target
from linker.core.names import CUSTOMER_COLUMN, MAPPING_SET, PROFILE_KEY, PROFILE_SET
from linker.core.odata import WITH_LABELS, MappingColumns

GUID_DIGITS = 32


class Dataverse(WebApi):
    """Reads and writes of one activity about rows. Every method may raise what Connection.send raises."""

    # ---- the mapping ----

    async def next_source(self, columns: MappingColumns, found: Iterable[Source]) -> Source | None:
        """Return one source that is not among those found so far, None when there is none left.

        Raises ConfigurationError when a name is none that could be asked for.
        """
        options = odata.query(select=f"{columns.data_source},{columns.table}", filter=columns.outside(found), top=1)
        rows = response_models.page_in(await self.get(MAPPING_SET + options))["value"]
        return response_models.source_in(rows[0].get(columns.data_source), rows[0].get(columns.table)) if rows else None

    def stream_path(
        self, columns: MappingColumns, target: Target, source: Source, span: KeySpan, since: str = ""
    ) -> str:
        """Return the query for the mapping rows of one stream: see MappingColumns.in_stream. The rows come in any order."""
        select = _claim_columns(columns, target, named=_is_doubtful(source))
        return MAPPING_SET + odata.query(select=select, filter=columns.in_stream(source, span, since))

    async def mapping_page(self, columns: MappingColumns, source: Source, link: str) -> tuple[list[ClaimRow], str]:
        """Return the mapping rows of one response and the link to the next one, empty at the end.

        `link` is the query of a stream or a link that Dataverse sent. The server decides how many rows come.
        """
        page = response_models.page_in(await self.get(link, prefer=PAGE_SIZE))
        found = page["value"]
        if _is_doubtful(source):
            found = [row for row in found if _is_of(row, columns, source)]
        return [response_models.claim_row(row, columns) for row in found], page.get("@odata.nextLink") or ""

    async def count(self, entity_set: str, expression: str) -> int:
        """Return how many rows a filter finds; 5,000 means that many or more (docs/reference/dataverse.md 5.3)."""
        path = f"{entity_set}/$count" + odata.query(filter=expression)
        answer = await self.connection.send(self.meter, "GET", path)
        return response_models.check_model(int, answer.text.lstrip("\ufeff"))

    async def keys_in_span(
        self, columns: MappingColumns, target: Target, source: Source, span: KeySpan, keys: Sequence[RowKey]
    ) -> list[RowKey]:
        """Return which of a few keys a stream of this span gives; a key that it gives twice stands there twice."""
        texts = [text for key in keys for text in spell_key(key)]
        expressions = odata.any_of(columns.key, texts, has_in=target.has_in)
        stream = columns.in_stream(source, span)
        queries = [MAPPING_SET + odata.query(select=columns.key, filter=f"({one}) and {stream}") for one in expressions]
        rows = [row for answer in await self.read_all(queries) for row in answer]
        return [key for row in rows if (key := row_key(str(row.get(columns.key) or ""))) is not None]

    async def claims_of(
        self, columns: MappingColumns, target: Target, sources: Sequence[Source], keys: Mapping[RowKey, Collection[str]]
    ) -> list[ClaimRow]:
        """Return every mapping row of these sources that names one of the keys, read again now.

        Nothing proves that Dataverse ignores case in the mapping, so each key is asked for in the usual spellings, and in those
        under which it was seen (the values of `keys`).
        """
        texts = sorted({text for key, seen in keys.items() for text in (*spell_key(key), *seen)})
        select = _claim_columns(columns, target, named=True)
        queries = [
            MAPPING_SET + odata.query(select=select, filter=expression)
            for expression in odata.any_of(columns.key, texts, has_in=target.has_in)
        ]
        rows = [row for answer in await self.read_all(queries) for row in answer]
        found = [
            response_models.claim_row(row, columns)
            for row in rows
            if any(_is_of(row, columns, source) for source in sources)
        ]
        return [row for row in found if row.key in keys]

    async def user(self) -> str:
        """Return the id of the Dataverse user behind the app's token (docs/reference/dataverse.md 11)."""
        return response_models.guid_in(await self.one("WhoAmI", Fields), "UserId")

    # ---- profiles and links ----

    async def profiles(self, customers: Iterable[str], target: Target) -> dict[CustomerId, tuple[Link, ...]]:
        """Return the profiles of each CustomerId, more than one when they cannot be told apart.

        A CustomerId is asked for exactly as the mapping stores it. Where that finds nothing, other spellings follow: nothing
        proves that comparisons ignore case. A profile with exactly the stored text comes before others.
        """
        stored = set(customers)
        found = await self._profiles_of(sorted(stored), target)
        folded = {text: fold_customer(text) for text in stored}
        missing = [text for text, customer in folded.items() if customer not in found]
        if missing:
            spelled = sorted({other for text in missing for other in spell_customer(text)} - stored)
            others = await self._profiles_of(spelled, target)
            known = others | found
            for text in missing:
                forms = (folded[text], *sorted(map(fold_customer, spell_customer(text))))
                if rows := next((known[form] for form in forms if form in known), None):
                    found[folded[text]] = rows
        exact = {customer: text for text, customer in folded.items()}
        return {customer: _candidates(rows, exact[customer]) for customer, rows in found.items() if customer in exact}

    async def _profiles_of(self, texts: Sequence[str], target: Target) -> dict[CustomerId, dict[Link, str]]:
        """Return the profiles whose CustomerId is one of `texts`, with the CustomerId as each of them stores it."""
        select = f"{CUSTOMER_COLUMN},partitionid" if target.has_partitions else CUSTOMER_COLUMN
        queries = [
            PROFILE_SET + odata.query(select=select, filter=expression)
            for expression in odata.any_of(CUSTOMER_COLUMN, texts, has_in=target.has_in)
        ]
        found: dict[CustomerId, dict[Link, str]] = defaultdict(dict)
        rows = [row for answer in await self.read_all(queries) for row in answer]
        for customer, stored, link in response_models.profiles_in(rows):
            found[customer][link] = stored
        return found

    async def customers_of(self, profiles: Collection[str], target: Target) -> dict[str, str]:
        """Return the CustomerId of each profile that is visible, by profile id."""
        expressions = odata.any_guid(PROFILE_KEY, sorted(profiles), has_in=target.has_in)
        queries = [PROFILE_SET + odata.query(select=CUSTOMER_COLUMN, filter=one) for one in expressions]
        rows = [row for answer in await self.read_all(queries) for row in answer]
        guids = response_models.guids_in(rows, PROFILE_KEY)
        return {guid: str(row.get(CUSTOMER_COLUMN) or "") for guid, row in zip(guids, rows, strict=True)}

    async def links(self, target: Target, keys: Sequence[RowKey]) -> dict[RowKey, LiveLink]:
        """Return the live link of each row that exists. The profile is not read along: lists cannot join an elastic table."""
        columns, texts = _link_columns(target), key_texts(keys)
        queries = [
            target.entity_set + odata.query(select=columns, filter=odata.is_in(target.key, chunk))
            for chunk in batched(texts, odata.IN_VALUES)
        ]
        rows = [row for answer in await self.read_all(queries, prefer=WITH_LABELS) for row in answer]
        return response_models.links_in(rows, target)

    async def link(self, target: Target, key: RowKey) -> LiveLink:
        """Return the live link of one row by a single read, which shows a label wherever Dataverse has one."""
        path = f"{target.entity_set}({key_text(key)})" + odata.query(select=_link_columns(target))
        row = response_models.check_model(Fields, await self.get(path, prefer=WITH_LABELS))
        return response_models.link_in(row, target)

    async def finds_profile(self, link: Link) -> str | None:
        """Return the CustomerId of the profile that a lookup's value addresses, None when there is none."""
        path = odata.address(PROFILE_SET, PROFILE_KEY, link.profile, link.partition)[1:]
        try:
            row = await self.one(path + odata.query(select=CUSTOMER_COLUMN), Fields)
        except DataverseError as error:
            if error.status != 404:
                raise
            return None
        return str(row.get(CUSTOMER_COLUMN) or "")

    async def keys_by_link(self, target: Target, *, empty: bool) -> AsyncIterator[list[RowKey]]:
        """Yield the keys of rows whose link is empty, or is not, up to 5,000 at a time."""
        comparison = "eq" if empty else "ne"
        path = target.entity_set + odata.query(select=target.key, filter=f"_{target.lookup}_value {comparison} null")
        async for rows in self.rows(path):
            yield response_models.keys_in(rows, target.key)

    async def has_links(self, target: Target) -> bool:
        """Return whether any row has a link."""
        path = target.entity_set + odata.query(select=target.key, filter=f"_{target.lookup}_value ne null", top=1)
        return bool(response_models.page_in(await self.get(path))["value"])

    async def rows_with_link(self, target: Target) -> AsyncIterator[list[tuple[RowKey, bytes]]]:
        """Yield the rows that have a link: row key and the 16 bytes of the profile id, one response at a time."""
        value = f"_{target.lookup}_value"
        path = target.entity_set + odata.query(select=f"{target.key},{value}", filter=f"{value} ne null")
        async for rows in self.rows(path):
            keys, profiles = response_models.keys_in(rows, target.key), response_models.keys_in(rows, value)
            yield list(zip(keys, profiles, strict=True))

    async def profile_ids(self) -> AsyncIterator[list[bytes]]:
        """Yield the ids of all visible profiles, 16 bytes each, one response at a time."""
        async for rows in self.rows(PROFILE_SET + odata.query(select=PROFILE_KEY)):
            yield response_models.keys_in(rows, PROFILE_KEY)

    async def new_profiles(self, since: str, target: Target) -> AsyncIterator[dict[str, Link]]:
        """Yield the profiles that were created after a second: CustomerId as stored, and how a lookup addresses it.

        Elastic tables stamp whole seconds. A run believes the newest one only after it has rested for minutes, so all of its
        profiles were there.
        """
        select = f"{CUSTOMER_COLUMN},partitionid" if target.has_partitions else CUSTOMER_COLUMN
        async for rows in self.rows(PROFILE_SET + odata.query(select=select, filter=f"createdon gt {since}")):
            yield {stored: link for _, stored, link in response_models.profiles_in(rows)}

    async def rows_of_customers(
        self, columns: MappingColumns, target: Target, customers: Sequence[str]
    ) -> dict[RowKey, str]:
        """Return the source rows that the mapping names for these CustomerIds, each with its CustomerId as stored.

        Profile and mapping may write a CustomerId in different letter case, with or without hyphens, and nothing proves that
        comparisons ignore that. So each is asked for in all of these spellings.
        """
        texts = sorted({spelled for text in customers for spelled in (text, *spell_customer(text))})
        select = _claim_columns(columns, target, named=True)
        queries = [
            MAPPING_SET + odata.query(select=select, filter=expression)
            for expression in odata.any_of(columns.customer, texts, has_in=target.has_in)
        ]
        rows = [row for answer in await self.read_all(queries) for row in answer]
        ours = [row for row in rows if any(_is_of(row, columns, source) for source in target.sources)]
        found = [response_models.claim_row(row, columns) for row in ours]
        return {row.key: row.claim.stored for row in found if row.key is not None}

    async def write_links(self, target: Target, links: Mapping[RowKey, Link]) -> dict[RowKey, DataverseError]:
        """Set the link of each row; return the rows that were refused one by one.

        UpdateMultiple writes all rows or none, and then raises DataverseError. Where a table lacks it, single PATCH requests
        in a batch never create a row (If-Match: *).
        """
        return await (self._update_multiple(target, links) if target.bulk else self._patch_each(target, links))

    async def _update_multiple(self, target: Target, links: Mapping[RowKey, Link]) -> dict[RowKey, DataverseError]:
        key, bind = target.key, f"{target.navigation}@odata.bind"
        addresses = odata.addresses(PROFILE_SET, PROFILE_KEY, links.values())
        rows = [{key: row, bind: to} for row, to in zip(key_texts(links), addresses, strict=True)]
        await self.update_multiple(target.table, target.entity_set, rows)
        return {}

    async def _patch_each(self, target: Target, links: Mapping[RowKey, Link]) -> dict[RowKey, DataverseError]:
        bind = f"{target.navigation}@odata.bind"
        addresses = odata.addresses(PROFILE_SET, PROFILE_KEY, links.values())
        parts = {
            row: self.patch(target.entity_set, text, {bind: to}, etag="*")
            for row, text, to in zip(links, key_texts(links), addresses, strict=True)
        }
        return await self.write_parts(parts)

    async def clear_links(self, target: Target, etags: Mapping[RowKey, str]) -> dict[RowKey, DataverseError]:
        """Empty the link of each row that still has the given ETag; return the rows that were refused (412: it changed)."""
        bind = f"{target.navigation}@odata.bind"
        return await self.write_parts(
            {row: self.patch(target.entity_set, key_text(row), {bind: None}, etag) for row, etag in etags.items()}
        )


def spell_key(key: RowKey) -> tuple[str, ...]:
    """Return the usual spellings of a row key, in lower and upper case."""
    return tuple(dict.fromkeys(spelled for text in spellings(key) for spelled in (text, text.upper())))


def spell_customer(text: str) -> set[str]:
    """Return other spellings of a CustomerId: other cases, and with or without the dashes of a GUID."""
    plain = text.strip()
    key = row_key(plain) if len(plain) >= GUID_DIGITS else None
    forms = {plain} | ({key.hex(), key_text(key)} if key is not None else set())
    return {spelled for form in forms for spelled in (form, form.lower(), form.upper())}


def _candidates(rows: Mapping[Link, str], stored: str) -> tuple[Link, ...]:
    exact = [link for link, text in rows.items() if text == stored]
    return tuple(sorted(exact if len(exact) == 1 else rows))


def _claim_columns(columns: MappingColumns, target: Target, *, named: bool) -> str:
    """Return the mapping columns to read. `named`: also those that name the source."""
    source = (columns.data_source, columns.table) if named else ()
    profile = (f"_{columns.lookup}_value",) if target.names_profile else ()
    partition = (f"{columns.lookup}pid",) if target.names_profile and target.has_partitions else ()
    return ",".join((columns.key, columns.customer, *source, *profile, *partition))


def _is_doubtful(source: Source) -> bool:
    return odata.may_be_pattern(source.data_source + source.table)


def _link_columns(target: Target) -> str:
    return f"_{target.lookup}_value" + (f",{target.partition_column}" if target.partition_column else "")


def _is_of(row: Mapping[str, Any], columns: MappingColumns, source: Source) -> bool:
    """Return whether a mapping row is of a source: a filter may find rows of others as well (odata.may_be_pattern)."""
    pairs = ((row.get(columns.data_source), source.data_source), (row.get(columns.table), source.table))
    return all(found == wanted or str(found).casefold() == wanted.casefold() for found, wanted in pairs)
