"""What a scripted Dataverse holds: source tables, mapping, profiles and links, as a test sets them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from linker.core.permissions.privileges import CREATE_COLUMN, READ_METADATA
from tests.fakes.requests import COLUMN, NAVIGATION, PROFILE_SET, STAMP, Refusal, Request, filtered


@dataclass(slots=True)
class SourceRow:
    link: str | None = None
    version: int = 1


@dataclass(slots=True)
class FakeTable:
    """A source table. Without `column` the lookup does not exist yet."""

    logical: str
    entity_set: str
    key: str
    schema: str = ""
    table_type: str = "Standard"
    provider: str | None = None  # of the data of a virtual or elastic table
    bulk: bool = True
    column: bool = True
    creatable: bool = True
    primary: bool = True
    custom: bool = False
    points_to: str = "msdynci_customerprofile"
    rows: dict[str, SourceRow] = field(default_factory=dict)

    def definition(self) -> dict[str, Any]:
        return {
            "LogicalName": self.logical,
            "SchemaName": self.schema or self.logical.capitalize(),
            "EntitySetName": self.entity_set,
            "PrimaryIdAttribute": self.key,
            "TableType": self.table_type,
            "DataProviderId": self.provider,
            "CanCreateAttributes": {"Value": self.creatable},
            "CanBePrimaryEntityInRelationship": {"Value": self.primary},
            "IsPrivate": False,
            "Privileges": [],
            "IsCustomEntity": self.custom,
        }


class EnvironmentRows:
    """The rows of one environment, and what is peculiar about it."""

    def __init__(self) -> None:
        self.mapping: list[dict[str, Any]] = []
        self.profiles: dict[str, str] = {}  # profile id -> CustomerId
        self.labels = True  # whether links show the CustomerId of their profile
        self.label_of: dict[str, str | None] = {}  # by row id: what its link shows instead; None: nothing
        self.created: dict[str, str] = {}  # by profile id, where it is not STAMP
        self.languages: list[int] | None = [1033]  # None: the organization may not be read
        self.partitions: dict[str, str] = {}  # by profile id: those that are not the default one
        self.tables: dict[str, FakeTable] = {}  # by entity set
        self.mapping_column = "msdynci_entityname"
        self.text_columns: list[str] = []  # of every table
        self.marks = {"msdynci_alternatekeys": STAMP, "msdynci_customerprofiles": STAMP}
        self.versions = {"msdynci_alternatekeys": 7, "msdynci_customerprofiles": 7}  # {}: it has no such column
        self.touches: Counter[str] = Counter()  # by profile id: how often the linker wrote it
        self.flows: list[dict[str, Any]] = []  # on every table
        self.touched_at = "2026-12-01T00:00:00Z"
        self.profile_table = FakeTable("msdynci_customerprofile", PROFILE_SET, "msdynci_customerprofileid")
        self.refuse: dict[str, Refusal] = {}  # by row id: what a write of this row is answered
        self.drop: Counter[str] = Counter()  # by row id: how many accepted writes are not stored
        self.privileges = [*READ_METADATA, *CREATE_COLUMN]  # that belong to no table; tables ask for none here
        self.navigation = NAVIGATION  # as metadata names it
        self._ids = count(1)

    def table(self, logical: str = "contact", entity_set: str = "", **values: Any) -> FakeTable:
        made = FakeTable(logical, entity_set or f"{logical}s", f"{logical}id", **values)
        self.tables[made.entity_set] = made
        return made

    def map(self, key: str, customer: str | None, *, table: str = "contact", source: str = "crm") -> None:
        """Let the mapping name a row for a customer; None takes the row out."""
        identifier = f"{source}|{table}|{key}"
        self.mapping = [row for row in self.mapping if row["msdynci_identifier"] != identifier]
        if customer is not None:
            self.add_mapping(key, customer, table=table, source=source)

    def add_mapping(
        self, key: str | None, customer: str | None, *, table: str = "contact", source: str = "crm"
    ) -> None:
        """Add a mapping row beside those that are there."""
        self.mapping.append(
            {
                "msdynci_datasourcename": source,
                self.mapping_column: table,
                "msdynci_alternatevalue": key,
                "msdynci_customerid": customer,
                "msdynci_identifier": f"{source}|{table}|{key}",
                "msdynci_alternatekeyid": f"00000000-0000-4000-a000-{next(self._ids):012x}",
                "modifiedon": self.marks["msdynci_alternatekeys"],
            }
        )

    def profile(self, customer: str, profile: str | None = None) -> str:
        """Write a profile and return its id."""
        made = profile or f"00000000-0000-4000-9000-{next(self._ids):012x}"
        self.profiles[made] = customer
        return made

    def delete_profile(self, customer: str) -> None:
        """Delete a profile; links to it are emptied (RemoveLink)."""
        gone = {profile for profile, found in self.profiles.items() if found == customer}
        self.profiles = {profile: found for profile, found in self.profiles.items() if profile not in gone}
        for table in self.tables.values():
            for row in table.rows.values():
                if row.link in gone:
                    set_link(row, None)

    def vanish(self, customer: str) -> None:
        """Delete a profile as an elastic table does: links to it stay."""
        self.profiles = {profile: found for profile, found in self.profiles.items() if found != customer}

    def customer_of(self, key: str, entity_set: str = "contacts") -> str | None:
        """Return the CustomerId that a row is linked to."""
        row = self.tables[entity_set].rows[key]
        return self.profiles.get(row.link, "gone") if row.link else None

    def link_by_hand(self, key: str, customer: str | None, entity_set: str = "contacts") -> None:
        """Change a link as a person would."""
        by_customer = {found: profile for profile, found in self.profiles.items()}
        set_link(self.tables[entity_set].rows[key], None if customer is None else by_customer[customer])

    def about(self, path: str) -> dict[str, Any] | None:
        """Return who asks, what the user may do, and what is registered; None for another path."""
        match path:
            case "WhoAmI":
                return {"UserId": "11111111-1111-1111-1111-111111111111"}
            case "callbackregistrations":
                return {"value": self.flows}
            case "systemusers" | "sdkmessageprocessingsteps" | "workflows" | "msdynci_customermeasures":
                return {"value": []}
            case _ if path.endswith("RetrieveUserPrivileges()"):
                return {"RolePrivileges": [{"PrivilegeName": name, "Depth": "Global"} for name in self.privileges]}
            case "organizations":
                if self.languages is None:
                    raise Refusal(403, "0x80040220", "prvReadOrganization is missing")
                return {"value": [{"languagecode": code} for code in self.languages]}
            case _ if path.startswith("systemusers("):
                return {"fullname": "# linker", "domainname": "linker@contoso"}
            case _ if path.startswith("RetrieveTotalRecordCount("):
                return {"EntityRecordCountCollection": {"Values": [len(self.mapping)]}}
        return None

    def metadata(self, asked: Request) -> dict[str, Any]:
        """Return definitions of tables and columns, and the messages of tables."""
        if asked.path.endswith("/OneToManyRelationships") or "$expand" in asked.options:
            return {"value": []}  # no tables about customers besides mapping and profiles
        if asked.path == "EntityDefinitions":
            definitions = [table.definition() for table in (*self.tables.values(), self.profile_table)]
            return {"value": filtered(definitions, asked)}
        if asked.path == "sdkmessagefilters":
            rows = [
                {"sdkmessageid/name": "UpdateMultiple", "primaryobjecttypecode": table.logical}
                for table in (*self.tables.values(), self.profile_table)
                if table.bulk
            ]
            return {"value": filtered(rows, asked)}
        logical = asked.path.split("'")[1]
        if asked.path == "EntityDefinitions(LogicalName='msdynci_customerprofile')":
            return {"PrimaryNameAttribute": "msdynci_customerid"}
        if asked.path.endswith("/Attributes"):
            names = (self.mapping_column, "msdynci_customerid", *self.text_columns)
            return {"value": [_attribute(name) for name in names]}
        table = next(table for table in self.tables.values() if table.logical == logical)
        relationship = {
            "SchemaName": f"msdynci_{logical}_customerprofile",
            "ReferencedEntity": table.points_to,
            "ReferencingAttribute": COLUMN,
            "ReferencingEntityNavigationPropertyName": self.navigation,
        }
        return {"value": [relationship] if table.column else []}


def set_link(row: SourceRow, link: str | None) -> None:
    """Write a link; the row gets another version."""
    row.link = link
    row.version += 1


def _attribute(name: str) -> dict[str, Any]:
    facts = {"AttributeOf": None, "DisplayName": None, "IsPrimaryId": False, "IsValidForRead": True}
    return {"LogicalName": name, "AttributeType": "String", **facts}
