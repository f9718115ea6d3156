"""The processes under measurement: a sandbox, and the local Functions host with the linker in it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from linker.settings import default_of

STOP_S = 20.0
POLL_S = 0.2
TABLE = "contact"


@dataclass(frozen=True, slots=True)
class Environment:
    """A running sandbox with `rows` contacts and nothing else."""

    ready: Mapping[str, str]
    rows: int
    admin: httpx.Client

    @property
    def url(self) -> str:
        """Address of Dataverse."""
        return self.ready["dataverse"]

    @property
    def ca(self) -> str:
        """Path of the certificate authority to trust."""
        return self.ready["ca"]

    def trust(self) -> ssl.SSLContext:
        """Return the trust in this sandbox alone."""
        return ssl.create_default_context(cafile=self.ca)

    def token(self) -> str:
        """Return a bearer token of the linker's identity."""
        answer = self.admin.get(
            self.ready["identityEndpoint"],
            params={"api-version": "2019-08-01", "resource": self.url},
            headers={"X-IDENTITY-HEADER": self.ready["identityHeader"]},
        )
        return str(answer.raise_for_status().json()["access_token"])

    def configure(self, switches: Mapping[str, object]) -> None:
        """Change switches of the sandbox."""
        self.admin.post("/sandbox/config", json=dict(switches)).raise_for_status()

    def arm(self, faults: Sequence[Mapping[str, object]]) -> None:
        """Arm faults."""
        self.admin.post("/sandbox/faults", json=list(faults)).raise_for_status()

    def reset(self) -> None:
        """Count from zero, limits included."""
        self.admin.post("/sandbox/counters/reset", params={"protection": "true"}).raise_for_status()

    def counters(self) -> dict[str, Any]:
        """Return what was asked and written since the last reset."""
        found: dict[str, Any] = self.admin.get("/sandbox/counters").raise_for_status().json()
        return found

    def unify(self, changes: Mapping[str, object]) -> str:
        """Run a unification and return its job id."""
        answer = self.admin.post("/sandbox/unifications", json=dict(changes)).raise_for_status()
        return str(answer.json()["jobId"])

    def truth(self) -> dict[str, str]:
        """Return the profile id that each row should be linked to."""
        return {row: profile for row, profile in self.mapped().items() if profile}

    def mapped(self) -> dict[str, str | None]:
        """Return the profile id of each row that the mapping names, None while the profile is missing."""
        text = self.admin.get("/sandbox/truth", params={"table": TABLE}).raise_for_status().text
        return {link["id"]: link["profileId"] for link in map(json.loads, text.splitlines())}


@contextmanager
def sandbox(rows: int, *, azurite: bool = True, tables: str = "elastic", age_s: float = 0.0) -> Iterator[Environment]:
    """Run a fresh sandbox over https. The same number of rows gives the same rows. `tables` is the kind of the profile and
    the mapping table. The rows were written `age_s` seconds ago.
    """
    with TemporaryDirectory() as folder:
        options = ["--contacts", str(rows), "--leads", "0", "--members", "0", "--seed", "1", "--no-measures", "--https"]
        options += ["--tables", tables, "--switch", f"loaded_age_s={age_s}"]
        command = ["serve", "--port", "0", *options, "--tls-folder", folder, "--azurite" if azurite else "--no-azurite"]
        with running([sys.executable, "-m", "sandbox", *command], {}) as (ready, _):
            trust = ssl.create_default_context(cafile=ready["ca"])
            with httpx.Client(base_url=ready["dataverse"], verify=trust, timeout=600, trust_env=False) as admin:
                yield Environment(ready, rows, admin)


@dataclass(frozen=True, slots=True)
class AppHost:
    """The local Functions host with the linker. `hub` has the figures of its task hub once the host has ended."""

    url: str
    pid: int
    hub: dict[str, Any] = field(default_factory=dict)

    def peak_mb(self) -> float:
        """Return the most memory the process has held so far, in MB of 2**20 bytes."""
        return self._memory_mb("VmHWM:")

    def memory_mb(self) -> float:
        """Return the memory that the process holds now, in MB of 2**20 bytes."""
        return self._memory_mb("VmRSS:")

    def _memory_mb(self, what: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    def cpu_s(self) -> float:
        """Return the processor time that the process and those that it started have used so far, in seconds."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        return sum(_cpu_s(pid) for pid in (str(self.pid), *children))

    def client(self) -> httpx.Client:
        """Return a client of the host."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def run(self, request: Mapping[str, object] | None = None, *, path: str = "/api/runs") -> dict[str, Any]:
        """Ask for a run and return it when it has ended, with its wall time as `wallSeconds`."""
        with self.client() as client:
            started = time.perf_counter()
            run = client.post(path, json=dict(request or {})).raise_for_status().json()
            return {**ended(client, run["id"]), "wallSeconds": time.perf_counter() - started}


def _cpu_s(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended(client: httpx.Client, run: str) -> dict[str, Any]:
    """Return a run when it has ended."""
    while True:
        found: dict[str, Any] = client.get(f"/api/runs/{run}").raise_for_status().json()
        if found["endedAt"]:
            return found
        time.sleep(POLL_S)


@contextmanager
def app_host(
    environment: Environment, *, touch: bool = False, processes: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[AppHost]:
    """Run the linker against a sandbox. Without the profile touch it does what its competitors do. Two `processes` share
    the shards of a run. `settings` are app settings besides.
    """
    with TemporaryDirectory() as folder:
        meter = Path(folder) / "meter.json"
        switches = {
            "BENCH_METER": str(meter),
            "BENCH_PROCESSES": str(processes),
            "LINKER_TOUCH_PROFILES": str(touch).lower(),
        }
        values = linker_settings(environment) | switches | dict(settings or {})
        with running([sys.executable, "-m", "bench.metered_host"], values) as (ready, pid):
            host = AppHost(ready["url"], pid)
            yield host
        host.hub.update(json.loads(meter.read_text(encoding="utf-8")))


_DEFAULTS = (
    "LINKER_LEASE_SECONDS",
    "LINKER_ATTEMPT_SECONDS",
    "LINKER_WRITE_TIMEOUT_SECONDS",
    "LINKER_WATCHDOG_SCHEDULE",
)


def linker_settings(environment: Environment) -> dict[str, str]:
    """Return the environment variables with which the linker works against a sandbox."""
    ready = environment.ready
    return {
        "LINKER_DATAVERSE_URL": ready["dataverse"],
        "LINKER_STORAGE": ready["tables"],
        "LINKER_INSIGHTS_URL": ready["insights"],
        "LINKER_INSIGHTS_INSTANCE_ID": ready["instanceId"],
        "LINKER_SETTLE_MINUTES": "0",
        "LINKER_POLL": "false",
        # The local host's short limits suit a demonstration; these are the defaults of a deployed app.
        **{name: default_of(name) or "" for name in _DEFAULTS},
        "IDENTITY_ENDPOINT": ready["identityEndpoint"],
        "IDENTITY_HEADER": ready["identityHeader"],
        "SSL_CERT_FILE": ready["ca"],
        "REQUESTS_CA_BUNDLE": ready["ca"],
    }


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[tuple[dict[str, str], int]]:
    """Start a process, wait for its ready line, and end it with the block."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **settings}, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"{' '.join(command[1:3])} did not start; run it by hand to see why.")
        yield json.loads(line), process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
