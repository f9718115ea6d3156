"""Loading folders of data files."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest

from sandbox.customer_insights.unification import read_request
from sandbox.data.csv_file import CsvFile
from sandbox.data.csv_folder import read_folder
from sandbox.data.lookup_column import LOOKUP
from sandbox.data.measures import with_measures
from sandbox.data.seed import store
from sandbox.database import Database, bulk_delete, count_rows, scan
from sandbox.database.unification import expected_links
from sandbox.schema.insights_tables import MAPPING, NAME_COLUMNS, PROFILES
from sandbox.server.app import Sandbox
from tests.sandbox.conftest import SAMPLE, Load
from tests.sandbox.data.folders import edit, rewrite


def rows_of(sandbox: Sandbox, table: str) -> int:
    return count_rows(sandbox.environment.database, sandbox.environment.database.schema.tables[table])


def truth(sandbox: Sandbox, table: str) -> list[str | None]:
    """Return the profile that each mapped row of a table should be linked to."""
    return [link.profile_id for link in expected_links(sandbox.environment.database, table)]


def test_all_rows_of_the_folder_are_loaded(sandbox: Sandbox) -> None:
    tables = ("contact", "lead", "msdynci_alternatekey", "msdynci_customerprofile")
    assert {table: rows_of(sandbox, table) for table in tables} == {
        "contact": 60,
        "lead": 30,
        "msdynci_alternatekey": 102,
        "msdynci_customerprofile": 40,
    }


def test_a_file_whose_key_is_not_a_guid_is_not_a_dataverse_table(sandbox: Sandbox) -> None:
    assert "loyCustomer" not in sandbox.environment.database.schema.tables


def test_loading_publishes_one_successful_unification(sandbox: Sandbox) -> None:
    (job,) = sandbox.simulator.workflow.jobs()
    assert job["jobStatus"] == "successful"
    assert [task["taskStatus"] for task in job["tasks"]] == ["successful"] * 4


def test_values_are_read_as_their_columns(sandbox: Sandbox) -> None:
    values = [
        value for (value,) in scan(sandbox.environment.database, "msdynci_customerprofile", ["msdynci_lifetimevalue"])
    ]
    assert all(isinstance(value, float) for value in values)


def test_full_names_are_put_together_as_dataverse_does(sandbox: Sandbox) -> None:
    names = list(scan(sandbox.environment.database, "contact", ["firstname", "lastname", "fullname"]))
    assert all(full == f"{first or ''} {last or ''}".strip() for first, last, full in names)


@pytest.mark.parametrize("wanted", NAME_COLUMNS)
@pytest.mark.parametrize("given", NAME_COLUMNS)
def test_either_column_of_a_file_names_tables_in_the_column_of_the_switch(
    given: str, wanted: str, folder: Path, load: Load
) -> None:
    rewrite(folder / "msdynci_alternatekey.csv", {"msdynci_tablename": given})
    sandbox = load(read_folder(folder), mapping_name_column=wanted)
    columns = sandbox.environment.database.schema.tables["msdynci_alternatekey"].columns
    assert set(NAME_COLUMNS) & columns.keys() == {wanted}
    named = {name for (name,) in scan(sandbox.environment.database, "msdynci_alternatekey", [wanted])}
    assert named == {"contact", "lead", "loyCustomer"}


def test_other_tables(folder: Path, load: Load) -> None:
    (folder / "contact.csv").rename(folder / "cr8a3_guest.csv")
    rewrite(folder / "cr8a3_guest.csv", {"contactid": "cr8a3_guestid", "governmentid": "cr8a3_passport"})
    rewrite(folder / "msdynci_alternatekey.csv", {",contact,": ",cr8a3_guest,"})
    sandbox = load(read_folder(folder))
    schema = sandbox.environment.database.schema
    assert rows_of(sandbox, "cr8a3_guest") == 60
    assert schema.tables["cr8a3_guest"].custom
    assert "cr8a3_passport" in schema.tables["cr8a3_guest"].columns


def test_a_table_without_a_file_is_only_named_by_the_mapping(folder: Path, load: Load) -> None:
    (folder / "loyCustomer.csv").unlink()
    assert rows_of(load(read_folder(folder)), "msdynci_alternatekey") == 102


def _marked(folder: Path) -> None:
    for path in folder.glob("*"):
        path.write_text("\ufeff" + path.read_text(encoding="utf-8").replace("\n", "\r\n"), encoding="utf-8", newline="")


def _shouted(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        header, _, rest = path.read_text(encoding="utf-8").partition("\n")
        path.write_text(f"{header.upper()}\n{rest}", encoding="utf-8")
    (folder / "contact.csv").rename(folder / "Contact.CSV")


def _braced(folder: Path) -> None:
    edit(folder / "contact.csv", lambda row: {**row, "contactid": f"{{{row['contactid'].upper()}}}"})


def _braced_mapping(folder: Path) -> None:
    name = "msdynci_alternatevalue"
    edit(folder / f"{MAPPING}.csv", lambda row: {**row, name: f"{{{row[name].upper()}}}"})


def _odd_mapping(folder: Path) -> None:
    """Write keys as data sources deliver them, and CustomerIds in capitals."""
    around = cycle((" {}", "{}\u00a0", "{}\r\n", "\t{}", " {{{}}} ", "({})", "urn:uuid:{}"))
    key, customer = "msdynci_alternatevalue", "msdynci_customerid"
    edit(
        folder / f"{MAPPING}.csv",
        lambda row: {**row, key: next(around).format(row[key]), customer: row[customer].upper()},
    )


def _key_at_the_end(folder: Path) -> None:
    edit(folder / "contact.csv", lambda row: {**{n: v for n, v in row.items() if n != "contactid"}, **row})


def _cut_short(folder: Path) -> None:
    path = folder / "contact.csv"
    path.write_text("\n".join(line.rpartition(",")[0] or line for line in path.read_text().splitlines()[1:]))
    path.write_text(",".join((SAMPLE / "contact.csv").read_text().splitlines()[:1]) + "\n" + path.read_text())


@pytest.mark.parametrize(
    "change", [_marked, _shouted, _braced, _braced_mapping, _odd_mapping, _key_at_the_end, _cut_short]
)
def test_a_folder_may_be_written_in_another_way(folder: Path, load: Load, change: Callable[[Path], None]) -> None:
    change(folder)
    sandbox = load(read_folder(folder))
    assert (rows_of(sandbox, "contact"), rows_of(sandbox, "lead")) == (60, 30)
    assert None not in truth(sandbox, "contact")
    keys = {str(key) for (key,) in scan(sandbox.environment.database, "contact", ["contactid"])}
    assert keys == {link.key for link in expected_links(sandbox.environment.database, "contact")}


@pytest.mark.parametrize("text", ["", "contactid,firstname\n"], ids=["nothing", "only a header"])
def test_a_table_may_be_empty(folder: Path, load: Load, text: str) -> None:
    (folder / "contact.csv").write_text(text)
    sandbox = load(read_folder(folder))
    assert (rows_of(sandbox, "contact"), rows_of(sandbox, "lead")) == (0, 30)


@pytest.mark.parametrize("name", [MAPPING, PROFILES])
def test_mapping_or_profiles_may_be_empty(folder: Path, load: Load, name: str) -> None:
    (folder / f"{name}.csv").write_text((folder / f"{name}.csv").read_text().partition("\n")[0])
    sandbox = load(with_measures(read_folder(folder)))
    assert rows_of(sandbox, name) == 0
    assert not any(truth(sandbox, "contact"))


def test_a_source_may_have_guids_for_keys_and_a_column_that_is_called_name(folder: Path, load: Load) -> None:
    edit(folder / "loyCustomer.csv", lambda row: {**row, "LoyaltyID": str(uuid5(NAMESPACE_DNS, row["LoyaltyID"]))})
    sandbox = load(read_folder(folder))
    assert rows_of(sandbox, "loycustomer") == 12


@pytest.mark.parametrize(
    ("name", "entity_set"),
    [("incident", "incidents"), ("opportunity", "opportunities"), ("cr8a3_guest", "cr8a3_guestset")],
)
def test_other_tables_have_the_entity_sets_that_metadata_name(
    folder: Path, load: Load, name: str, entity_set: str
) -> None:
    edit(folder / "lead.csv", lambda row: {f"{name}id": row["leadid"], "title": row["subject"]})
    (folder / "lead.csv").rename(folder / f"{name}.csv")
    table = load(read_folder(folder)).environment.database.schema.tables[name]
    assert (table.entity_set, table.primary_id) == (entity_set, f"{name}id")


def test_of_rows_with_the_same_key_the_last_one_stays_and_one_is_counted(folder: Path) -> None:
    path = folder / "contact.csv"
    header, first, *others = path.read_text().splitlines()
    path.write_text("\n".join([header, first, *others, first]))
    database = Database()
    assert store(read_folder(folder), database)["contact"] == 60
    database.close()


@pytest.mark.parametrize("age_s", [0.0, 86_400.0])
def test_loaded_rows_are_as_old_as_the_switch_says(folder: Path, load: Load, age_s: float) -> None:
    began = datetime.now(UTC)
    database = load(read_folder(folder), loaded_age_s=age_s).environment.database
    ended = datetime.now(UTC)
    for table in ("contact", MAPPING, PROFILES):
        times = {datetime.fromisoformat(str(time)) for (time,) in scan(database, table, ["modifiedon"])}
        assert all(
            began - timedelta(seconds=age_s + 1) <= time <= ended - timedelta(seconds=age_s) for time in times
        ), table


@pytest.mark.parametrize(("kind", "emptied"), [("standard", True), ("elastic", False), ("virtual", False)])
def test_links_that_were_there_already_are_links(folder: Path, load: Load, kind: str, emptied: bool) -> None:
    profile = next(CsvFile(folder / f"{PROFILES}.csv").rows())["msdynci_customerprofileid"]
    edit(folder / "contact.csv", lambda row: {**row, LOOKUP: f"{{{profile}}}"})
    edit(folder / "lead.csv", lambda row: {**row, LOOKUP: ""})
    sandbox = load(read_folder(folder), profile_table=kind)
    database = sandbox.environment.database
    assert {link for (link,) in scan(database, "contact", [LOOKUP])} == {profile}
    assert {link for (link,) in scan(database, "lead", [LOOKUP])} == {None}
    bulk_delete(database, PROFILES, [str(profile)])
    assert {link for (link,) in scan(database, "contact", [LOOKUP])} == {None if emptied else profile}


def test_files_that_make_no_table_are_reported(folder: Path) -> None:
    (folder / "some notes.csv").write_text(f"id\n{uuid5(NAMESPACE_DNS, 'note')}\n")
    assert read_folder(folder).outside == ("loyCustomer.csv", "some notes.csv")


def test_the_column_of_an_unknown_attribute_is_added(folder: Path, load: Load) -> None:
    rewrite(folder / "lead.csv", {"subject": "new_campaign"})
    table = load(read_folder(folder)).environment.database.schema.tables["lead"]
    assert "new_campaign" in table.columns


def test_the_sample_is_consistent() -> None:
    def column(table: str, name: str) -> list[str]:
        with (SAMPLE / f"{table}.csv").open(newline="") as file:
            return [row[name] for row in csv.DictReader(file)]

    keys = {*column("contact", "contactid"), *column("lead", "leadid"), *column("loyCustomer", "LoyaltyID")}
    assert keys == set(column("msdynci_alternatekey", "msdynci_alternatevalue"))
    profiles = column("msdynci_customerprofile", "msdynci_customerid")
    assert set(profiles) == set(column("msdynci_alternatekey", "msdynci_customerid"))


async def test_rows_with_odd_keys_take_part_in_every_change(folder: Path, load: Load) -> None:
    _odd_mapping(folder)
    sandbox = load(read_folder(folder), stale_s=0)
    done = await sandbox.simulator.run(read_request({"recreate": 0.5, "move": 0.1, "drop": 0.1}))
    assert done["recreated"] > 10
