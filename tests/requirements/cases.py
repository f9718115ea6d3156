"""The environments of docs/requirements.md: each requirement violated alone and in pairs, unknown, declared, and the column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from linker.core.permissions.preflight_report import Severity
from linker.core.requirements.facts import DeclaredSource
from sandbox.database import Stamp, bulk_load
from sandbox.runtime import Environment
from sandbox.schema.builtin import lookup_relationships
from sandbox.schema.column_types import Column
from sandbox.schema.columns import lookup
from sandbox.schema.definition import define_table
from sandbox.schema.kinds import make_elastic, make_virtual
from sandbox.schema.model import metadata_id
from sandbox.switches.config import SandboxConfig
from tests.fakes.requests import COLUMN
from tests.requirements.made import (
    CONTACTS,
    CRM_CONTACTS,
    CRM_LEADS,
    EMAILS,
    FOREIGN,
    LEADS,
    LOYALTY,
    MEMBERS,
    Change,
    Fed,
    Made,
)

READY, WARNINGS, BLOCKED = Severity.READY, Severity.WARNINGS, Severity.BLOCKED
GOOD = Made()
BLIND = GOOD.but(insights=False)  # no Customer Insights settings
DECLARED = {"declared": ("R2", "R5")}
KNOWN = (
    DeclaredSource("crm", "contact", "attachCds", "contactid"),
    DeclaredSource("crm", "lead", "attachCds", "leadid"),
)
NO_TABLE = DeclaredSource("shop", "shoppers", target=False)
OTHER = "https://other.crm4.dynamics.com"
OUTSIDE = {"isCdsMdlOrCdsByodl": False, "cdsMdlInfo": None}  # no output to Dataverse, as far as the API tells
UNTOLD = {"isCdsMdlOrCdsByodl": True, "cdsMdlInfo": None}
ASIA = Fed("crm asia", "contact", FOREIGN, "contactid")
SHOPPERS = Fed("shop", "shoppers", CONTACTS[:5], "shopperid")
MEMBER = Fed("crm", "new_member", MEMBERS, "new_memberid")
KINDS = {"crm": "attachCds", "files": "powerQuery", "crm asia": "attachCds", "shop": "powerQuery"}


@dataclass(frozen=True, slots=True)
class Expected:
    """How a preflight ends, what becomes of each table, and words that its texts contain."""

    severity: Severity
    outcomes: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()


BOTH_READY = {"contact": "ready", "lead": "ready"}
BOTH_SKIPPED = {"contact": "skipped", "lead": "skipped"}
LEAD_SKIPPED = {"contact": "ready", "lead": "skipped"}


def fed_by(*sources: Fed, **values: object) -> Made:
    return GOOD.but(fed=sources, kinds=KINDS, **values)


def kind_of_crm(kind: str, **values: object) -> Made:
    return GOOD.but(kinds={"crm": kind, "files": "powerQuery"}, **values)


def changed(table: str, **values: object) -> Change:
    def change(environment: Environment) -> None:
        database = environment.database
        database.replace_table(replace(database.schema.tables[table], **values))  # type: ignore[arg-type]

    return change


def with_column(column: Column) -> Change:
    """Give contact a column of the lookup's name that is something else."""

    def change(environment: Environment) -> None:
        database = environment.database
        made = replace(column, metadata_id=metadata_id("contact", column.logical_name), custom=True)
        database.add_columns(database.schema.tables["contact"], [made])
        for relationship in lookup_relationships(database.schema, database.schema.tables["contact"]):
            if relationship.referencing_attribute == column.logical_name:
                database.add_relationship(relationship)

    return change


_MADE: Final = {"Standard": lambda table: table, "Elastic": make_elastic, "Virtual": make_virtual}


def member_table(table_type: str, *, with_lookup: bool = False) -> Change:
    columns = [lookup(COLUMN, "msdynci_customerprofile")] if with_lookup else []

    def change(environment: Environment) -> None:
        table = _MADE[table_type](define_table("new_member", columns, entity_set="new_memberset", custom=True))
        environment.database.create_table(table)
        for relationship in lookup_relationships(environment.database.schema, table):
            environment.database.add_relationship(relationship)

    return change


def solution(name: str, *, managed: bool) -> Change:
    def change(environment: Environment) -> None:
        row = {"solutionid": metadata_id("solution", name), "uniquename": name, "ismanaged": managed}
        bulk_load(environment.database, "solution", [row], Stamp(environment.clock(), bytes(16)))

    return change


def without(table: str) -> Change:
    return lambda environment: environment.database.drop_table(environment.database.schema.tables[table])


def case(name: str, made: Made, severity: Severity, outcomes: dict[str, str], *words: str) -> Any:
    """Return one line of the table."""
    return pytest.param((made, Expected(severity, outcomes, words)), id=name)


CASES = [
    case("everything is met", GOOD, READY, BOTH_READY, "takes part in unification and isn't a Dataverse table"),
    # ---- what nobody tells ----
    case(
        "unknown: no Customer Insights settings, nothing declared",
        BLIND,
        BLOCKED,
        BOTH_SKIPPED,
        "Backstamping job skipped. Nothing was written. contact, lead: R5 is not known",
        "LINKER_DECLARED=R2,R5. (See docs/requirements.md#unknown.)",
    ),
    case(
        "unknown: all of it declared", BLIND.but(settings=DECLARED), READY, BOTH_READY, "Declared in LINKER_DECLARED."
    ),
    case(
        "unknown: a part of it declared, the rest is named beside it",
        BLIND.but(settings={"declared": ("R5",)}),
        BLOCKED,
        BOTH_SKIPPED,
        "LINKER_DECLARED=R2,R5.",
    ),
    case(
        "unknown: sources described in settings",
        BLIND.but(settings={"declared": ("R5",), "sources": KNOWN}),
        READY,
        BOTH_READY,
        "uses the Dataverse connector ('attachCds', says LINKER_SOURCES)",
    ),
    case(
        "unknown: linked with a warning when told to",
        BLIND.but(settings={"unknown_facts": "warn"}),
        WARNINGS,
        BOTH_READY,
        "Table 'contact' is linked although R2 is not known",
    ),
    case(
        "unknown: of the environment alone, which is told as well",
        BLIND.but(settings={"unknown_facts": "warn", "declared": ("R2",)}),
        WARNINGS,
        BOTH_READY,
        "Tables are linked although R5 is not known: It is unknown whether the environment is for individual customers.",
    ),
    case(
        "unknown: where all tables or none are linked",
        BLIND.but(settings={"declared": ("R5",), "sources": KNOWN[:1], "requirements": "all"}),
        BLOCKED,
        LEAD_SKIPPED,
        "LINKER_REQUIREMENTS is 'all', and not all tables may be linked. lead: R2 is not known",
        "LINKER_DECLARED=R2,R5.",
    ),
    case(
        "unknown: Customer Insights refuses the app",
        GOOD.but(after=lambda environment: environment.configure(SandboxConfig(insights_subscription_key="secret"))),
        BLOCKED,
        BOTH_SKIPPED,
        "Customer Insights refused",
        "LINKER_INSIGHTS_KEY where a subscription key is required",
        "Correct why Customer Insights did not answer, or declare it if you know it to be met: LINKER_DECLARED=R5.",
        "LINKER_DECLARED=R2,R5.",
    ),
    case(
        "unknown: Customer Insights refuses the app, and all is declared",
        GOOD.but(settings=DECLARED, switches={"insights_subscription_key": "secret"}),
        READY,
        BOTH_READY,
        "Customer Insights refused",
    ),
    case(
        "settings: a source that the mapping does not name",
        GOOD.but(settings={"sources": (DeclaredSource("crm", "contacs"),)}),
        WARNINGS,
        BOTH_READY,
        "LINKER_SOURCES names table 'contacs' of data source 'crm', of which the mapping has no row.",
    ),
    # ---- R1 ----
    case(
        "R1: Customer Insights is linked to another environment",
        GOOD.but(instance={"cdsOrgInfo": {"url": OTHER}}),
        BLOCKED,
        BOTH_SKIPPED,
        f"R1: Customer Insights is linked to {OTHER}, but this app writes to https://contoso.crm4.dynamics.com.",
        "Set LINKER_DATAVERSE_URL",
    ),
    case(
        "R1: another environment cannot be declared away",
        GOOD.but(instance={"cdsOrgInfo": {"url": OTHER}}, settings={"declared": ("R1",)}),
        BLOCKED,
        BOTH_SKIPPED,
        "R1: Customer Insights is linked to",
    ),
    case(
        "R1: the API's own host name is the same environment",
        GOOD.but(instance={"cdsOrgInfo": {"url": "https://CONTOSO.api.crm4.dynamics.com/"}}),
        READY,
        BOTH_READY,
    ),
    case(
        "R1: no row of any table is ours",
        GOOD.but(rows={"contact": FOREIGN, "lead": FOREIGN}),
        BLOCKED,
        BOTH_SKIPPED,
        "sampled keys of 'contact' from data source 'crm' exists in table 'contact'",
    ),
    case(
        "R1: the leads are those of another environment",
        GOOD.but(rows={"contact": CONTACTS, "lead": FOREIGN}),
        WARNINGS,
        LEAD_SKIPPED,
        "Table 'lead' was skipped. R1: None of the ",
    ),
    case(
        "R1: rows deleted since unification prove nothing while others are there",
        GOOD.but(rows={"contact": CONTACTS[-3:], "lead": LEADS}),
        READY,
        BOTH_READY,
    ),
    case(
        "R1: no Dataverse table takes part",
        fed_by(LOYALTY),
        BLOCKED,
        {},
        "No Dataverse table takes part in unification.",
    ),
    case(
        "R1: the mapping is empty",
        fed_by(),
        BLOCKED,
        {},
        "Nothing was written. The mapping (table msdynci_alternatekey) is empty. Run unification once.",
    ),
    case(
        "two environments hold a contact table",
        fed_by(CRM_CONTACTS, ASIA),
        WARNINGS,
        {"contact": "ready", "contact (crm asia)": "skipped"},
        "sampled keys of 'contact' from data source 'crm asia' exists",
    ),
    case(
        "two data sources of this environment feed one table",
        fed_by(
            Fed("crm", "contact", CONTACTS[:20], "contactid"), Fed("crm asia", "contact", CONTACTS[10:], "contactid")
        ),
        READY,
        {"contact": "ready"},
    ),
    case(
        "two data sources feed one table, and nobody knows the second",
        GOOD.but(fed=(CRM_CONTACTS, Fed("old crm", "contact", CONTACTS[10:]))),
        BLOCKED,
        {"contact": "skipped"},
        "R2 is not known: The connector of data source 'old crm' is unknown: Customer Insights knows none of that name.",
        "Customer Insights does not report it; declare it if you know it to be met: LINKER_DECLARED=R2.",
    ),
    case(
        "a file that is called contact keeps no contact from being linked",
        fed_by(CRM_CONTACTS, Fed("files", "Contact", EMAILS, "Email")),
        WARNINGS,
        {"contact": "ready", "Contact (files)": "skipped"},
        "R4: 'Contact' of data source 'files' was unified by 'Email'",
    ),
    case(
        "a file that is called contact, and is declared to be no table",
        fed_by(
            CRM_CONTACTS,
            Fed("files", "Contact", EMAILS, "Email"),
            settings={"sources": (DeclaredSource("files", "Contact", target=False),)},
        ),
        READY,
        {"contact": "ready"},
        "'Contact' of data source 'files' takes part in unification and isn't a Dataverse table, so it isn't linked: "
        "LINKER_SOURCES says so.",
    ),
    case(
        "leads of one data source are unified by their key, those of another by e-mail",
        GOOD.but(
            fed=(CRM_LEADS, Fed("old crm", "lead", EMAILS, "emailaddress1")),
            kinds={"crm": "attachCds", "old crm": "attachCds"},
        ),
        WARNINGS,
        {"lead": "ready", "lead (old crm)": "skipped"},
        "R4: 'lead' of data source 'old crm' was unified by 'emailaddress1'",
    ),
    # ---- R2 ----
    case(
        "R2: another connector",
        kind_of_crm("salesforce"),
        BLOCKED,
        BOTH_SKIPPED,
        "R2: Data source 'crm' uses another connector ('salesforce', says the Customer Insights API).",
        "Ingest the table with the Microsoft Dataverse connector (recommended)",
    ),
    case("R2: Power Query with our keys", kind_of_crm("powerQuery"), READY, BOTH_READY),
    case("R2: Power Platform with our keys", kind_of_crm("powerPlatform"), READY, BOTH_READY),
    case(
        "R2: a kind that nobody documents",
        kind_of_crm("firstParty"),
        BLOCKED,
        BOTH_SKIPPED,
        "R2 is not known: What kind of connector data source 'crm' uses is not documented ('firstParty'",
        "LINKER_DECLARED=R2.",
    ),
    case("R2: such a kind, declared", kind_of_crm("firstParty", settings={"declared": ("R2",)}), READY, BOTH_READY),
    case(
        "R2: Customer Insights is right where a setting says otherwise",
        kind_of_crm("attachSynapse", settings={"sources": KNOWN}),
        BLOCKED,
        BOTH_SKIPPED,
        "('attachSynapse', says the Customer Insights API)",
    ),
    case(
        "R1 and R2: Power Query from elsewhere",
        kind_of_crm("powerQuery", rows={"contact": FOREIGN, "lead": LEADS}),
        WARNINGS,
        {"contact": "skipped", "lead": "ready"},
        "R1: None of the ",
        "R2: Data source 'crm' uses Power Query ('powerQuery', says the Customer Insights API), but no sampled key exists",
    ),
    # ---- R3 ----
    case(
        "R3: renamed, told by its keys",
        fed_by(Fed("crm", "clients", CONTACTS), CRM_LEADS),
        WARNINGS,
        {"contact": "skipped", "lead": "ready"},
        "R3: 'clients' looks renamed: its keys are those of Dataverse table 'contact'.",
        "Name it 'contact' again in Customer Insights",
    ),
    case(
        "R3: renamed, told by its key column",
        fed_by(Fed("crm", "clients", FOREIGN, "ContactId"), CRM_LEADS),
        WARNINGS,
        {"contact": "skipped", "lead": "ready"},
        "'clients' looks renamed: its key column 'contactid' is the primary key of Dataverse table 'contact'.",
    ),
    case(
        "R3: out of Dataverse, and neither name nor keys are those of a table",
        fed_by(CRM_LEADS, Fed("crm", "clients", EMAILS, "emailaddress1")),
        WARNINGS,
        {"lead": "ready"},
        "'clients' of data source 'crm' comes through the Dataverse connector, but no table of this environment has its name",
        "or its keys: it was renamed, or its rows are gone or elsewhere. It is not linked.",
    ),
    case(
        "R3: declared to be no table although it comes out of Dataverse",
        fed_by(
            CRM_LEADS,
            Fed("crm", "clients", EMAILS, "emailaddress1"),
            settings={"sources": (DeclaredSource("crm", "clients", target=False),)},
        ),
        READY,
        {"lead": "ready"},
    ),
    case("R3: the schema name", fed_by(Fed("crm", "Contact", CONTACTS, "contactid")), READY, {"contact": "ready"}),
    case("R3: the entity set name", fed_by(Fed("crm", "Leads", LEADS, "leadid")), READY, {"lead": "ready"}),
    case(
        "R3: a web shop keyed by contact ids looks renamed and leaves contact alone",
        fed_by(CRM_CONTACTS, SHOPPERS),
        WARNINGS,
        {"contact": "ready", "shoppers (shop)": "skipped"},
        "'shoppers' looks renamed",
        'LINKER_SOURCES=[{"dataSource": "shop", "table": "shoppers", "target": false}].',
    ),
    case(
        "R3: a web shop that is declared to be no table",
        fed_by(CRM_CONTACTS, SHOPPERS, settings={"sources": (NO_TABLE,)}),
        READY,
        {"contact": "ready"},
        "'shoppers' of data source 'shop' takes part in unification and isn't a Dataverse table",
    ),
    case(
        "a custom table with an irregular set name",
        fed_by(MEMBER, before=member_table("Standard"), rows={"new_member": MEMBERS}),
        READY,
        {"new_member": "ready"},
    ),
    case(
        "R3: a renamed custom table",
        fed_by(Fed("crm", "members", MEMBERS), before=member_table("Standard"), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "skipped"},
        "its keys are those of Dataverse table 'new_member'",
    ),
    case(
        "the mapping names tables in its older column",
        GOOD.but(switches={"mapping_name_column": "msdynci_entityname"}),
        READY,
        BOTH_READY,
    ),
    # ---- R4 ----
    case(
        "R4: the lead was unified by e-mail",
        fed_by(CRM_CONTACTS, Fed("crm", "lead", EMAILS, "emailaddress1")),
        WARNINGS,
        LEAD_SKIPPED,
        "R4: 'lead' of data source 'crm' was unified by 'emailaddress1' (says the Customer Insights API), but",
        "but the primary key of table 'lead' is 'leadid'.",
        "Choose leadid as primary key in Data > Unify > Customer data, and run unification.",
    ),
    case(
        "R4: told by the shape of the keys alone",
        BLIND.but(fed=(CRM_CONTACTS, Fed("crm", "lead", EMAILS)), settings={"declared": ("R1", "R2", "R5")}),
        WARNINGS,
        LEAD_SKIPPED,
        "R4: The keys of 'lead' of data source 'crm' in the mapping are not GUIDs, so it was not unified by 'leadid'.",
    ),
    case(
        "R4: another column that holds guids",
        fed_by(CRM_CONTACTS, Fed("crm", "lead", LEADS, "new_externalid")),
        WARNINGS,
        LEAD_SKIPPED,
        "was unified by 'new_externalid'",
    ),
    case(
        "R4: the key in another case", fed_by(Fed("crm", "contact", CONTACTS, "ContactId")), READY, {"contact": "ready"}
    ),
    case(
        "requirements hold for all tables or for none",
        fed_by(CRM_CONTACTS, Fed("crm", "lead", EMAILS, "emailaddress1"), settings={"requirements": "all"}),
        BLOCKED,
        LEAD_SKIPPED,
        "LINKER_REQUIREMENTS is 'all', and not all tables may be linked. lead: R4",
    ),
    case(
        "R3 and R4: renamed and unified by e-mail",
        fed_by(CRM_LEADS, Fed("crm", "clients", EMAILS, "contactid")),
        WARNINGS,
        {"contact": "skipped", "lead": "ready"},
        "R3: 'clients' looks renamed",
        "R4: The keys of 'clients' of data source 'crm' in the mapping are not GUIDs",
    ),
    case(
        "R2 and R4: another connector and another key",
        GOOD.but(fed=(Fed("crm", "lead", EMAILS, "emailaddress1"),), kinds={"crm": "salesforce"}),
        BLOCKED,
        {"lead": "skipped"},
        "R2: Data source 'crm' uses another connector",
        "R4: 'lead' of data source 'crm' was unified by 'emailaddress1'",
    ),
    # ---- R5 ----
    case(
        "R5: business accounts",
        GOOD.but(instance={"isB2B": True, "isB2C": False}),
        BLOCKED,
        BOTH_SKIPPED,
        "Backstamping job skipped. Nothing was written. R5: The environment is set up for business accounts (B2B).",
    ),
    case(
        "R5: business accounts cannot be declared away",
        GOOD.but(instance={"isB2B": True}, settings={"declared": ("R5",)}),
        BLOCKED,
        BOTH_SKIPPED,
        "business accounts",
    ),
    case(
        "R5: the API does not tell",
        GOOD.but(instance={"isB2B": None, "isB2C": None}),
        BLOCKED,
        BOTH_SKIPPED,
        "Customer Insights does not report it; declare it if you know it to be met: LINKER_DECLARED=R5.",
    ),
    case("R5: told by the other flag", GOOD.but(instance={"isB2B": None}), READY, BOTH_READY),
    # ---- R6 ----
    case(
        "R6: the output goes elsewhere, and no profile is in Dataverse",
        GOOD.but(instance=OUTSIDE, profiles=False),
        BLOCKED,
        BOTH_SKIPPED,
        "R6: The Customer Insights API knows of no output to Dataverse, and there are no profiles in Dataverse.",
    ),
    case("R6: what is in Dataverse is the better proof", GOOD.but(instance=OUTSIDE), READY, BOTH_READY),
    case(
        "R6: one flag tells nothing",
        GOOD.but(instance=UNTOLD, profiles=False),
        BLOCKED,
        BOTH_SKIPPED,
        "R6 is not known: There are no profiles in Dataverse, and where the output goes is unknown.",
        "LINKER_DECLARED=R6.",
    ),
    case(
        "R6: declared",
        GOOD.but(instance=UNTOLD, profiles=False, settings={"declared": ("R6",)}),
        WARNINGS,
        BOTH_READY,
        "have no profile that the app can see",
    ),
    case(
        "R6: Dataverse has no mapping",
        fed_by(after=without("msdynci_alternatekey")),
        BLOCKED,
        {},
        "Dataverse has no mapping to read (table msdynci_alternatekey). Run unification once.",
    ),
    case(
        "R6: Dataverse has no profiles",
        GOOD.but(instance=UNTOLD, after=without("msdynci_customerprofile")),
        BLOCKED,
        BOTH_SKIPPED,
        "R6 is not known: There are no profiles in Dataverse",
    ),
    case(
        "R5 and R6: both are told",
        GOOD.but(instance=OUTSIDE | {"isB2B": True}, profiles=False),
        BLOCKED,
        BOTH_SKIPPED,
        "R5: The environment is set up for business accounts (B2B).",
        "R6: The Customer Insights API knows of no output to Dataverse",
    ),
    case(
        "R1 and R5: both are told",
        GOOD.but(instance={"cdsOrgInfo": {"url": OTHER}, "isB2B": True}),
        BLOCKED,
        BOTH_SKIPPED,
        "R1: Customer Insights is linked to",
        "R5: The environment is set up for business accounts (B2B).",
    ),
    # ---- the column ----
    case(
        "column: of another type",
        GOOD.but(after=with_column(Column(COLUMN))),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        f"Column '{COLUMN}' of table 'contact' is of type String, not a lookup",
    ),
    case(
        "column: points elsewhere",
        GOOD.but(after=with_column(lookup(COLUMN, "account"))),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        f"Column '{COLUMN}' of table 'contact' points to 'account'",
    ),
    case(
        "column: the table takes no new columns",
        GOOD.but(after=changed("contact", takes_columns=False)),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        "Table 'contact' takes no new columns (CanCreateAttributes is false)",
    ),
    case(
        "column: an elastic table",
        fed_by(MEMBER, before=member_table("Elastic"), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is elastic: nothing would empty its links when profiles are deleted. Nothing was written to it.",
    ),
    case(
        "column: a virtual table",
        fed_by(MEMBER, before=member_table("Virtual"), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is virtual: its rows are kept outside Dataverse.",
    ),
    case(
        "column: an elastic table that somebody gave the column",
        fed_by(MEMBER, before=member_table("Elastic", with_lookup=True), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is elastic",
    ),
    case(
        "column: the solution does not exist",
        GOOD.but(settings={"solution": "nowhere"}),
        BLOCKED,
        {"contact": "refused", "lead": "refused"},
        "The lookup column of table 'lead' belongs into solution 'nowhere' (LINKER_SOLUTION), which does not exist.",
    ),
    case(
        "column: the solution is managed",
        GOOD.but(settings={"solution": "vendor"}, after=solution("vendor", managed=True)),
        BLOCKED,
        {"contact": "refused", "lead": "refused"},
        "solution 'vendor' (LINKER_SOLUTION), which is managed",
    ),
    case(
        "column: a solution of our own",
        GOOD.but(settings={"solution": "links"}, after=solution("links", managed=False)),
        READY,
        BOTH_READY,
    ),
    case(
        "column: customisation is locked, which a run waits for",
        GOOD.but(switches={"customizing": True}),
        READY,
        BOTH_READY,
    ),
]
