"""Reads that wait out the pauses that Dataverse asks for.

A step that asks many small questions would otherwise start again with the first one after each pause, and never reach the
last where a table throttles every few requests. The wait is bounded, and writes are never repeated here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from linker.adapters.dataverse.http import Connection
from linker.core.errors import TableBusyError, ThrottledError

PATIENCE_S = 120.0  # from the first pause of a step on


@dataclass(slots=True)
class Patience:
    """How long a step waits for pauses, in seconds from its first one."""

    seconds: float = PATIENCE_S
    until: float | None = None

    async def wait(self, error: ThrottledError | TableBusyError) -> None:
        """Wait as long as Dataverse asked. Raises the error when that is longer than what is left."""
        now = time.monotonic()
        self.until = now + self.seconds if self.until is None else self.until
        if now + error.wait_s > self.until:
            raise error
        await asyncio.sleep(error.wait_s)


@dataclass(frozen=True, slots=True)
class PatientConnection(Connection):
    """A connection of one step whose reads are repeated after a pause."""

    patience: Patience = field(default_factory=Patience)

    async def pause(self, error: ThrottledError | TableBusyError) -> None:
        """Wait as long as Dataverse asked. Raises the error when patience does not last that long."""
        await self.patience.wait(error)


def patient(connection: Connection, seconds: float = PATIENCE_S) -> PatientConnection:
    """Return the same way to Dataverse for a step that waits out pauses."""
    return PatientConnection(
        connection.url,
        connection.client,
        connection.tokens,
        connection.write_timeout_s,
        connection.extra_headers,
        connection.limiter,
        Patience(seconds),
    )
