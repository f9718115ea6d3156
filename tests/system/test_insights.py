"""What linking is for: the documented examples, from a unification with measures to a list that shows them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .administrator import linker
from .world import SAMPLE, World, world

LINK = "_msdynci_lookupfield_customerprofile_value"
PROFILES = "msdynci_customerprofiles"


@pytest.fixture(scope="module")
def measured(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sample with measures, linked, after some rows moved to other customers."""
    with world(tables, tmp_path_factory.mktemp("logs"), "--measures", "--load", str(SAMPLE)) as made:
        assert made.publish()["status"] == "Successful"
        done = made.unify(move=0.2, seed=5)
        assert (done["moved"] > 0, made.publish(done["jobId"])["status"]) == (True, "Successful")
        yield made


def opened(made: World, table: str, columns: str) -> dict[str, dict[str, Any]]:
    """Make a view, and open it over the Web API as a user does; returns its rows by id."""
    done = linker(made, "view", table, "--columns", columns, "--name", f"{table}: {columns}")
    assert done.returncode == 0, done.stderr
    (view,) = re.findall(r"savedQuery=([0-9a-f-]{36})", done.stdout)
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


def test_one_row_shows_all_that_it_reaches(measured: World) -> None:
    lead, profile = next(iter(measured.links("lead").items()))
    told = httpx.get(f"{measured.host.ready['url']}/api/rows/lead/{lead}/insights").raise_for_status().json()
    held = by(measured, PROFILES, "msdynci_customerprofileid")[str(profile)]
    issues = by(measured, "msdynci_supportissues", "_msdynci_profile_value")[str(profile)]
    assert (told["profile"], told["customer"], told["unreachable"]) == (profile, held["msdynci_customerid"], [])
    attributes = {value["name"]: value["value"] for value in told["attributes"]}
    assert attributes == {name: held[name] for name in attributes}
    assert {"msdynci_leadscore", "msdynci_loyaltytier"} <= attributes.keys()
    ((related,),) = (rows["rows"] for rows in told["related"])
    assert {value["name"]: value["value"] for value in related}["msdynci_lifetime"] == issues["msdynci_lifetime"]
    assert {value["name"]: value["value"] for value in told["measures"]}["LeadScore"] == held["msdynci_leadscore"]


def test_the_command_says_what_it_would_do_and_refuses_what_it_cannot(measured: World, tmp_path: Path) -> None:
    dry = linker(measured, "view", "lead", "--columns", "msdynci_leadscore", "--name", "Dry", "--dry-run")
    assert (dry.returncode, "nothing was written" in dry.stdout, "savedQuery=" in dry.stdout) == (0, True, False)
    wrong = linker(measured, "view", "lead", "--columns", "msdynci_leadscoer")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Did you mean msdynci_leadscore" in wrong.stderr
    limited = linker(measured, "view", "lead", "--columns", "msdynci_leadscore", "--name", "Mine", AZURE_CLIENT_ID="")
    assert limited.returncode == 2
    assert "prvCreateQuery" in limited.stderr
