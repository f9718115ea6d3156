"""What all commands share: settings from where the app has them, and one sentence instead of a traceback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from pydantic import BaseModel, Field, ValidationError
from rich.markup import escape

from linker import bootstrap
from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.redaction import one_line
from linker.deps import Deps

LOCAL_SETTINGS = Path("local.settings.json")
REFUSED = 2  # exit code when a command could not do its work


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

    with told():
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
    """Return a text of somebody else as a terminal may show it: nothing in it is markup, and nothing moves the cursor."""
    return escape(one_line(text))


@contextmanager
def told() -> Iterator[None]:
    """End with one sentence when something is refused for a reason that a person can change."""
    try:
        yield
    except LinkerError as error:
        typer.echo(one_line(str(error)), err=True)
        raise typer.Exit(REFUSED) from error
