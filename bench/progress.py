"""A bar that moves with each step of a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

type Step = Callable[[str], None]
"""Receives what is about to be measured."""


@contextmanager
def progress(console: Console, total: int) -> Iterator[Step]:
    """Show a bar over `total` steps."""
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=total, completed=-1)  # a step is reported before it is done

        def step(what: str) -> None:
            bar.update(task, description=what, advance=1)
            if not console.is_terminal:  # a log shows no bar
                console.print(what)

        yield step
        step("done")
