"""`make chaos`, or `python -m tests.chaos`: play scenarios and keep what came of each."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from bench.progress import progress
from sandbox.server.azurite import azurite_tables
from tests.faults.scene import port_of

from .life import live
from .results import load, save, write_page
from .scenario import draw

app = typer.Typer(add_completion=False)


@app.command()
def main(
    scenarios: Annotated[int, typer.Argument(help="How many, counted from seed 1.")] = 200,
    *,
    first: Annotated[int, typer.Option(help="The seed to begin with.")] = 1,
    rest: Annotated[bool, typer.Option("--rest", help="Only those that were not played yet, or did not hold.")] = False,
) -> None:
    """Play seeded scenarios: two hosts, clocks that differ, crashes, freezes, and faults of every service."""
    logging.disable(logging.CRITICAL)  # what goes wrong here is meant to
    console, known = Console(), load()
    seeds = [seed for seed in range(first, first + scenarios) if not rest or seed not in known or known[seed].harm]
    with suppress(KeyboardInterrupt), azurite_tables() as tables, progress(console, len(seeds)) as step:
        for seed in seeds:
            step(f"scenario {seed}")
            held = live(draw(seed), port_of(tables))
            save({**load(), seed: held})
            if held.harm:
                console.print(f"[red]did not hold[/] {seed}: {'; '.join(held.harm)}", markup=True, highlight=False)
    write_page(load())
    sys.exit(any(held.harm for held in load().values()))


if __name__ == "__main__":
    app()
