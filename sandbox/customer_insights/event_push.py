"""Posts the Azure Monitor messages to an address as they arise, as an event hub would hand them on."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from sandbox.database.documents import Document

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class EventPush:
    """Delivers each message once, in order, to the address of the moment; a failure is logged and not repeated."""

    url: Callable[[], str | None]
    _queue: "asyncio.Queue[tuple[str, Document]]" = field(default_factory=asyncio.Queue)
    _courier: "asyncio.Task[None] | None" = None

    def __call__(self, message: Document) -> None:
        """Send a message, if there is an address. What is loaded before the server runs is not sent."""
        url = self.url()
        if url is None or not _is_serving():
            return
        self._queue.put_nowait((url, message))
        if self._courier is None or self._courier.done():
            self._courier = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while not self._queue.empty():
                url, message = self._queue.get_nowait()
                try:
                    (await client.post(url, json=message)).raise_for_status()
                except httpx.HTTPError as error:
                    _LOG.warning("A message was not delivered to %s: %s", url, error)


def _is_serving() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
