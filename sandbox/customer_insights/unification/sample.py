"""Picks, seeded, the rows and profiles that a unification touches, in one pass over each table."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.customer_insights.unification.request import UnificationRequest
from sandbox.database import Database
from sandbox.database import unification as sql
from sandbox.database.unification import MappingRow, Profile

_TARGETS: int = 1000
"""Profiles that moved rows may go to: enough to look random, few enough to remember."""
_SPLIT_CANDIDATES: int = 5
"""Candidates for each split: only profiles with more than one row can be split."""


@dataclass(slots=True)
class Sample:
    """What chance picked. No profile is in two groups; no row is moved and dropped."""

    moved: list[MappingRow] = field(default_factory=list)
    dropped: list[MappingRow] = field(default_factory=list)
    recreated: list[MappingRow] = field(default_factory=list)
    taken_out: list[MappingRow] = field(default_factory=list)
    merged: list[tuple[Profile, Profile]] = field(default_factory=list)
    """Profiles that vanish, each with the one that takes its rows."""
    split: list[Profile] = field(default_factory=list)
    deleted: list[Profile] = field(default_factory=list)
    renewed: list[Profile] = field(default_factory=list)
    """Profiles that get another id."""
    targets: list[Profile] = field(default_factory=list)
    rows_of: dict[str, list[MappingRow]] = field(default_factory=dict)
    """All rows of the profiles that vanish or may be split, by CustomerId."""
    data_sources: dict[str, str] = field(default_factory=dict)
    """A data source of each table that the mapping names."""
    rows: int = 0


def take_sample(database: Database, request: UnificationRequest) -> Sample:
    """Return what a request touches in the present state."""
    chance = random.Random(request.seed)
    sample = Sample()
    _pick_profiles(database, request, chance, sample)
    _pick_rows(database, request, chance, sample)
    splittable = [p for p in sample.split if len(sample.rows_of.get(p.customer_id, ())) > 1]
    sample.split = splittable[: round(request.split * sql.count_profiles(database))]
    return sample


def _pick_profiles(database: Database, request: UnificationRequest, chance: random.Random, sample: Sample) -> None:
    total = sql.count_profiles(database)
    merges, splits, deletes, renewals = (
        round(share * total) for share in (request.merge, request.split, request.vanish, request.renew)
    )
    sizes = (
        merges,
        merges,
        deletes,
        renewals,
        _TARGETS if request.move or request.add else 0,
        splits * _SPLIT_CANDIDATES,
    )
    picked = chance.sample(range(total), min(total, sum(sizes)))
    found = dict(_at(sql.profiles(database), set(picked)))
    order = [found[index] for index in picked]
    gone, stay, sample.deleted, sample.renewed, sample.targets, sample.split = _cut(order, sizes)
    sample.merged = list(zip(gone, stay, strict=False))


def _pick_rows(database: Database, request: UnificationRequest, chance: random.Random, sample: Sample) -> None:
    sample.rows = sql.count_mapping(database)
    sizes = tuple(round(share * sample.rows) for share in (request.move, request.drop, request.recreate))
    picked = chance.sample(range(sample.rows), min(sample.rows, sum(sizes)))
    lists = (sample.moved, sample.dropped, sample.recreated)
    group = {index: rows for rows, indexes in zip(lists, _cut(picked, sizes), strict=True) for index in indexes}
    followed = {p.customer_id for p in (*sample.split, *(gone for gone, _ in sample.merged))}
    rows_of: defaultdict[str, list[MappingRow]] = defaultdict(list)
    for index, row in enumerate(sql.mapping_rows(database)):
        sample.data_sources.setdefault(row.table, row.data_source)
        if index in group:
            group[index].append(row)
        if row.customer_id in followed:
            rows_of[row.customer_id].append(row)
        if row.table in request.take_out:
            sample.taken_out.append(row)
    sample.rows_of = dict(rows_of)


def _at[T](items: Iterable[T], indexes: set[int]) -> Iterator[tuple[int, T]]:
    return ((index, item) for index, item in enumerate(items) if index in indexes)


def _cut[T](items: list[T], sizes: tuple[int, ...]) -> list[list[T]]:
    """Return consecutive pieces; when there are too few items the last pieces are short."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(items[start : start + size])
        start += size
    return pieces
