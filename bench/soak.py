"""`python -m bench.soak`: unification after unification, for weeks of the app's time. What grows is a fault."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from azure.data.tables import TableServiceClient
from rich.console import Console

from bench import machine
from bench.compare import live_links
from bench.environment import AppHost, Environment, ended, linker_settings, running, sandbox
from bench.progress import Step, progress
from bench.soak_figures import Hub, Round, Soak, Stored, goals, page
from linker.adapters.storage.table_guards import entity_bytes
from linker.core.runs.lock_state import MAX_SERVED

HOURS = 6  # between unifications: at most four scheduled refreshes a day (docs/reference/customer-insights.md 2)
KEEP_DAYS, KEEP_HISTORY_DAYS = 10, 2
# What is kept has to fill up within a quarter of them: what KEEP_DAYS holds, and the runs that served the last unifications.
LEAST_ROUNDS = 4 * max(MAX_SERVED, (KEEP_DAYS + 1) * 24 // HOURS)
MOVED = 0.01

type Links = Mapping[str, str | None]
"""The profile id by row, None without one."""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    rows: Annotated[int, typer.Option(help="Rows of the table.")] = 50_000,
    rounds: Annotated[int, typer.Option(help="Unifications in a row.", min=LEAST_ROUNDS)] = LEAST_ROUNDS,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench/soak.json"),
    doc: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("docs/dev/reliability-soak.md"),
) -> None:
    """Let the linker follow many unifications of one table, and see what grows."""
    console = Console()
    with progress(console, rounds + 1) as step:
        soak = measure(rows, rounds, step)
    json_file.write_text(json.dumps(asdict(soak), indent=1) + "\n", encoding="utf-8")
    doc.write_text(page(soak), encoding="utf-8")
    for goal in goals(soak):
        console.print(goal.line())
    if any(goal.met is False for goal in goals(soak)):
        raise typer.Exit(1)


def changes(number: int) -> dict[str, object]:
    """Return what a unification changes: rows move every time; some leave and come back, profiles vanish and come back."""
    move: dict[str, object] = {"seed": number, "move": MOVED}
    match number % 5:
        case 0:
            return {"restore": "before"}
        case 1:
            return {**move, "snapshot": "before"}
        case 2:
            return {**move, "drop": MOVED / 2}
        case 3:
            return {**move, "delete_profiles": MOVED / 10}
        case _:
            return {**move, "bring_back": "new id" if number % 2 else "same id"}


def expected(before: Links, mapped: Links) -> dict[str, str | None]:
    """Return each row's link after a run: its profile; what it was while the profile is missing; none outside the mapping."""
    return {row: (mapped[row] or link) if row in mapped else None for row, link in before.items()}


def differences(one: Links, other: Links) -> int:
    """Return in how many rows two states differ; a row that only one has counts."""
    return sum(1 for row in one.keys() | other.keys() if one.get(row, "") != other.get(row, ""))


def measure(rows: int, rounds: int, step: Step) -> Soak:
    """Link a table once, then follow so many unifications."""
    started = time.perf_counter()
    with sandbox(rows) as environment, _host(environment) as host:
        environment.configure({"protection": False})  # what took hours in a day is done in seconds
        step(f"{rows:,} rows: first link")
        host.run()
        found: list[Round] = []
        for number in range(1, rounds + 1):
            last = f"{found[-1].memory_mb:.0f} MB, {found[-1].seconds:.0f} s" if found else ""
            step(f"unification {number} ({last})")
            found.append(_round(environment, host, number))
    seconds = time.perf_counter() - started
    return Soak(machine.describe(), rows, HOURS, KEEP_DAYS, KEEP_HISTORY_DAYS, seconds, tuple(found))


@contextmanager
def _host(environment: Environment) -> Iterator[AppHost]:
    settings = linker_settings(environment) | {
        "LINKER_ARRIVAL_MINUTES": "0",  # the tables have changed before their unification is reported
        "LINKER_KEEP_DAYS": str(KEEP_DAYS),
        "LINKER_KEEP_HISTORY_DAYS": str(KEEP_HISTORY_DAYS),
    }
    with running([sys.executable, "-m", "bench.soak_host"], settings) as (ready, pid):
        yield AppHost(ready["url"], pid)


def _round(environment: Environment, host: AppHost, number: int) -> Round:
    """Let some hours pass, unify, notify the linker, and look at everything when its runs have ended."""
    with host.client() as client:
        client.post(f"/admin/soak/hours/{HOURS}", timeout=600).raise_for_status()
        job = environment.unify(changes(number))
        before = live_links(environment)
        wanted = expected(before, environment.mapped())
        environment.reset()
        run = host.run({"jobId": job}, path="/api/unification-events")
        last = ended(client, run["followUp"]) if run["followUp"] else run
        tables = environment.counters()["tables"]
        return Round(
            number=number,
            moved=differences(before, wanted),
            written=_written(tables, "contact"),
            touched=_written(tables, "msdynci_customerprofile"),
            wrong=differences(live_links(environment), wanted),
            seconds=run["wallSeconds"],
            mode=run["mode"],
            status=last["status"],
            memory_mb=host.memory_mb(),
            hub=Hub(**client.get("/admin/soak/size").raise_for_status().json()),
            stored=stored(environment.ready["tables"]),
        )


def _written(tables: Mapping[str, Any], name: str) -> int:
    return int(tables.get(name, {}).get("rowsWritten", 0))


def stored(connection: str) -> dict[str, Stored]:
    """Return what each table of the storage holds, in entities and in bytes as the service counts them."""
    with TableServiceClient.from_connection_string(connection) as service:
        return {table.name: _size(service, table.name) for table in service.list_tables()}


def _size(service: TableServiceClient, name: str) -> Stored:
    with service.get_table_client(name) as table:
        sizes = [_bytes(dict(entity)) for entity in table.list_entities()]
    return Stored(len(sizes), sum(sizes))


def _bytes(entity: dict[str, Any]) -> int:
    partition, row = entity.pop("PartitionKey"), entity.pop("RowKey")
    return entity_bytes(partition, row, {name: getattr(value, "value", value) for name, value in entity.items()})


if __name__ == "__main__":
    app()
