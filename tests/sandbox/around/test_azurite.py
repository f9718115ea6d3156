from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from sandbox.azurite import AzuriteError, azurite_tables, find_azurite


def installed() -> bool:
    try:
        find_azurite()
    except AzuriteError:
        return False
    return True


needs_azurite = pytest.mark.skipif(not installed(), reason="Azurite is not installed")


@needs_azurite
def test_tables_work_while_the_block_is_open_and_are_gone_after_it() -> None:
    with azurite_tables() as connection, TableServiceClient.from_connection_string(connection) as service:
        table = service.create_table("linkerstatus")
        table.create_entity({"PartitionKey": "a", "RowKey": "b", "n": 1})
        assert table.get_entity("a", "b")["n"] == 1
    with azurite_tables() as connection, TableServiceClient.from_connection_string(connection) as service:
        assert list(service.list_tables()) == []


@needs_azurite
def test_a_folder_keeps_the_tables(tmp_path: Path) -> None:
    with azurite_tables(tmp_path) as connection, TableServiceClient.from_connection_string(connection) as service:
        service.create_table("linkerstatus")
    with azurite_tables(tmp_path) as connection, TableServiceClient.from_connection_string(connection) as service:
        assert [table.name for table in service.list_tables()] == ["linkerstatus"]


def test_a_missing_program_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AZURITE_TABLE", str(tmp_path / "absent"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AzuriteError, match="make setup"):
        find_azurite()
