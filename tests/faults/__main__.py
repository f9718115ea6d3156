"""`make faults`, or `python -m tests.faults`: try the fault matrix and write docs/reliability.md.

Each case is kept as soon as it is known, so it may be broken off at any time and taken up again with --rest.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from bench import machine
from bench.progress import progress
from sandbox.azurite import azurite_tables

from .cases import Case, cases
from .report import PAGE, written
from .results import Results, load, save
from .scene import port_of
from .trial import Verdict, try_case

app = typer.Typer(add_completion=False)

type Attempt = Callable[[], Verdict]


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Argument(help="Texts that the name of a case contains, each of them.")
    ] = None,
    *,
    seeds: Annotated[int, typer.Option(help="Tries of each case, each with another chance.")] = 1,
    rest: Annotated[bool, typer.Option("--rest", help="Only what was not tried yet, or did not hold.")] = False,
) -> None:
    """Try faults at every step of a run and see that at most two further runs set everything right."""
    logging.disable(logging.CRITICAL)  # what goes wrong here is meant to
    console, results = Console(), load()
    with azurite_tables() as connection, suppress(KeyboardInterrupt):
        attempts = _chosen(port_of(connection), only or [], seeds, results if rest else None)
        with progress(console, len(attempts)) as step:
            for name, attempt in attempts.items():
                step(name)
                results = _kept(results, name, attempt())
                _show(console, name, results.cases[name])
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    sys.exit(any(one.harm for one in results.cases.values()))


def _chosen(port: int, only: Iterable[str], seeds: int, known: Results | None) -> dict[str, Attempt]:
    def one(case: Case) -> Attempt:
        return lambda: try_case(case, port)

    found = {case.name: one(case) for case in cases(range(1, seeds + 1))}
    settled = {name for name, verdict in known.cases.items() if not verdict.harm} if known else set()
    wanted = [name for name in found if all(text in name for text in only) and name not in settled]
    return {name: found[name] for name in wanted}


def _kept(results: Results, name: str, verdict: Verdict) -> Results:
    known = replace(results, machine=_described(), cases={**results.cases, name: verdict})
    save(known)
    return known


def _described() -> str:
    here = machine.describe()
    return f"Last on {here.date}: {here.cpu}, {here.cores} cores, Python {here.python}, load average {here.load}."


def _show(console: Console, name: str, verdict: Verdict) -> None:
    if verdict.harm:
        console.print(f"[red]did not hold[/] {name}: {'; '.join(verdict.harm)}")


if __name__ == "__main__":
    app()
