"""Sandbox and app as child processes, talked to over HTTP alone."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sandbox.data.lookup_column import LOOKUP
from sandbox.demo.children import Child, host_process, sandbox_process
from sandbox.demo.clients import App, Json, Sandbox
from sandbox.demo.story import rows_of
from sandbox.schema.insights_tables import PROFILES
from tests.fakes.stored_state import forget_environment
from tests.security.leaks import secrets_of, texts_in

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "febrl-sample"
FEBRL = ROOT.parent / "shared" / "data" / "febrl3"
TABLES = ("contact", "lead")
PATIENCE_S = 120.0


@dataclass(slots=True)
class World:
    """One sandbox, and the host that runs the app against it. `settings` are app settings of its own."""

    sandbox: Sandbox
    logs: Path
    settings: dict[str, str]
    stack: ExitStack
    host: Child = field(init=False)
    app: App = field(init=False)

    def start_host(self, **settings: str) -> None:
        """Start the app; the one before has to be dead."""
        self.host = self.stack.enter_context(host_process(self.sandbox.ready, self.settings | settings, self.logs))
        self.app = self.stack.enter_context(App(self.host.ready["url"]))

    def tick(self, timer: str) -> None:
        """Let a timer of the app tick now; it works on after this returns."""
        answer = httpx.post(f"{self.host.ready['url']}/admin/functions/{timer}", json={}, timeout=120)
        assert answer.status_code == 202

    def kill_host(self) -> None:
        """End the app without giving it a chance to do anything about it."""
        self.host.process.kill()
        self.host.process.wait()

    def ended(self, run: Json | str) -> Json:
        """Return a run once it has ended."""
        run_id = run if isinstance(run, str) else run["id"]
        return until(lambda: self.app.run(run_id), lambda shown: bool(shown["endedAt"]))

    def instance(self, run: str, host: Child | None = None) -> Json:
        """Return the durable orchestration of a run, on the host of this world or another one."""
        url = (host or self.host).ready["url"]
        return dict(httpx.get(f"{url}/runtime/webhooks/durabletask/instances/{run}", timeout=60).json())

    def publish(self, job: str | None = None) -> Json:
        """Publish a unification, the newest one by default, and return the run that served it."""
        return self.ended(self.app.publish(job or self.sandbox.last_job()))

    def unify(self, **request: object) -> Json:
        """Run a unification and publish it; returns what it changed, and counts from zero from here on."""
        done = self.sandbox.unify(**request)
        self.sandbox.reset_counters()
        return done

    def counted(self, what: str, *tables: str) -> int:
        """Return rows that the sandbox counted since the last reset, over some tables, or over all but the profiles."""
        counters = self.sandbox.counters()
        return rows_of(counters, what, tables or counters["tables"].keys() - {PROFILES})

    @contextmanager
    def holding(self, **matchers: object) -> Iterator[None]:
        """Let requests that match wait until the end of the block: a run stands still there, however fast the machine is."""
        (held,) = self.sandbox.admin("POST", "faults", {"kind": "held", "times": None, **matchers})["ids"]
        try:
            yield
        finally:
            self.sandbox.admin("DELETE", f"faults/{held}")

    def links(self, table: str) -> dict[str, str | None]:
        """Return every row of a table with its link, read through the Web API."""
        return dict(self.sandbox.links(table))

    def truth(self, table: str) -> dict[str, str | None]:
        """Return the links that mapping and profiles ask for now, as the sandbox says."""
        return {row: profile for row, (profile,) in self.sandbox.truth(table).items()}

    def edit_link(self, table: str, row: str, profile: str | None) -> None:
        """Set or clear a link as a person would, through the Web API."""
        ready = self.sandbox.ready
        asked = {"api-version": "2019-08-01", "resource": ready["dataverse"], "client_id": "admin"}
        secret = {"X-IDENTITY-HEADER": ready["identityHeader"]}
        token = httpx.get(ready["identityEndpoint"], params=asked, headers=secret, timeout=120).json()["access_token"]
        httpx.patch(
            f"{ready['dataverse']}/api/data/v9.2/{table}s({row})",
            json={f"{LOOKUP}@odata.bind": f"/msdynci_customerprofiles({profile})" if profile else None},
            headers={"Authorization": f"Bearer {token}", "If-Match": "*"},
            timeout=120,
        ).raise_for_status()

    def versions(self, table: str) -> dict[str, str]:
        """Return the version of every row: whatever is written gets a new one."""
        key = f"{table}id"
        return {row[key]: row["@odata.etag"] for row in self.sandbox.rows(f"{table}s", {"$select": key})}


@contextmanager
def world(tables: str, logs: Path, *options: str, **settings: str) -> Iterator[World]:
    """Start a sandbox on the Table Storage `tables`, and a host. Whatever they logged by their end holds no secret."""
    with ExitStack() as stack:
        child = stack.enter_context(sandbox_process(["--no-azurite", "--no-measures", *options], logs))
        forget_environment(tables, child.ready["dataverse"])
        sandbox = stack.enter_context(Sandbox({**child.ready, "tables": tables}))
        made = World(sandbox, logs, settings, stack)
        made.start_host()
        yield made
    assert secrets_of(sandbox.ready).found_in(texts_in(logs)) == []


def until[T](ask: Callable[[], T], good: Callable[[T], bool], pause_s: float = 0.05) -> T:
    """Ask again until the answer is good, and return it."""
    end = time.monotonic() + PATIENCE_S
    while not good(answer := ask()):
        assert time.monotonic() < end, f"still {answer}"
        time.sleep(pause_s)
    return answer


def links_in(folder: Path, table: str) -> dict[str, str | None]:
    """Return the links that the files of a folder ask for, worked out without the sandbox."""
    profiles = {row["msdynci_customerid"]: row["msdynci_customerprofileid"] for row in read(folder, "customerprofile")}
    mapping = [row for row in read(folder, "alternatekey") if row["msdynci_tablename"] == table]
    return {row["msdynci_alternatevalue"]: profiles[row["msdynci_customerid"]] for row in mapping}


def read(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a file that Customer Insights wrote."""
    with (folder / f"msdynci_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
