"""Environments whose facts are unknown, and those that violate R1 or R2."""

from __future__ import annotations

from linker.core.requirements.facts import DeclaredSource
from sandbox.switches.config import SandboxConfig
from tests.requirements.made import (
    CONTACTS,
    CRM_CONTACTS,
    CRM_LEADS,
    EMAILS,
    FOREIGN,
    LEADS,
    LOYALTY,
    Fed,
)
from tests.requirements.situations import (
    ASIA,
    BLIND,
    BLOCKED,
    BOTH_READY,
    BOTH_SKIPPED,
    DECLARED,
    GOOD,
    KNOWN,
    LEAD_SKIPPED,
    OTHER,
    READY,
    WARNINGS,
    case,
    fed_by,
    kind_of_crm,
)

CASES = [
    case("everything is met", GOOD, READY, BOTH_READY, "takes part in unification and isn't a Dataverse table"),
    # ---- what no source says ----
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
]
