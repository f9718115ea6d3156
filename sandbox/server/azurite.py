"""Starts Microsoft's Azurite (Table Storage) beside the sandbox and ends it again."""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parents[2]
_LOCAL: Final = ".tools/node_modules/.bin/azurite-table"
# Azurite's well-known development account, published in Microsoft's documentation: not a secret.
_ACCOUNT: Final = "devstoreaccount1"
_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 60.0  # it saves its tables
_PR_SET_PDEATHSIG: Final = 1
_OWN_PORTS: Final = range(10_100, 16_000)


class AzuriteError(RuntimeError):
    """Azurite is missing or did not start; the message says what to do."""


def connection_string(port: int) -> str:
    """Return the development connection string for a table endpoint on this port of 127.0.0.1."""
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};TableEndpoint={endpoint};"


def find_azurite(project: Path = _PROJECT) -> Path:
    """Return the program: `AZURITE_TABLE`, the project's `.tools` folder, or PATH, in this order.

    Raises AzuriteError if it is not installed.
    """
    named = os.environ.get("AZURITE_TABLE")
    for candidate in (named, str(project / _LOCAL), "azurite-table"):
        found = shutil.which(candidate) if candidate else None
        if found:
            return Path(found)
    raise AzuriteError(
        "Azurite was not found. Run `make setup` (it needs Node 20 or newer), or name its azurite-table program in "
        "AZURITE_TABLE, or start without Table Storage by --no-azurite."
    )


@dataclass(frozen=True, slots=True)
class Azurite:
    """Azurite while it runs, on a port of 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int


@contextmanager
def azurite_tables(folder: Path | None = None) -> Iterator[str]:
    """Run Azurite on a free port and yield its connection string; see `azurite`."""
    with azurite(folder) as running:
        yield connection_string(running.port)


@contextmanager
def azurite(folder: Path | None = None, port: int = 0) -> Iterator[Azurite]:
    """Run Azurite on a port, 0 for a free one; it has ended when the block is left.

    `folder` keeps the tables between runs; without it they live in memory.
    Raises AzuriteError if the program is missing or not ready within two minutes.
    """
    port = port or lasting_port()
    process = subprocess.Popen(
        _command(find_azurite(), port, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the sandbox, which then ends Azurite in order
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no thread runs yet
    )
    try:
        _wait_until_ready(process, port)
        yield Azurite(process, port)
    finally:
        _stop(process)


def _command(program: Path, port: int, folder: Path | None) -> list[str]:
    place = ["--inMemoryPersistence"] if folder is None else ["--location", str(folder)]
    return [str(program), "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--tablePort", str(port), *place]


def _end_with_parent() -> None:
    """Ask Linux to end this process when the sandbox is killed and cannot do it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def lasting_port() -> int:
    """Return a port that is free, and stays so until its program listens: systems give out ports above these."""
    while True:
        port = secrets.choice(_OWN_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AzuriteError(
                f"Azurite ended at once with exit code {process.returncode}. Does `node --version` work?"
            )
        if _accepts(port):
            return
        time.sleep(0.05)
    raise AzuriteError(f"Azurite was not ready within {_START_TIMEOUT_S:.0f} s.")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # the one signal on which Azurite saves its tables before it ends
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
