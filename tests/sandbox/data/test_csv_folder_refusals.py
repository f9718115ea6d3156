"""Folders of data files that cannot be loaded: what is reported."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.data.csv_folder import FolderError, read_folder
from sandbox.data.seed import DataError
from sandbox.schema.insights_tables import MAPPING, PROFILES
from tests.sandbox.conftest import Load
from tests.sandbox.data.folders import edit, rewrite


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


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (MAPPING, "msdynci_alternatekeyid"),
        (MAPPING, "msdynci_datasourcename"),
        (MAPPING, "msdynci_identifier"),
        (MAPPING, "msdynci_alternatevalue"),
        (MAPPING, "msdynci_customerid"),
        (PROFILES, "msdynci_customerid"),
        (PROFILES, "msdynci_customerprofileid"),
        ("contact", "contactid"),
    ],
)
def test_a_missing_column_is_named_with_its_file(folder: Path, table: str, column: str) -> None:
    edit(folder / f"{table}.csv", lambda row: {name: value for name, value in row.items() if name != column})
    with pytest.raises(FolderError, match=f"{table}.csv.*{column}"):
        read_folder(folder)


def _twice(folder: Path) -> None:
    rewrite(folder / "contact.csv", {"firstname,": "lastname,"})


def _too_wide(folder: Path) -> None:
    path = folder / "contact.csv"
    path.write_text(path.read_text().rstrip("\n") + ",too,much\n")


def _latin(folder: Path) -> None:
    path = folder / "contact.csv"
    path.write_bytes(path.read_bytes() + "0,J\u00fcrgen\n".encode("latin-1"))


def _no_guid(folder: Path) -> None:
    rewrite(folder / "contact.csv", {(folder / "contact.csv").read_text().splitlines()[8][:36]: "nothing"})


def _too_long(folder: Path) -> None:
    edit(folder / "contact.csv", lambda row: {**row, "firstname": row["firstname"] * 30})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(_twice, "contact.csv names the column 'lastname' twice", id="a column named twice"),
        pytest.param(_too_wide, "contact.csv, row 60: 12 values for 10 columns", id="a row that is too wide"),
        pytest.param(_latin, "contact.csv cannot be read as CSV in UTF-8", id="another encoding"),
        pytest.param(_no_guid, "contact, row 8: contactid.*nothing", id="a key that is no guid"),
        pytest.param(_too_long, "contact, row 1: firstname: longer", id="a text that is too long"),
    ],
)
def test_what_cannot_be_loaded_is_reported_by_file_and_row(
    folder: Path, load: Load, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder)
    with pytest.raises((FolderError, DataError), match=told):
        load(read_folder(folder))


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        pytest.param({"instance": {"name": "x"}, "datasources": []}, "instanceId", id="no instance id"),
        pytest.param({"instance": {"instanceId": "1"}, "datasources": {}}, "datasources", id="no list"),
        pytest.param({"instance": {"instanceId": "1"}, "datasources": [{}]}, "dataSourceMetadata", id="no metadata"),
    ],
)
def test_an_environment_of_another_form_is_refused(folder: Path, environment: dict[str, object], told: str) -> None:
    (folder / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(FolderError, match=told):
        read_folder(folder)


def test_an_environment_without_data_sources_is_refused(folder: Path) -> None:
    (folder / "environment.json").write_text(json.dumps({"instance": {}}))
    with pytest.raises(FolderError, match="datasources"):
        read_folder(folder)
