"""Turns what chance picked into changes of rows. Nothing is written here; each mapping row changes at most once."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle

from sandbox.customer_insights.unification.changes import RowChange
from sandbox.customer_insights.unification.measured import with_measures
from sandbox.customer_insights.unification.request import UnificationRequest
from sandbox.customer_insights.unification.sample import Sample, take_sample
from sandbox.data.generator import digest, guid, make_person, mapping_row, profile_row
from sandbox.database import Database, scan
from sandbox.database import unification as sql
from sandbox.database.unification import MappingRow, Profile
from sandbox.database.values import ColumnValueError, Row
from sandbox.schema.definition import SYSTEM_COLUMNS
from sandbox.schema.insights_tables import MAPPING, PROFILES

_SYSTEM = frozenset(column.logical_name for column in SYSTEM_COLUMNS)


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in an order that never names a profile too early, and what they amount to.

    `deleted` are the rows of the profiles that vanish by themselves, so that they can be brought back.
    """

    changes: tuple[RowChange, ...]
    counts: dict[str, int]
    deleted: tuple[Row, ...] = ()


def plan_restore(database: Database, name: str) -> Plan:
    """Return the changes that put mapping and profiles back to a snapshot."""
    back = {table: list(sql.rows_to_put_back(database, name, table)) for table in (PROFILES, MAPPING)}
    away = {table: list(sql.rows_to_remove(database, name, table)) for table in (MAPPING, PROFILES)}
    changes = [
        *(RowChange("insert", table, row) for table, rows in back.items() for row in rows),
        *(RowChange("delete", table, row) for table, rows in away.items() for row in rows),
    ]
    counts = {"restoredRows": len(back[MAPPING]), "removedRows": len(away[MAPPING])}
    return Plan(with_measures(database, changes), counts)


def plan_unification(database: Database, request: UnificationRequest, stash: list[Row]) -> Plan:
    """Return the changes of a request on the present state; `stash` holds the profiles deleted earlier."""
    maker = _Maker(database, request.seed, database.next_version())
    sample = take_sample(database, request)
    assigned = _assign(sample)
    parts = {
        "profilesBroughtBack": list(maker.brought_back(stash, request.bring_back)),
        "split": list(maker.split(sample, assigned)),
        "added": maker.added(sample, request.add),
        "merged": [_remember(gone, stays) for gone, stays in sample.merged],
        "customerIdsChanged": list(_moves(sample, assigned)),
        "dropped": [_unmap(row) for row in sample.dropped],
        "takenOut": [_unmap(row) for row in sample.taken_out],
        "profilesDeleted": [_remove(profile) for profile in sample.deleted],
        "profileIdsChanged": list(maker.renewed(sample.renewed)),
        "recreated": list(maker.recreated(sample.recreated)),
    }
    counts = {name: len(changes) for name, changes in parts.items()}
    counts["added"] = sum(change.table == MAPPING for change in parts["added"])
    counts["profileIdsChanged"] = len(sample.renewed)
    counts["moved"] = sum(row.row_id in assigned for row in sample.moved)
    changes = [change for part in parts.values() for change in part]
    changes += [_remove(gone) for gone, _ in sample.merged]
    deleted = tuple(maker.profile(profile) for profile in sample.deleted)
    return Plan(with_measures(database, changes), counts, deleted)


def _assign(sample: Sample) -> dict[str, str]:
    """Return the new CustomerId of each row that is moved, or whose profile vanishes in a merge."""
    assigned: dict[str, str] = {}
    for row, target in zip(sample.moved, cycle(sample.targets), strict=False):
        other = next((p for p in (target, *sample.targets[:2]) if p.customer_id != row.customer_id), target)
        assigned[row.row_id] = other.customer_id
    for gone, stays in sample.merged:
        for row in sample.rows_of.get(gone.customer_id, ()):
            assigned.setdefault(row.row_id, stays.customer_id)
    return assigned


@dataclass(slots=True)
class _Maker:
    """Makes new rows; `salt` differs for every unification, so that ids never repeat."""

    database: Database
    seed: int
    salt: int
    _made: int = field(default=0)

    def split(self, sample: Sample, assigned: dict[str, str]) -> Iterator[RowChange]:
        """Yield a new profile for each split and assign half of the old one's rows to it."""
        for profile in sample.split:
            rows = sample.rows_of[profile.customer_id]
            customer_id = self._customer_id()
            for row in rows[: len(rows) // 2]:
                assigned.setdefault(row.row_id, customer_id)
            yield self._new_profile(customer_id)

    def added(self, sample: Sample, share: float) -> list[RowChange]:
        """Return new source rows with their mapping, table by table; every other one has a new profile.

        All have new ones while the environment has no profiles.
        """
        return sorted(self._added(sample, share), key=lambda change: (change.table == MAPPING, change.table))

    def _added(self, sample: Sample, share: float) -> Iterator[RowChange]:
        tables = cycle(sorted(sample.data_sources))
        targets = cycle(sample.targets)
        for number in range(round(share * sample.rows)):
            table, known = next(tables), next(targets, None) if number % 2 else None
            customer_id = known.customer_id if known else self._customer_id()
            if known is None:
                yield self._new_profile(customer_id)
            yield from self._new_source_row(table, sample.data_sources[table], customer_id)

    def brought_back(self, stash: list[Row], how: str | None) -> Iterator[RowChange]:
        """Yield the profiles deleted earlier, under their old ids or new ones; none if that is not asked for.

        A profile that is there again, by going back to an earlier state, is left alone.
        """
        present = {profile.customer_id for profile in sql.profiles(self.database)} if how and stash else set()
        for row in stash if how else ():
            if row["msdynci_customerid"] in present:
                continue
            new_id = {"msdynci_customerprofileid": self._guid("profile")} if how == "new id" else {}
            yield RowChange("insert", PROFILES, {**row, **new_id})

    def renewed(self, profiles: list[Profile]) -> Iterator[RowChange]:
        """Yield profiles as they are under another id, and the end of the rows with the old one."""
        for profile in profiles:
            row = {**self.profile(profile), "msdynci_customerprofileid": self._guid("profile")}
            yield RowChange("insert", PROFILES, row)
            yield _remove(profile)

    def recreated(self, rows: list[MappingRow]) -> Iterator[RowChange]:
        """Yield source rows as they are, without their links."""
        for row in rows:
            found = None
            with suppress(ColumnValueError):  # a key in the mapping that is not a GUID names no row
                found = self._row(row.table, row.key)
            if found is not None:
                yield RowChange("recreate", row.table, found)

    def profile(self, profile: Profile) -> Row:
        """Return all attributes of a profile."""
        return self._row(PROFILES, profile.row_id) or {}

    def _row(self, table_name: str, key: str) -> Row | None:
        table = self.database.schema.tables[table_name]
        names = [
            c.logical_name
            for c in table.columns.values()
            if c.logical_name not in _SYSTEM and PROFILES not in c.targets
        ]
        found = next(iter(scan(self.database, table_name, names, {table.primary_id: key})), None)
        return None if found is None else dict(zip(names, found, strict=True))

    def _new_profile(self, customer_id: str) -> RowChange:
        return RowChange("insert", PROFILES, profile_row(self._guid("profile"), make_person(customer_id)))

    def _new_source_row(self, table_name: str, data_source: str, customer_id: str) -> Iterator[RowChange]:
        table, person, key = self.database.schema.tables[table_name], make_person(customer_id), self._guid(table_name)
        known = {
            "firstname": person.first_name,
            "lastname": person.last_name,
            "emailaddress1": person.email,
            "address1_city": person.city,
            "subject": f"Inquiry of {person.full_name}",
            table.primary_name: person.full_name,
        }
        row = {name: value for name, value in known.items() if name in table.columns}
        yield RowChange("insert", table_name, {table.primary_id: key, **row})
        mapping = mapping_row(data_source, table_name, key, customer_id, sql.name_column(self.database))
        yield RowChange("insert", MAPPING, mapping)

    def _guid(self, kind: str) -> str:
        self._made += 1
        return guid(self.seed, f"{kind}/{self.salt}", self._made)

    def _customer_id(self) -> str:
        self._made += 1
        return digest(self.seed, f"customer/{self.salt}", self._made)


def _moves(sample: Sample, assigned: dict[str, str]) -> Iterator[RowChange]:
    gone = {row.row_id for row in (*sample.dropped, *sample.taken_out)}
    for row_id, customer_id in assigned.items():
        if row_id not in gone:
            yield RowChange("update", MAPPING, {"msdynci_alternatekeyid": row_id, "msdynci_customerid": customer_id})


def _unmap(row: MappingRow) -> RowChange:
    return RowChange("delete", MAPPING, {"msdynci_alternatekeyid": row.row_id})


def _remember(gone: Profile, stays: Profile) -> RowChange:
    """Name the vanished CustomerId on the profile that took its rows."""
    previous = ";".join(filter(None, (stays.previous, gone.customer_id)))
    row = {"msdynci_customerprofileid": stays.row_id, "msdynci_previouscustomerid": previous}
    return RowChange("update", PROFILES, row)


def _remove(profile: Profile) -> RowChange:
    row = {"msdynci_customerprofileid": profile.row_id, "msdynci_customerid": profile.customer_id}
    return RowChange("delete", PROFILES, row)
