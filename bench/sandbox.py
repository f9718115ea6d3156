"""`python -m bench.sandbox`: how fast and how big the sandbox itself is, with no simulated cost.

Loads a mapping of a million rows from a folder (`--load`), reads the mapping rows of a data source by next links as the
linker does, and links rows by UpdateMultiple. One request is in flight, over plain HTTP; times end when the answer has been
received. Tables are of the default kind: elastic tables answer 500 rows, whatever is asked for.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import typer

from bench.environment import running
from bench.machine import Machine, describe
from sandbox.data.generator import Sizes, generate
from sandbox.data.seed import Dataset, TableData
from sandbox.schema.insights_tables import MAPPING

ROWS = 1_000_000
LINKED = 5_000  # contacts and profiles beside the mapping, so that there is something to link
BATCH = 1_000
WRITES = 40
PAGES = 400
MAPPED = (
    "msdynci_alternatekeys?$select=msdynci_alternatevalue,msdynci_customerid&$filter=msdynci_datasourcename eq "
    "'DynamicsSales' and msdynci_entityname eq 'contact'"
)
LOOKUP = {
    "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
    "SchemaName": "new_msdynci_customerprofile_contact",
    "ReferencedEntity": "msdynci_customerprofile",
    "ReferencedAttribute": "msdynci_customerprofileid",
    "ReferencingEntity": "contact",
    "CascadeConfiguration": {"Delete": "NoCascade"},
    "Lookup": {
        "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
        "SchemaName": "new_CustomerProfile",
        "DisplayName": {"LocalizedLabels": [{"Label": "Customer Profile", "LanguageCode": 1033}]},
    },
}


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds of single requests, and memory of the process in MB of 2**20 bytes.

    The first page is measured separately: SQLite finds the rows by the index of their column and sorts them once.
    """

    load_s: float
    pages_ms: tuple[float, ...]
    writes_ms: tuple[float, ...]
    loaded_mb: float
    peak_mb: float


def main(rows: Annotated[int, typer.Option(help="Mapping rows.")] = ROWS) -> None:
    """Measure a sandbox in memory and one in a file; print one row of docs/dev/sandbox.md for each."""
    with TemporaryDirectory() as folder:
        data = Path(folder)
        write_folder(generate(Sizes(rows, 0, 0)), data)
        found = {"memory": measure(data), "a file": measure(data, "--db", str(data / "sandbox.db"))}
    typer.echo(_told(describe()))
    for kept, speed in found.items():
        typer.echo(line(kept, speed))


def write_folder(dataset: Dataset, folder: Path) -> None:
    """Write what `serve --load` reads: the whole mapping, and a few rows of the other tables."""
    environment = {"instance": dataset.instance, "datasources": dataset.datasources}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    for table in dataset.tables:
        _write_csv(table, folder / f"{table.name}.csv")


def _write_csv(table: TableData, path: Path) -> None:
    rows: Iterable[Mapping[str, object]] = table.rows()
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, row in enumerate(rows if table.name == MAPPING else islice(rows, LINKED)):
            writer = csv.DictWriter(file, row)
            if not number:
                writer.writeheader()
            writer.writerow(row)


def measure(folder: Path, *options: str) -> Speed:
    """Serve a folder and time it."""
    quiet = ["--port", "0", "--no-azurite", "--no-measures", "--switch", "protection=false"]
    started = time.perf_counter()
    with running([sys.executable, "-m", "sandbox", "serve", "--load", str(folder), *quiet, *options], {}) as (
        ready,
        pid,
    ):
        load_s = time.perf_counter() - started
        loaded_mb = memory_mb(pid, "VmRSS")
        with _client(ready) as client:
            pages_ms = tuple(_read_pages(client))
            writes_ms = tuple(_link(client))
        return Speed(load_s, pages_ms, writes_ms, loaded_mb, memory_mb(pid, "VmHWM"))


def memory_mb(pid: int, name: str) -> float:
    """Return a figure of /proc/<pid>/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _client(ready: Mapping[str, str]) -> httpx.Client:
    params = {"api-version": "2019-08-01", "resource": ready["dataverse"], "client_id": "admin"}
    asked = {"X-IDENTITY-HEADER": ready["identityHeader"]}
    token = (
        httpx.get(ready["identityEndpoint"], params=params, headers=asked, trust_env=False).raise_for_status().json()
    )
    headers = {"Authorization": f"Bearer {token['access_token']}", "Prefer": "odata.maxpagesize=5000"}
    return httpx.Client(base_url=f"{ready['dataverse']}/api/data/v9.2/", headers=headers, timeout=60, trust_env=False)


def _timed(client: httpx.Client, method: str, url: str, body: bytes | None = None) -> tuple[float, httpx.Response]:
    started = time.perf_counter()
    answer = client.request(method, url, content=body, headers={"Content-Type": "application/json"})
    return (time.perf_counter() - started) * 1000, answer.raise_for_status()


def _read_pages(client: httpx.Client) -> Iterator[float]:
    """Yield how long each of the first pages takes; the last one of all has fewer rows and does not count."""
    url = MAPPED
    for _ in range(PAGES):
        took_ms, answer = _timed(client, "GET", url)
        url = answer.json().get("@odata.nextLink", "")
        if not url:
            return
        yield took_ms


def _link(client: httpx.Client) -> Iterator[float]:
    """Yield how long each UpdateMultiple takes; each gives all its rows another link than before."""
    client.post("RelationshipDefinitions", json=LOOKUP).raise_for_status()
    contacts = _ids(client, "contacts", "contactid")
    profiles = cycle(
        _ids(client, "msdynci_customerprofiles", "msdynci_customerprofileid")[1:]
    )  # shifts with each round
    for part in islice(cycle(batched(contacts, BATCH, strict=False)), WRITES):
        targets = [_target(contact, profile) for contact, profile in zip(part, profiles, strict=False)]
        body = json.dumps({"Targets": targets}).encode()
        yield _timed(client, "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple", body)[0]


def _ids(client: httpx.Client, entity_set: str, key: str) -> list[str]:
    return [row[key] for row in client.get(f"{entity_set}?$select={key}").raise_for_status().json()["value"]]


def _target(contact: str, profile: str) -> dict[str, str]:
    bind = f"/msdynci_customerprofiles({profile})"
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.contact",
        "contactid": contact,
        "new_CustomerProfile@odata.bind": bind,
    }


def line(kept: str, speed: Speed) -> str:
    """Return the row of a table in Markdown."""
    first_ms, *pages_ms = speed.pages_ms
    cells = [
        kept,
        f"{speed.load_s:.0f} s",
        f"{first_ms:.0f} ms",
        _spread(pages_ms),
        _spread(speed.writes_ms),
    ]
    return f"| {' | '.join([*cells, f'{speed.loaded_mb:,.0f} MB', f'{speed.peak_mb:,.0f} MB'])} |"


def _spread(times_ms: Sequence[float]) -> str:
    return f"{statistics.median(times_ms):.0f} ms (at most {max(times_ms):.0f})"


def _told(machine: Machine) -> str:
    return f"{machine.date}, {machine.cores} x {machine.cpu}, Python {machine.python}, load {machine.load}"


if __name__ == "__main__":
    typer.run(main)
