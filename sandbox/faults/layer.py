"""ASGI middleware in which faults strike whole requests."""

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.customer_insights.unification import InvalidRequestError, Simulator, read_request
from sandbox.faults.answers import answer_of
from sandbox.faults.effects import EFFECTS, Struck, replay
from sandbox.faults.model import InvalidFaultError, Target, read_faults
from sandbox.faults.register import Faults
from sandbox.runtime import Environment

_SERVICE_ROOT: Final = re.compile(r"^/api/data/v[\d.]+/")
_VERBS: Final = {"GET": "Read", "POST": "Create", "PATCH": "Update", "PUT": "Update", "DELETE": "Delete"}


def arm_all(document: object, faults: Faults, simulator: Simulator) -> list[int]:
    """Arm the faults of a JSON list, or of a single object; returns their ids.

    Raises InvalidFaultError if one does not fit, or changes the mapping in a way that the present state cannot.
    """
    read = read_faults(document)
    for fault in read:
        try:
            simulator.check(read_request(fault.unification))
        except InvalidRequestError as error:
            raise InvalidFaultError(f"unification.{error}") from error
    return faults.arm(read)


@dataclass(frozen=True, slots=True)
class FaultLayer:
    """Strikes the requests to one application."""

    app: ASGIApp
    environment: Environment
    faults: Faults
    simulator: Simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, unless a fault strikes it."""
        if not self.faults.any_armed:
            await self.app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        target = self._target(scope, body)
        fault = self.faults.strike_request(target)
        if fault is None:
            await self.app(scope, replay(body, receive), send)
            return
        answer = answer_of(fault, self.environment.config)
        if answer is not None:
            await answer(scope, receive, send)
            return
        database = self.environment.database
        struck = Struck(fault, target, self.app, database, self.simulator, self.faults, scope, receive, send)
        await EFFECTS[fault.kind](struck)

    def _target(self, scope: Scope, body: bytes) -> Target:
        plain = _unpacked(body) if Headers(scope=scope).get("content-encoding") == "gzip" else body
        path, query = scope["path"], unquote_plus(scope["query_string"].decode("ascii"))
        first, *rest = _SERVICE_ROOT.sub("", path).split("/")
        name = first.partition("(")[0]
        table = self.environment.database.schema.by_entity_set(name)
        action = rest[-1].rpartition(".")[2] if rest and rest[-1].startswith("Microsoft.Dynamics.CRM.") else None
        verb = _VERBS.get(scope["method"], "")
        done = "Update" if rest and verb != "Read" else verb  # a column or a link of a row is set or cleared
        return Target(
            method=scope["method"],
            path=f"{path}?{query}" if query else path,
            table=table.logical_name if table else "",
            operation=action or (done if table else name),
            body=plain,
        )


def _unpacked(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return b""  # the application says what is wrong with it
