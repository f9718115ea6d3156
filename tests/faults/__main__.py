"""`make faults`, or `python -m tests.faults`: try the fault matrix and write docs/dev/reliability.md.

Each case is kept as soon as it is known, so it may be broken off at any time and taken up again with --rest.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from bench import machine
from bench.progress import Step, progress
from sandbox.server.azurite import azurite_tables

from .groups import Group, groups
from .report import PAGE, written
from .results import FILE, Results, load, save
from .trial import Verdict

app = typer.Typer(add_completion=False)


@app.command()
def main(
    only: Annotated[str, typer.Argument(help="Parts of the names of cases, such as 'late_commit / write'.")] = "",
    *,
    seeds: Annotated[int, typer.Option(help="Tries of each case, each with another chance.")] = 1,
    rest: Annotated[bool, typer.Option("--rest", help="Only what was not tried yet, or did not hold.")] = False,
) -> None:
    """Try faults at every step of a run and see that at most two further runs set everything right."""
    logging.disable(logging.CRITICAL)  # what goes wrong here is meant to
    console, known = Console(), load()
    settled = {name for name, verdict in known.cases.items() if not verdict.harm} if rest else set()
    chosen = [_chosen(group, _parts(only), settled) for group in groups(seeds)]
    total = sum(len(group.cases) for group in chosen)
    with suppress(KeyboardInterrupt), azurite_tables() as tables, progress(console, total) as step:
        for group in chosen:
            _try(group, tables, step, console)
    results = load()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    sys.exit(any(one.harm for one in results.cases.values()))


def _chosen(group: Group, parts: set[str], settled: set[str]) -> Group:
    wanted = [name for name in group.cases if parts <= _parts(name) and name not in settled]
    return replace(group, cases=tuple(wanted))


def _parts(name: str) -> set[str]:
    return set(filter(None, name.split(" / ")))


def _try(group: Group, tables: str, step: Step, console: Console) -> None:
    """Try the cases of a group and keep each verdict; nothing is opened for none."""
    if not group.cases:
        return
    with group.open(tables) as attempt:
        for name in group.cases:
            step(name)
            verdict = attempt(name)
            save(Results(_described(), {**load().cases, name: verdict}))
            _show(console, name, verdict)


def _described() -> str:
    here = machine.describe()
    return f"Last on {here.date}: {here.cpu}, {here.cores} cores, Python {here.python}, load average {here.load}."


def _show(console: Console, name: str, verdict: Verdict) -> None:
    if verdict.harm:
        console.print(f"[red]did not hold[/] {name}: {'; '.join(verdict.harm)} (kept in {FILE.name})")


if __name__ == "__main__":
    app()
