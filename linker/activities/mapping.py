"""Reading the mapping of one page: keys normalised, duplicates resolved by rule, what is no key set aside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from linker.core.keys import is_canonical, row_key
from linker.dataverse import Dataverse
from linker.dataverse.shapes import customer_in
from linker.errors import LinkerError
from linker.model import CustomerId, KeyRange, RowKey, Target
from linker.odata import MappingColumns
from linker.pages import SPLIT_ROWS

MOST_SHOWN = 200  # characters of what stands in the place of a key; a guid in braces has 38


@dataclass(frozen=True, slots=True)
class MappingRows:
    """Mapping rows of one range: the newest wish per row, what was seen twice, and what is no key at all."""

    wanted: Mapping[RowKey, CustomerId]
    read: int
    duplicates: int = 0
    invalid: tuple[str, ...] = ()
    conflicts: tuple[RowKey, ...] = ()  # claimed for different customers
    texts: Mapping[RowKey, set[str]] = field(
        default_factory=dict
    )  # all spellings of the keys with one that is not canonical


class PageTooLargeError(LinkerError):
    """The page outgrew its requests and has to be split before it is worked on."""


async def read_mapping(dataverse: Dataverse, target: Target, keys: KeyRange) -> MappingRows:
    """Return what the mapping wants for the rows of a range, over all data sources that feed the table.

    Raises PageTooLargeError above SPLIT_ROWS rows; memory holds no more than that.
    """
    columns = MappingColumns(target.name_column)
    rows: list[dict[str, Any]] = []
    for source in sorted(target.sources):
        async for part in dataverse.mapping(columns, source, keys):
            rows += part
            if len(rows) > SPLIT_ROWS:
                raise PageTooLargeError(f"A page holds more than {SPLIT_ROWS:,} mapping rows.")
    return resolve(rows, columns)


def resolve(rows: Sequence[Mapping[str, Any]], columns: MappingColumns) -> MappingRows:
    """Return one wish per row. Of several wishes the lowest CustomerId wins: a rule that gives the same answer in every
    run, whatever the order of the rows; such rows are counted as conflicts.
    """
    wanted: dict[RowKey, CustomerId] = {}
    invalid: list[str] = []
    conflicts: set[RowKey] = set()
    odd: set[RowKey] = set()
    read = duplicates = 0
    for row in rows:
        read += 1
        text = _text(row.get(columns.key))
        key, customer = row_key(text), customer_in(row.get(columns.customer))
        if key is None or customer is None:
            invalid.append(text)
            continue
        if not is_canonical(text):
            odd.add(key)
        before = wanted.get(key)
        if before is not None:
            duplicates += 1
            if before != customer:
                conflicts.add(key)
        if before is None or customer < before:
            wanted[key] = customer
    return MappingRows(wanted, read, duplicates, tuple(invalid), tuple(conflicts), _texts(rows, columns, odd))


def _texts(
    rows: Iterable[Mapping[str, Any]], columns: MappingColumns, keys: Collection[RowKey]
) -> dict[RowKey, set[str]]:
    texts: dict[RowKey, set[str]] = defaultdict(set)
    for text in (_text(row.get(columns.key)) for row in rows) if keys else ():
        if (key := row_key(text)) in keys and key is not None:
            texts[key].add(text)
    return texts


def _text(value: object) -> str:
    """Return what stands in the place of a key as it can be shown and stored: of bounded length, in whole characters."""
    return str("" if value is None else value)[:MOST_SHOWN].encode(errors="replace").decode()
