"""What linking is for: the documented examples, from a unification with measures to a list or a row that shows them.

Lists join standard tables only, so the views are made in an environment whose tables are of that kind.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.switches.tables import TableKind

from .administrator import administrator, linker
from .world import SAMPLE, World, world

LINK = "_msdynci_lookupfield_customerprofile_value"
PROFILES = "msdynci_customerprofiles"


@contextmanager
def measured_world(tables: str, logs: Path, kind: TableKind) -> Iterator[World]:
    """Give the sample with measures in tables of one kind, linked, after some rows moved to other customers."""
    with world(tables, logs, "--measures", "--tables", kind, "--load", str(SAMPLE)) as made:
        assert made.publish()["status"] == "Successful"
        done = made.unify(move=0.2, seed=5)
        assert (done["moved"] > 0, made.publish(done["jobId"])["status"]) == (True, "Successful")
        yield made


@pytest.fixture(scope="module")
def measured(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with measured_world(tables, tmp_path_factory.mktemp("logs"), "standard") as made:
        yield made


@pytest.fixture(scope="module")
def elastic(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with measured_world(tables, tmp_path_factory.mktemp("logs"), "elastic") as made:
        yield made


def opened(made: World, table: str, columns: str) -> dict[str, dict[str, Any]]:
    """Make a view, and open it over the Web API as a user does; returns its rows by id."""
    done = linker(made, "view", table, "--columns", columns, "--name", f"{table}: {columns}", "--yes")
    assert done.returncode == 0, done.stderr
    (view,) = re.findall(r"viewid=%7b([0-9a-f-]{36})%7d", done.stdout)
    rows = list(made.sandbox.rows(f"{table}s", {"savedQuery": view}))
    assert len(rows) == len(made.truth(table))
    return {row[f"{table}id"]: row for row in rows}


def by(made: World, entity_set: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by one of their columns."""
    return {row[key]: row for row in made.sandbox.rows(entity_set, {})}


def test_leads_show_lead_score_and_lifetime_value(measured: World) -> None:
    shown = opened(measured, "lead", "msdynci_leadscore,msdynci_lifetimevalue")
    profiles = by(measured, PROFILES, "msdynci_customerprofileid")
    for lead, profile in measured.links("lead").items():
        held = profiles[str(profile)]
        assert shown[lead]["profile.msdynci_leadscore"] == held["msdynci_leadscore"]
        assert shown[lead].get("profile.msdynci_lifetimevalue") == held["msdynci_lifetimevalue"]


def test_contacts_show_support_issues_of_the_last_month_the_last_year_and_the_lifetime(measured: World) -> None:
    names = [f"msdynci_supportissue.msdynci_{span}" for span in ("lastmonth", "lastyear", "lifetime")]
    shown = opened(measured, "contact", ",".join(names))
    issues = by(measured, "msdynci_supportissues", "_msdynci_profile_value")
    for contact, profile in measured.links("contact").items():
        held = issues[str(profile)]
        assert {name: shown[contact][name] for name in names} == {name: held[name.partition(".")[2]] for name in names}


def test_a_campaign_finds_the_contacts_of_a_loyalty_tier(measured: World) -> None:
    shown = opened(measured, "contact", "msdynci_loyaltytier,contact.emailaddress1")
    profiles = by(measured, PROFILES, "msdynci_customerprofileid")
    held = {
        contact: profiles[str(profile)]["msdynci_loyaltytier"] for contact, profile in measured.links("contact").items()
    }
    assert {contact: row.get("profile.msdynci_loyaltytier") for contact, row in shown.items()} == held
    tier = next(filter(None, held.values()))
    filtered = f"msdynci_lookupfield_customerprofile/msdynci_loyaltytier eq '{tier}'"
    campaign = measured.sandbox.rows("contacts", {"$select": "contactid", "$filter": filtered})
    assert {row["contactid"] for row in campaign} == {
        contact for contact, held_tier in held.items() if held_tier == tier
    }


@pytest.mark.parametrize("kind", ["measured", "elastic"], ids=["standard", "elastic"])
def test_one_row_shows_all_that_it_reaches(kind: str, request: pytest.FixtureRequest) -> None:
    made: World = request.getfixturevalue(kind)
    lead, profile = next(iter(made.links("lead").items()))
    told = httpx.get(f"{made.host.ready['url']}/api/rows/lead/{lead}/insights", timeout=120).raise_for_status().json()
    held = by(made, PROFILES, "msdynci_customerprofileid")[str(profile)]
    issues = by(made, "msdynci_supportissues", "_msdynci_profile_value")[str(profile)]
    assert (told["profile"], told["customer"], told["unreachable"]) == (profile, held["msdynci_customerid"], [])
    attributes = {value["name"]: value["value"] for value in told["attributes"]}
    assert attributes == {name: held[name] for name in attributes}
    assert {"msdynci_leadscore", "msdynci_loyaltytier"} <= attributes.keys()
    (related,) = next(rows["rows"] for rows in told["related"] if rows["table"] == "msdynci_supportissue")
    assert {value["name"]: value["value"] for value in related}["msdynci_lifetime"] == issues["msdynci_lifetime"]
    assert {value["name"]: value["value"] for value in told["measures"]}["LeadScore"] == held["msdynci_leadscore"]


def test_a_list_of_elastic_tables_gets_no_view_and_the_command_says_what_works_there(elastic: World) -> None:
    done = linker(elastic, "view", "lead", "--columns", "msdynci_leadscore")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing was written" in done.stderr
    assert "quick view form" in done.stderr
    with administrator(elastic) as client:
        assert client.get("savedqueries?$select=name").json()["value"] == []


def test_a_campaign_on_elastic_tables_reads_profiles_first_and_then_the_contacts_that_point_at_them(
    elastic: World,
) -> None:
    profiles = by(elastic, PROFILES, "msdynci_customerprofileid")
    tier = next(filter(None, (row["msdynci_loyaltytier"] for row in profiles.values())))
    asked = {"$select": "msdynci_customerprofileid", "$filter": f"msdynci_loyaltytier eq '{tier}'"}
    found = [row["msdynci_customerprofileid"] for row in elastic.sandbox.rows(PROFILES, asked)]
    campaign: set[str] = set()
    for some in batched(found, 50, strict=False):
        pointing = " or ".join(f"{LINK} eq {profile}" for profile in some)
        rows = elastic.sandbox.rows("contacts", {"$select": "contactid", "$filter": pointing})
        campaign |= {row["contactid"] for row in rows}
    links = elastic.links("contact")
    assert campaign
    assert campaign == {
        contact for contact, held in links.items() if held and profiles[held]["msdynci_loyaltytier"] == tier
    }


def test_the_rows_of_one_customer_are_listed_by_the_lookup_itself(elastic: World) -> None:
    links = elastic.links("contact")
    profile = next(filter(None, links.values()))
    filtered = f"{LINK} eq {profile}"
    rows = elastic.sandbox.rows("contacts", {"$select": "contactid", "$filter": filtered})
    assert {row["contactid"] for row in rows} == {contact for contact, held in links.items() if held == profile}


def test_the_command_says_what_it_would_do_and_refuses_what_it_cannot(measured: World, tmp_path: Path) -> None:
    dry = linker(measured, "view", "lead", "--columns", "msdynci_leadscore", "--name", "Dry", "--dry-run")
    assert (dry.returncode, "nothing was written" in dry.stdout, "viewid=" in dry.stdout) == (0, True, False)
    wrong = linker(measured, "view", "lead", "--columns", "msdynci_leadscoer")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Did you mean msdynci_leadscore" in wrong.stderr
    limited = linker(
        measured, "view", "lead", "--columns", "msdynci_leadscore", "--name", "Mine", "--yes", AZURE_CLIENT_ID=""
    )
    assert limited.returncode == 2
    assert "prvCreateQuery" in limited.stderr
