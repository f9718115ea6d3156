"""How a request becomes an answer: who asks, what exactly, the audit around what people do by hand, and every refusal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linker.api.audit import completed, entry_of
from linker.api.http import ProblemError, Reply, Request
from linker.api.operation import Call, Operation, parsed_body, parsed_parameters, parsed_query
from linker.deps import Deps
from linker.errors import ConfigurationError, LinkerError
from linker.model import Ticket
from linker.roles import Caller, Role, identify
from linker.triggers import Start

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """The API of one app. `authenticated`: App Service Authentication stands before it (linker.roles)."""

    deps: Callable[[], Deps]
    authenticated: bool = False

    async def serve(self, wanted: Operation, request: Request, start: Start | None = None) -> Reply:
        """Return the answer to a request; whatever goes wrong is one too. Operations that ask for a run need `start`."""
        try:
            caller = admitted(identify(request.headers, authenticated=self.authenticated), wanted.role)
            return await _served(wanted, _call(wanted, self.deps(), start or _starts_nothing, request, caller))
        except ProblemError as problem:
            return problem.reply()
        except LinkerError as error:
            return failure(error).reply()
        except Exception:
            _LOG.exception("%s failed", wanted.name)
            detail = "This is a fault of the app; its log says more. A run may have been started: see GET /api/runs."
            return ProblemError(500, "The app failed", detail).reply()


async def _starts_nothing(ticket: Ticket) -> None:
    raise AssertionError(f"Run {ticket.run} is started by an operation that was given no way to start it.")


def admitted(caller: Caller | None, needed: Role) -> Caller:
    """Return the caller if he may. Raises ProblemError 401 or 403."""
    if caller is None:
        raise ProblemError(401, "Not signed in", "Sign in with Entra, or send a token for this app. Nothing was done.")
    if not caller.may(needed):
        raise ProblemError(403, "Not allowed", f"This asks for the app role '{needed}'. Nothing was done.")
    return caller


def failure(error: LinkerError) -> ProblemError:
    """Return the refusal of a request that could not be served."""
    _LOG.warning("A request was not served: %s", error)
    if isinstance(error, ConfigurationError):
        return ProblemError(503, "The app is not set up", str(error))
    return ProblemError(503, "Try again later", str(error))


def _call(wanted: Operation, deps: Deps, start: Start, request: Request, caller: Caller) -> Call[Any, Any]:
    return Call(
        deps,
        start,
        request,
        caller,
        parsed_parameters(wanted, request),
        parsed_body(wanted.body, request.body) if wanted.body else None,
        parsed_query(wanted.query, request.query) if wanted.query else None,
    )


async def _served(wanted: Operation, call: Call[Any, Any]) -> Reply:
    """Serve a request; what somebody does by hand is written down before it begins, and what became of it afterwards."""
    if not wanted.audited:
        return await wanted.handle(call)
    entry = entry_of(wanted, call)
    await call.deps.audit.save(entry)
    reply = await _answered(wanted, call)
    try:
        await call.deps.audit.save(completed(entry, reply))
    except LinkerError:  # it is done, and written down as asked for
        _LOG.exception("The audit does not say what became of %s", wanted.name)
    return reply


async def _answered(wanted: Operation, call: Call[Any, Any]) -> Reply:
    try:
        return await wanted.handle(call)
    except ProblemError as problem:
        return problem.reply()
    except LinkerError as error:
        return failure(error).reply()
