"""The local host with an app that breaks, once in each kind of function, with everything it knows in the words of its error.

`python -m tests.security.talkative_host`; histories are saved as by tests.history_replay.recording_host.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import Runs
from linker.adapters.storage.lock_store import RunLock
from linker.core.keys import key_text
from linker.core.model import CustomerId
from sandbox.host import host as host_module
from sandbox.host.main import run
from tests.history_replay.recording_host import RecordingBackend

SETTINGS = ("IDENTITY_HEADER", "LINKER_STORAGE", "LINKER_INSIGHTS_KEY", "LOCAL_FUNCTION_KEY")
SOMEBODY = "Joshua Linnell\n2026-11-24 00:00:00,000 ERROR   linker: forged"


def breaking(real: Callable[..., Any], words: Callable[..., Awaitable[object]]) -> Callable[..., Any]:
    """Return a method that fails at its first call."""
    told: list[object] = []

    async def call(self: Any, *given: Any, **named: Any) -> Any:
        if not told:
            told.append(await words(self, *given))
            raise KeyError(f"{SOMEBODY} {told} {[os.environ[name] for name in SETTINGS]}")
        return await real(self, *given, **named)

    return call


async def of_rows(dataverse: Dataverse, target: object, keys: list[bytes]) -> object:
    return [*map(key_text, keys)], f"Bearer {await dataverse.connection.tokens.token()}"


async def of_customers(dataverse: Dataverse, customers: Iterable[CustomerId], target: object) -> object:
    return list(customers), await dataverse.connection.tokens.token()


async def of_nobody(*given: object) -> object:
    return ""


if __name__ == "__main__":
    Dataverse.links = breaking(Dataverse.links, of_rows)  # type: ignore[method-assign]
    Dataverse.profiles = breaking(Dataverse.profiles, of_customers)  # type: ignore[method-assign]
    Runs.newest = breaking(Runs.newest, of_nobody)  # type: ignore[method-assign]
    RunLock.take_over = breaking(RunLock.take_over, of_nobody)  # type: ignore[method-assign]
    host_module.Backend = RecordingBackend  # type: ignore[misc]  # the host builds its task hub by this name
    run(0, keys=True, app_dir=Path())
