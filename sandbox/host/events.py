"""Event Hubs triggers: events are posted to the local host instead of coming from a namespace."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from itertools import count
from typing import Any

import azure.functions as func
from azure.functions.decorators.core import Cardinality

from sandbox.host.functions import HostedFunction
from sandbox.host.worker import Invoker

_LOG = logging.getLogger(__name__)

_SEQUENCE = count()


def events_of(body: bytes) -> list[func.EventHubEvent]:
    """Read a request body: a JSON list is a batch with one event an element, anything else is one event, unchanged.

    An element becomes an event body as JSON, a text as itself. Raises ValueError if the body is not JSON.
    """
    content = json.loads(body)
    parts = [_body_of(part) for part in content] if isinstance(content, list) else [body]
    return [_event(part) for part in parts]


async def deliver(function: HostedFunction, events: list[func.EventHubEvent], invoker: Invoker) -> None:
    """Call `function` once with all events, or once for each where its cardinality is not "many".

    A failure is logged and repeated as the function's retry policy says; then it moves on, as Event Hubs triggers do.
    """
    many = getattr(function.trigger, "cardinality", None) == Cardinality.MANY
    values: list[Any] = [events] if many else list(events)
    for value in values:
        await _call(function, value, invoker)


async def _call(function: HostedFunction, value: object, invoker: Invoker) -> None:
    for left in reversed(range(function.retries.most + 1)):
        try:
            await invoker.call(function, value)
            return
        except Exception:
            _LOG.exception("Event function '%s' failed; it is called again %d times at most.", function.name, left)
        if left:
            await asyncio.sleep(function.retries.wait_s)


def _body_of(part: object) -> bytes:
    return (part if isinstance(part, str) else json.dumps(part)).encode()


def _event(body: bytes) -> func.EventHubEvent:
    number = next(_SEQUENCE)
    return func.EventHubEvent(
        body=body, enqueued_time=datetime.now(UTC), sequence_number=number, offset=str(number), partition_key=None
    )
