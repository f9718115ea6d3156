"""docs/identity.md lists exactly the privileges that are asked for, and docs/automations.md what is read and sent."""

import re
from pathlib import Path

import pytest

from linker.adapters.dataverse.registered_automations import READ_TABLES
from linker.adapters.dataverse.web_api import BYPASS
from linker.core.permissions.privileges import ColumnNeed, Need, of_every_run, of_links
from linker.core.permissions.write_permission import Refusal
from linker.services.service_account import setup_needs
from linker.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
IDENTITY, AUTOMATIONS = (DOCS / "identity.md").read_text(), (DOCS / "automations.md").read_text()
EVERYTHING = {
    "dataverse_url": "https://contoso.crm4.dynamics.com",
    "automations": "bypass",
    "impersonate": "00000000-0000-0000-0000-000000000001",
    "solution": "linker",
}
NEEDS = setup_needs(Settings.model_validate(EVERYTHING), ["contact"])


def documented() -> dict[tuple[str, str], str]:
    """Return what stands in the table: (table, right) and what for; a privilege of no table is its own right."""
    listed_here = IDENTITY.partition("### Column security")[0]
    rows = re.findall(r"^\| (\(none\)|each source table|`[^|]+`) \| ([^|]+) \| ([^|]+) \|", listed_here, re.MULTILINE)
    found = {}
    for tables, rights, purpose in rows:
        names = re.findall(r"`(\w+)`", tables) or ["contact" if tables.startswith("each") else ""]
        listed = re.findall(r"`(prv\w+)`", rights) or re.findall(r"\w+", rights)
        found |= {(table, right): purpose for table in names for right in listed}
    return found


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need.table or 'none'} {need.right}")
def test_every_privilege_is_listed(need: Need) -> None:
    assert (need.table, need.right) in documented()


def test_no_privilege_is_listed_that_is_not_asked_for() -> None:
    assert set(documented()) == {(need.table, need.right) for need in NEEDS}


@pytest.mark.parametrize(
    "need", [*of_every_run(touches=True), *of_links("contact")], ids=lambda need: f"{need.column} {need.right}"
)
def test_every_permission_on_a_secured_column_is_listed(need: ColumnNeed) -> None:
    table = "each source table" if need.table == "contact" else f"`{need.table}`"
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", IDENTITY.partition("### Column security")[2], re.MULTILINE
    )
    assert [row for row in rows if row[0] == table and f"`{need.column}`" in row[1] and need.right in row[2].lower()]


@pytest.mark.parametrize("header", BYPASS.items(), ids=lambda item: item[0])
def test_every_bypass_header_is_listed(header: tuple[str, str]) -> None:
    assert f"`{header[0]}: {header[1]}`" in AUTOMATIONS


@pytest.mark.parametrize("refusal", [refusal for refusal in Refusal if refusal is not Refusal.PRIVILEGE and refusal])
def test_every_refusal_is_explained(refusal: Refusal) -> None:
    assert f"`{refusal}`" in AUTOMATIONS


@pytest.mark.parametrize("table", READ_TABLES)
def test_every_table_that_is_looked_at_is_among_the_privileges(table: str) -> None:
    assert (table, "Read") in documented()
