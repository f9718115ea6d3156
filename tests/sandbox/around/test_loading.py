"""Loading folders of data files."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from sandbox.database import count_rows, scan
from sandbox.loading import FolderError, read_folder
from sandbox.server import Sandbox

from .conftest import SAMPLE, Load


def rows_of(sandbox: Sandbox, table: str) -> int:
    return count_rows(sandbox.environment.database, sandbox.environment.database.schema.tables[table])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "data"))


def rewrite(path: Path, change: dict[str, str]) -> None:
    """Rename words in a file."""
    text = path.read_text(encoding="utf-8")
    for before, after in change.items():
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_all_rows_of_the_folder_are_loaded(sandbox: Sandbox) -> None:
    tables = ("contact", "lead", "msdynci_alternatekey", "msdynci_customerprofile")
    assert {table: rows_of(sandbox, table) for table in tables} == {
        "contact": 60,
        "lead": 30,
        "msdynci_alternatekey": 102,
        "msdynci_customerprofile": 40,
    }


def test_a_file_whose_key_is_no_guid_is_no_dataverse_table(sandbox: Sandbox) -> None:
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


def test_other_tables_and_the_other_mapping_column(folder: Path, load: Load) -> None:
    (folder / "contact.csv").rename(folder / "cr8a3_guest.csv")
    rewrite(folder / "cr8a3_guest.csv", {"contactid": "cr8a3_guestid", "governmentid": "cr8a3_passport"})
    rewrite(
        folder / "msdynci_alternatekey.csv", {"msdynci_tablename": "msdynci_entityname", ",contact,": ",cr8a3_guest,"}
    )
    sandbox = load(read_folder(folder))
    schema = sandbox.environment.database.schema
    assert rows_of(sandbox, "cr8a3_guest") == 60
    assert schema.tables["cr8a3_guest"].custom
    assert "cr8a3_passport" in schema.tables["cr8a3_guest"].columns
    assert "msdynci_entityname" in schema.tables["msdynci_alternatekey"].columns
    assert "msdynci_tablename" not in schema.tables["msdynci_alternatekey"].columns


def test_a_table_without_a_file_is_only_named_by_the_mapping(folder: Path, load: Load) -> None:
    (folder / "loyCustomer.csv").unlink()
    assert rows_of(load(read_folder(folder)), "msdynci_alternatekey") == 102


def test_the_column_of_an_unknown_attribute_is_added(folder: Path, load: Load) -> None:
    rewrite(folder / "lead.csv", {"subject": "new_campaign"})
    table = load(read_folder(folder)).environment.database.schema.tables["lead"]
    assert "new_campaign" in table.columns


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        pytest.param("msdynci_alternatekey.csv", "msdynci_alternatekey", id="no mapping"),
        pytest.param("msdynci_customerprofile.csv", "msdynci_customerprofile", id="no profiles"),
        pytest.param("environment.json", "environment.json", id="no environment"),
    ],
)
def test_an_incomplete_folder_is_refused_by_name(folder: Path, missing: str, named: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(FolderError, match=named):
        read_folder(folder)


def test_a_mapping_without_table_names_is_refused(folder: Path) -> None:
    rewrite(folder / "msdynci_alternatekey.csv", {"msdynci_tablename": "msdynci_source"})
    with pytest.raises(FolderError, match="msdynci_entityname"):
        read_folder(folder)


def test_an_environment_without_data_sources_is_refused(folder: Path) -> None:
    (folder / "environment.json").write_text(json.dumps({"instance": {}}))
    with pytest.raises(FolderError, match="datasources"):
        read_folder(folder)


def test_the_sample_is_consistent() -> None:
    def column(table: str, name: str) -> list[str]:
        with (SAMPLE / f"{table}.csv").open(newline="") as file:
            return [row[name] for row in csv.DictReader(file)]

    keys = {*column("contact", "contactid"), *column("lead", "leadid"), *column("loyCustomer", "LoyaltyID")}
    assert keys == set(column("msdynci_alternatekey", "msdynci_alternatevalue"))
    profiles = column("msdynci_customerprofile", "msdynci_customerid")
    assert set(profiles) == set(column("msdynci_alternatekey", "msdynci_customerid"))
