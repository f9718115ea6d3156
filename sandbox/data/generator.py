"""Deterministic data of any size: contacts, leads and members of a few people less, unified.

Every value follows from the seed and a number alone, so rows are made while they are loaded and never kept.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

from sandbox.data.seed import Dataset, Document, TableData
from sandbox.database.values import Row
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.insights_tables import MAPPING, PROFILES

_PROFILE_SHARE: Final = 0.6
"""Profiles per source row: 40 % of the rows are duplicates of another row's person."""
_STRIDE: Final = 2_654_435_761  # a prime above any row count, so that multiplying by it permutes the rows
_FIRST_DAY: Final = date(1940, 1, 1).toordinal()
_FIRST_NAMES: Final = (
    *("Ada", "Amir", "Anouk", "Béla", "Carmen", "Chidi", "Dana", "Elif", "Emil", "Farah", "Gita", "Hana", "Igor"),
    *("Ines", "Jonas", "Kaya", "Lars", "Leila", "Marek", "Mei", "Nadia", "Noor", "Olaf", "Priya", "Quinn", "Rosa"),
    *("Sami", "Tariq", "Uma", "Vera", "Wim", "Xenia", "Yara", "Zoltán"),
)
_LAST_NAMES: Final = (
    *("Abebe", "Almeida", "Bauer", "Brandt", "Castro", "Chen", "D'Angelo", "Dubois", "Eriksen", "Fischer", "García"),
    *("Haddad", "Ivanov", "Jansen", "Kimura", "Kowalski", "Lindqvist", "Mbeki", "Müller", "Novak", "O'Brien", "Okafor"),
    *("Petrov", "Quispe", "Rossi", "Sato", "Schulz", "Singh", "Tanaka", "Usman", "Varga", "Weber", "Yilmaz", "Zhou"),
)
_CITIES: Final = ("Aarhus", "Bergen", "Cork", "Dresden", "Évora", "Graz", "Lyon", "Parma", "Tartu", "Utrecht")
_MADE: Final = re.compile("[0-9a-fA-F]{32}")  # the form of CustomerIds that are made here
_TIERS: Final = ((6000.0, "Gold"), (3000.0, "Silver"), (1000.0, "Bronze"), (0.0, "None"))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows of each source table."""

    contacts: int = 20_000
    leads: int = 8_000
    members: int = 2_000

    @property
    def rows(self) -> int:
        """All source rows."""
        return self.contacts + self.leads + self.members


@dataclass(frozen=True, slots=True)
class _Source:
    """One source table; its rows have the numbers from `first` on."""

    data_source: str
    table: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Person:
    """The person behind one or several source rows. `customer_id` is 32 hex digits."""

    customer_id: str
    first_name: str
    last_name: str
    city: str
    postal_code: str
    birth_date: str
    lifetime_value: float

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        """An address in a domain that is reserved for examples; unlike the name it is the person's own."""
        return f"{self.customer_id[:10]}@example.com"


def generate(sizes: Sizes, seed: int = 1) -> Dataset:
    """Return a unified data set. The same sizes and seed give the same rows."""
    people = _People(sizes.rows, max(1, round(sizes.rows * _PROFILE_SHARE)), seed)
    sources = [source for source in _sources(sizes) if source.count]
    return Dataset(
        tables=(
            *(_table_data(source, people) for source in sources),
            TableData(PROFILES, people.profiles),
            TableData(MAPPING, lambda: _mapping(sources, people)),
        ),
        instance=_instance(seed),
        datasources=_data_sources(sources, seed),
    )


def _sources(sizes: Sizes) -> Iterator[_Source]:
    yield _Source("DynamicsSales", "contact", 0, sizes.contacts)
    yield _Source("DynamicsSales", "lead", sizes.contacts, sizes.leads)
    yield _Source("MemberClub", "new_member", sizes.contacts + sizes.leads, sizes.members)


@dataclass(frozen=True, slots=True)
class _People:
    rows: int
    count: int
    seed: int

    def behind(self, row: int) -> int:
        """Return the person's number behind a source row; each person has at least one row."""
        rank = row * _STRIDE % self.rows
        if rank < self.count:
            return rank
        return int(digest(self.seed, "duplicate", rank)[:12], 16) % self.count

    def customer_id(self, number: int) -> str:
        return digest(self.seed, "customer", number)

    def person(self, number: int) -> Person:
        return make_person(self.customer_id(number))

    def profiles(self) -> Iterator[Row]:
        for number in range(self.count):
            yield profile_row(guid(self.seed, "profile", number), self.person(number))


def make_person(customer_id: str) -> Person:
    """Return the person of a CustomerId; all attributes follow from it. Loaded CustomerIds have any form."""
    chance = bytes.fromhex(customer_id if _MADE.fullmatch(customer_id) else digest(0, customer_id, 0))
    return Person(
        customer_id=customer_id,
        first_name=_FIRST_NAMES[chance[0] % len(_FIRST_NAMES)],
        last_name=_LAST_NAMES[chance[1] % len(_LAST_NAMES)],
        city=_CITIES[chance[2] % len(_CITIES)],
        postal_code=str(10_000 + int.from_bytes(chance[3:5])),
        birth_date=_birth_date(int.from_bytes(chance[5:7]) % 24_000),
        lifetime_value=int.from_bytes(chance[7:10]) % 100_000 / 10,
    )


@cache
def _birth_date(days: int) -> str:
    return date.fromordinal(_FIRST_DAY + days).isoformat()


def profile_row(profile_id: str, person: Person) -> Row:
    """Return the profile of a person as Customer Insights - Data would write it."""
    return {
        "msdynci_customerprofileid": profile_id,
        "msdynci_customerid": person.customer_id,
        "msdynci_fullname": person.full_name,
        "msdynci_loyaltytier": loyalty_tier(person.lifetime_value),
        "msdynci_lifetimevalue": person.lifetime_value,
    }


def loyalty_tier(lifetime_value: float) -> str:
    """Return the tier that a lifetime value earns."""
    return next(tier for least, tier in _TIERS if lifetime_value >= least)


def mapping_row(
    data_source: str, table: str, key: str, customer_id: str, name_column: str = "msdynci_entityname"
) -> Row:
    """Return a row of the mapping; its key follows from the identifier (docs/reference/customer-insights.md 2).

    `name_column` is the column that names the table.
    """
    identifier = f"{data_source}|{table}|{key}"
    return {
        "msdynci_alternatekeyid": guid(0, identifier, 0),
        "msdynci_datasourcename": data_source,
        name_column: table,
        "msdynci_alternatevalue": key,
        "msdynci_customerid": customer_id,
        "msdynci_identifier": identifier,
    }


def _mapping(sources: list[_Source], people: _People) -> Iterator[Row]:
    for source in sources:
        for number in range(source.count):
            key = guid(people.seed, source.table, number)
            customer_id = people.customer_id(people.behind(source.first + number))
            yield mapping_row(source.data_source, source.table, key, customer_id)


def _table_data(source: _Source, people: _People) -> TableData:
    make = {"contact": _contact, "lead": _lead, "new_member": _member}[source.table]

    def rows() -> Iterator[Row]:
        for number in range(source.count):
            person = people.person(people.behind(source.first + number))
            yield make(guid(people.seed, source.table, number), person, number)

    if source.table == "new_member":
        return TableData(source.table, rows, _MEMBER_COLUMNS, key="new_memberid", entity_set="new_memberset")
    return TableData(source.table, rows)


_MEMBER_COLUMNS: Final = (
    Column("new_name", display_name="Name", indexed=True),
    Column("new_email", display_name="Email"),
    Column("new_points", ColumnType.INTEGER, display_name="Points"),
    Column("new_since", ColumnType.DATE, display_name="Member Since"),
)


def _contact(key: str, person: Person, number: int) -> Row:
    del number
    return {
        "contactid": key,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "emailaddress1": person.email,
        "address1_city": person.city,
        "address1_postalcode": person.postal_code,
        "birthdate": person.birth_date,
        "statecode": 0,
        "statuscode": 1,
    }


def _lead(key: str, person: Person, number: int) -> Row:
    return {
        "leadid": key,
        "subject": f"Inquiry {number + 1} of {person.full_name}",
        "firstname": person.first_name,
        "lastname": person.last_name,
        "emailaddress1": person.email,
        "address1_city": person.city,
        "statecode": 0,
        "statuscode": 1,
    }


def _member(key: str, person: Person, number: int) -> Row:
    return {
        "new_memberid": key,
        "new_name": person.full_name,
        "new_email": person.email,
        "new_points": round(person.lifetime_value / 10),
        "new_since": (date(2015, 1, 1) + timedelta(days=number % 3650)).isoformat(),
    }


def digest(seed: int, kind: str, number: int) -> str:
    """Return 32 hex digits that look random and follow from the arguments."""
    return hashlib.blake2b(f"{seed}/{kind}/{number}".encode(), digest_size=16).hexdigest()


def guid(seed: int, kind: str, number: int) -> str:
    """Return a random-looking guid text (version 4) that follows from the arguments."""
    text = digest(seed, kind, number)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _instance(seed: int) -> Document:
    return {
        "instanceId": guid(seed, "instance", 0),
        "name": "Contoso",
        "isB2B": False,
        "isB2C": True,
        "isCdsMdlOrCdsByodl": True,
        "instanceType": "production",
        "provisioningState": "active",
        "region": "westeurope",
        "cdsOrgInfo": {
            "friendlyName": "contoso",
            "url": "{dataverse_url}",
            "state": "Ready",
            "location": "europe",
            "environmentSku": "Sandbox",
        },
        "cdsMdlInfo": {"privateWorkSpace": {}, "publicWorkSpace": {}},
    }


def _data_sources(sources: list[_Source], seed: int) -> list[Document]:
    names = dict.fromkeys(source.data_source for source in sources)
    return [_data_source(name, [s.table for s in sources if s.data_source == name], seed) for name in names]


def _data_source(name: str, tables: list[str], seed: int) -> Document:
    metadata = {
        "kind": "attachCds",
        "isActive": True,
        "name": name,
        "friendlyName": name,
        "dataSourceId": guid(seed, name, 0),
        "instanceId": guid(seed, "instance", 0),
        "entityNames": tables,
        "entitiesCount": len(tables),
        "refreshState": "updated",
        "entityInformation": [{"entityName": table, "primaryKey": f"{table}id"} for table in tables],
    }
    return {"dataSourceMetadata": metadata}
