"""The command `serve`, as a process."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.database import Database
from tests.sandbox.conftest import SAMPLE

COMMAND = [sys.executable, "-m", "sandbox"]


@contextmanager
def serving(*options: str, end: signal.Signals = signal.SIGTERM) -> Iterator[dict[str, Any]]:
    """Run the command, yield its ready line, end it by a signal and check that it ended in order."""
    command = [*COMMAND, "serve", "--port", "0", "--no-azurite", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(end)
        assert process.wait(120) == 0
        assert process.stdout.read() == ""
        process.stdout.close()


def token(ready: dict[str, Any], verify: ssl.SSLContext | bool = True) -> dict[str, str]:
    query = {"api-version": "2019-08-01", "resource": ready["dataverse"]}
    headers = {"X-IDENTITY-HEADER": ready["identityHeader"]}
    answer = httpx.get(ready["identityEndpoint"], params=query, headers=headers, verify=verify, timeout=120)
    return {"Authorization": "Bearer " + answer.json()["access_token"]}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_one_json_line_shows_where_everything_is(end: signal.Signals) -> None:
    with serving("--load", str(SAMPLE), end=end) as ready:
        assert ready["dataverse"].startswith("http://127.0.0.1:")
        assert not ready["dataverse"].endswith("/")
        assert ready["tables"] is None
        headers = token(ready)
        contacts = httpx.get(f"{ready['dataverse']}/api/data/v9.2/contacts/$count", headers=headers, timeout=120)
        instance = httpx.get(f"{ready['insights']}/instances/{ready['instanceId']}", headers=headers, timeout=120)
    assert contacts.text.lstrip("\ufeff") == "60"
    assert instance.json()["cdsOrgInfo"]["url"] == ready["dataverse"]


def test_a_file_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    options = ("--db", str(tmp_path / "sandbox.db"), "--load", str(SAMPLE))
    with serving(*options) as ready:
        httpx.post(f"{ready['dataverse']}/sandbox/unifications", json={"move": 0.1}, timeout=120)
        truth = httpx.get(f"{ready['dataverse']}/sandbox/truth?table=contact", timeout=120).text
        header = ready["identityHeader"]
    with serving(*options) as ready:
        assert ready["identityHeader"] == header
        assert httpx.get(f"{ready['dataverse']}/sandbox/truth?table=contact", timeout=120).text == truth
        assert len(httpx.get(f"{ready['dataverse']}/sandbox/unifications", timeout=120).json()) == 2


def test_a_file_with_tables_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.db"
    with closing(Database(str(file))):
        pass
    command = [*COMMAND, "serve", "--port", "0", "--no-azurite", "--db", str(file)]
    done = subprocess.run([*command, "--tables", "standard"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "msdynci_customerprofile is elastic, and the switches say standard" in done.stderr


def test_https_is_trusted_through_its_own_ca(tmp_path: Path) -> None:
    options = ("--contacts", "5", "--leads", "0", "--members", "3", "--https", "--tls-folder", str(tmp_path))
    with serving(*options) as ready:
        assert ready["dataverse"].startswith("https://")
        trusting = ssl.create_default_context(cafile=ready["ca"])
        answer = httpx.get(
            f"{ready['dataverse']}/api/data/v9.2/new_memberset/$count",
            headers=token(ready, trusting),
            verify=trusting,
            timeout=120,
        )
    assert answer.text.lstrip("\ufeff") == "3"


def test_switches_and_faults_are_taken_from_the_command_line(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"kind": "unavailable", "path": "WhoAmI"}]))
    options = (
        "--load",
        str(SAMPLE),
        "--switch",
        "dop_hint=7",
        "--switch",
        "string_order=ordinal",
        "--faults",
        str(faults),
    )
    with serving(*options) as ready:
        config = httpx.get(f"{ready['dataverse']}/sandbox/config", timeout=120).json()
        answer = httpx.get(f"{ready['dataverse']}/api/data/v9.2/WhoAmI", headers=token(ready), timeout=120)
    assert (config["dop_hint"], config["string_order"]) == (7, "ordinal")
    assert answer.status_code == 503


def test_unify_prints_what_it_changed_over_https_too(tmp_path: Path) -> None:
    with serving("--load", str(SAMPLE), "--https", "--tls-folder", str(tmp_path)) as ready:
        command = [*COMMAND, "unify", "--url", ready["dataverse"] + "/", "move=0.1", "seed=7"]
        env = {**os.environ, "SSL_CERT_FILE": ready["ca"]}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert json.loads(done.stdout)["moved"] == 9


def test_unify_shows_where_it_found_no_sandbox() -> None:
    with socket.socket() as deaf:  # has the port, and does not listen
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "unify", "--url", url, "move=0.1"], capture_output=True, text=True, check=False
        )
    assert (done.returncode, url in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(("--load", str(SAMPLE.parent)), "msdynci_alternatekey", id="no unification in the folder"),
        pytest.param(("--switch", "speed=9"), "speed", id="unknown switch"),
        pytest.param(("--switch", "ms_per_row=Infinity"), "ms_per_row", id="no end of waiting"),
        pytest.param(("--db", __file__), "cannot be used", id="no database"),
        pytest.param(("--db", str(Path(__file__).with_name("none") / "x.db")), "cannot be used", id="no folder"),
        pytest.param(("--faults", __file__), "is not JSON", id="faults that are no JSON"),
    ],
)
def test_a_start_that_cannot_be_is_reported_in_one_sentence(options: tuple[str, ...], told: str) -> None:
    command = [*COMMAND, "serve", "--port", "0", "--no-azurite", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_value_that_cannot_be_read_is_reported_in_one_sentence(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "data"))
    profiles = folder / "msdynci_customerprofile.csv"
    profiles.write_text(profiles.read_text().replace(".", ";"))
    command = [*COMMAND, "serve", "--port", "0", "--no-azurite", "--load", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "msdynci_lifetimevalue" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "serve", "--no-azurite", "--port", port, "--load", str(SAMPLE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
