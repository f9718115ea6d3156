"""`python -m bench.row_cost`: processor time that a first link takes for a row, by part, in one process without a network.

Answers are made beforehand, and the best of several times counts, so that what else runs on the machine matters little. Parts
of the SDK of Table Storage, of HTTP and of the durable runtime are left out; docs/performance.md has whole runs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import httpx

from linker.adapters.dataverse import Connection, Dataverse
from linker.core.keys import key_text
from linker.core.linking.mapping_scan import TableState, bucket_bits
from linker.core.linking.segments import Segment, SliceSegments
from linker.core.linking.shards import Claim, ClaimRow, Shard, all_shards, bits_for, decide_claims, hash_wish
from linker.core.model import Link, Source, Target
from linker.core.names import PROFILE_KEY
from linker.core.odata import IN_VALUES, LABEL, MappingColumns
from linker.core.ports import Properties
from linker.durable.activities.scan_mapping import FINE_BITS

ROWS, SHARD, TIMES = 60_000, 3_750, 5
SALT, CRM = b"s" * 32, Source("crm", "contact")
TARGET = Target(
    "contact", "contacts", "contactid", "new_Profile", sources=(CRM,), has_in=True, has_labels=True, has_partitions=True
)


@dataclass(slots=True)
class Prepared:
    """A connection that gives one answer."""

    extra_headers: Mapping[str, str] = field(default_factory=dict)
    answer: httpx.Response = field(default_factory=lambda: httpx.Response(204))

    async def send(self, *_: object, **__: object) -> httpx.Response:
        """Return the answer."""
        return self.answer

    def note_answer(self) -> None:
        """Note that a read was answered."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row to link."""

    key: bytes
    customer: str
    profile: str

    @property
    def claim(self) -> ClaimRow:
        """The mapping row as it is read."""
        return ClaimRow(self.key, Claim(self.customer), "", b"")


def main() -> None:
    """Print microseconds of processor time for a row, by part."""
    for part, microseconds in measure().items():
        print(f"{part}: {microseconds:.1f}")


def measure() -> dict[str, float]:
    """Return microseconds of processor time for a row, by part."""
    chance = Random(1)
    rows = [Row(chance.randbytes(16), chance.randbytes(16).hex(), key_text(chance.randbytes(16))) for _ in range(ROWS)]
    staged = _stage(rows)
    shard = rows[:SHARD]
    return {
        "read a mapping page": _best(_mapping_page(shard[:IN_VALUES]), IN_VALUES),
        "stage": _best(lambda: _stage(rows), ROWS),
        "read what was staged": _best(lambda: _read(*staged), ROWS),
        "find profiles": _best(_profiles(shard), SHARD),
        "read links, before and after the write": 2 * _best(_links(shard), SHARD),
        "write": _best(_write(shard), SHARD),
    }


def _best(do: Callable[[], object], rows: int) -> float:
    took = []
    for _ in range(TIMES):
        began = time.process_time()
        do()
        took.append(time.process_time() - began)
    return min(took) / rows * 1e6


def _stage(rows: Sequence[Row]) -> tuple[int, list[tuple[int, Properties]]]:
    """Return the bits of the buckets, and what is stored of each."""
    segments = SliceSegments(FINE_BITS)
    for claim in (row.claim for row in rows):
        segments.add(claim, hash_wish(claim.key or b"", claim.claim, SALT, names_profile=False))
    segments.coarsen(bucket_bits(TableState(), len(rows), streams=1, done=True))
    return segments.bits, [(bucket, properties) for bucket, _, properties in segments]


def _read(bits: int, stored: Sequence[tuple[int, Properties]]) -> None:
    for shard in all_shards(bits_for(ROWS)):
        decide_claims(row for segment in _segments(shard, bits, stored) for row, _ in segment.rows())


def _segments(shard: Shard, bits: int, stored: Sequence[tuple[int, Properties]]) -> list[Segment]:
    return [Segment.read(bits, properties) for bucket, properties in stored if bucket in shard.buckets(bits)]


def _asking(answer: Callable[[], httpx.Response], ask: Callable[[Dataverse], Any]) -> Callable[[], object]:
    connection, loop = Prepared(), asyncio.new_event_loop()
    dataverse = Dataverse(cast("Connection", connection))

    def do() -> object:
        connection.answer = answer()
        return loop.run_until_complete(ask(dataverse))

    return do


def _mapping_page(rows: Sequence[Row]) -> Callable[[], object]:
    columns = MappingColumns.of(TARGET)
    found = [{**_ETAG, columns.key: key_text(row.key), columns.customer: row.customer} for row in rows]
    answer = json.dumps({"value": found}).encode()
    return _asking(lambda: httpx.Response(200, content=answer), lambda one: one.mapping_page(columns, CRM, "x"))


def _profiles(rows: Sequence[Row]) -> Callable[[], object]:
    found = [
        {**_ETAG, "msdynci_customerid": row.customer, "partitionid": row.profile, PROFILE_KEY: row.profile}
        for row in rows
    ]
    customers = [row.customer for row in rows]
    return _asking(_batch(found), lambda one: one.profiles(customers, TARGET))


def _links(rows: Sequence[Row]) -> Callable[[], object]:
    value = f"_{TARGET.lookup}_value"
    found = [{**_ETAG, value: row.profile, value + LABEL: row.customer, TARGET.key: key_text(row.key)} for row in rows]
    keys = [row.key for row in rows]
    return _asking(_batch(found), lambda one: one.links(TARGET, keys))


def _write(rows: Sequence[Row]) -> Callable[[], object]:
    links = {row.key: Link(row.profile) for row in rows}
    return _asking(lambda: httpx.Response(204), lambda one: one.write_links(TARGET, links))


def _batch(found: Sequence[Mapping[str, object]]) -> Callable[[], httpx.Response]:
    pages = [found[start : start + IN_VALUES] for start in range(0, len(found), IN_VALUES)]
    head = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    content = "".join(f"{head}{json.dumps({'value': page})}\r\n" for page in pages) + "--b--"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    return lambda: httpx.Response(200, headers=headers, content=content.encode())


_ETAG = {"@odata.etag": 'W/"123456"'}


if __name__ == "__main__":
    main()
