import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from sandbox.server.azurite import AzuriteError, azurite_tables, find_azurite


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
    with pytest.raises(AzuriteError, match="make setup"):
        find_azurite(tmp_path)


def test_the_program_of_the_project_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURITE_TABLE", raising=False)
    program = tmp_path / ".tools" / "node_modules" / ".bin" / "azurite-table"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert find_azurite(tmp_path) == program


@needs_azurite
def test_azurite_ends_when_the_sandbox_is_killed() -> None:
    script = (
        "import os, signal; from sandbox.server.azurite import azurite_tables\n"
        "with azurite_tables() as connection: print(connection, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    port = int(done.stdout.rpartition(":")[2].partition("/")[0])
    for _ in range(1_200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    pytest.fail("Azurite is still listening.")
