"""What all commands share: settings, forms of output, the rule for questions, and one sentence instead of a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, Field, ValidationError
from rich.console import Console
from rich.markup import escape

from linker import bootstrap
from linker.core.errors import ConfigurationError, LinkerError, TransientError, one_line
from linker.core.serialization import to_json
from linker.deps import Deps

LOCAL_SETTINGS = Path("local.settings.json")
REFUSED = 2  # exit code when a command could not do its work
PIPED_WIDTH = 160  # columns of a table that no terminal limits


class Output(StrEnum):
    """How a command shows its result. JSON stands alone on standard output; sentences go to standard error then."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="Print a table to read, or JSON for programs.", show_choices=True)
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.", metavar="")]


class DeclinedError(LinkerError):
    """The person at the terminal answered no."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How a command that writes talks with a person. One rule: `dry_run` only shows, `yes` skips the question."""

    dry_run: bool = False
    yes: bool = False
    output: Output = Output.TABLE
    write: Callable[[str], None] | None = None  # for tests; else standard output or standard error

    def say(self, line: str) -> None:
        """Print one line for people."""
        if self.write:
            self.write(line)
        else:
            typer.echo(line, err=self.output is Output.JSON)

    def allows(self, question: str) -> bool:
        """Return whether to write. Raises DeclinedError after a no, ConfigurationError without a terminal."""
        if self.dry_run or self.yes:
            return not self.dry_run
        if not sys.stdin.isatty():
            raise ConfigurationError(
                "Nothing was written: without a terminal you cannot confirm. Add --yes to continue without confirmation."
            )
        if not typer.confirm(question, err=True):
            raise DeclinedError("Nothing was written.")
        return True


def print_json(value: Any) -> None:
    """Print a value of the API as the API writes it."""
    typer.echo(json.dumps(to_json(value), ensure_ascii=False, indent=1))


def console() -> Console:
    """Return where tables are printed; a pipe gets wide lines unless COLUMNS says otherwise."""
    is_limited = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if is_limited else PIPED_WIDTH)


class _LocalSettings(BaseModel):
    values: dict[str, str] = Field({}, alias="Values")


def with_deps[T](work: Callable[[Deps], Awaitable[T]]) -> T:
    """Run `work`, which only looks, with everything that the app's settings give, and close it. Ends the program when the app
    is not set up.
    """

    async def run() -> T:
        deps = bootstrap.deps()
        try:
            return await work(deps)
        finally:
            await bootstrap.close()

    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        try:
            return asyncio.run(run())
        except TransientError as error:
            raise ConfigurationError(
                f"{error} Nothing was written. Check the address in the settings, or try again."
            ) from error


def use_local_settings(path: Path) -> None:
    """Complete the environment from local.settings.json, if there is one. Raises ConfigurationError when it is malformed."""
    if not path.exists():
        return
    try:
        values = _LocalSettings.model_validate_json(path.read_text(encoding="utf-8-sig")).values
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ConfigurationError(f"{path} cannot be read: {where} {fault['msg']}. Nothing was started.") from None
    for name, value in values.items():
        os.environ.setdefault(name, value)


def plain(text: str) -> str:
    """Return a text from outside as a terminal may show it: nothing in it is markup, and nothing moves the cursor."""
    return escape(one_line(text))


@contextmanager
def report_errors() -> Iterator[None]:
    """End with one sentence when something is refused for a reason that a person can change."""
    try:
        yield
    except LinkerError as error:
        typer.echo(one_line(str(error)), err=True)
        raise typer.Exit(REFUSED) from error
