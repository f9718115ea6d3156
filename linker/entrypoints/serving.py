"""How a request becomes an answer: who asks, what exactly, the audit around what people do by hand, and every refusal.

Requests and answers of the Functions host are values on the way.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import azure.functions as func
from pydantic import BaseModel

from linker.core.errors import BusyError, ConfigurationError, ConflictError, LinkerError, without_secrets
from linker.core.model import Ticket
from linker.core.records import AuditEntry
from linker.core.roles import Caller, Role, identify, is_same_origin
from linker.core.serialization import iso
from linker.deps import Deps
from linker.entrypoints.messages import ProblemError, Reply, Request
from linker.entrypoints.operations import Call, Operation, check_query_names, parse_body, parse_parameters, parse_query
from linker.services.run_requests import Start

_LOG = logging.getLogger(__name__)
# Responses contain customer data: forbid caching and content sniffing.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


_ASK_ADMINISTRATOR: Final = "An administrator assigns it: Entra ID > Enterprise applications > Users and groups."
# Without App Service Authentication users have no app role, and a session of the status page is an operator's.
_USE_MASTER_KEY: Final = "A session with a function key has less. Use the API or the command line with the master key."


@dataclass(frozen=True, slots=True)
class Api:
    """The API of one app. `authenticated`: App Service Authentication stands before it (linker.core.roles)."""

    deps: Callable[[], Deps]
    authenticated: bool = False

    async def serve(self, wanted: Operation, request: Request, start: Start | None = None) -> Reply:
        """Return the answer to a request; whatever goes wrong is one too. Operations that ask for a run need `start`."""
        work = self._serve(wanted, request.with_whole_characters(), start or starts_nothing)
        reply = await answer_or_refuse(work, wanted.name, ProblemError.reply)
        return replace(reply, headers={**HEADERS, **reply.headers})

    async def _serve(self, wanted: Operation, request: Request, start: Start) -> Reply:
        caller = admit(identify(request.headers, authenticated=self.authenticated), wanted.role)
        if not is_same_origin(request.headers):
            raise ProblemError(403, "Refused", "A page of another site sent this in your name. Nothing was done.")
        check_query_names(wanted, request.query)
        return await serve_operation(wanted, call_of(wanted, self.deps(), start, request, caller))


async def answer_or_refuse(work: Awaitable[Reply], what: str, refused: Callable[[ProblemError], Reply]) -> Reply:
    """Return what some work answers, or the refusal that it ends with; `what` names it in the log."""
    try:
        return await work
    except ProblemError as problem:
        return refused(problem)
    except LinkerError as error:
        return refused(failure(error))
    except Exception:
        _LOG.exception("%s failed", what)
        detail = "This is a fault of the app; its log says more. A run may have been started: see GET /api/runs."
        return refused(ProblemError(500, "The app failed", detail))


async def starts_nothing(ticket: Ticket) -> None:
    raise AssertionError(f"Run {ticket.run} is started by an operation that was given no way to start it.")


def admit(caller: Caller | None, needed: Role) -> Caller:
    """Return the caller if the role allows it. Raises ProblemError 401 or 403."""
    if caller is None:
        raise ProblemError(401, "Not signed in", "Sign in with Entra, or send a token for this app. Nothing was done.")
    if not caller.may(needed):
        _LOG.warning("Caller %s was refused: the app role '%s' is needed.", without_secrets(caller.id), needed)
        to_do = _ASK_ADMINISTRATOR if caller.id else _USE_MASTER_KEY
        raise ProblemError(403, "Not allowed", f"This requires the app role '{needed}'. Nothing was done. {to_do}")
    return caller


def failure(error: LinkerError) -> ProblemError:
    """Return the refusal of a request that could not be served."""
    if isinstance(error, BusyError):
        wait_s = max(1, round(error.wait_s))
        return ProblemError(429, "Too many requests", str(error), {"Retry-After": str(wait_s)})
    if isinstance(error, ConflictError):
        return ProblemError(409, "Look again", str(error))
    _LOG.warning("A request was not served: %s", error)
    if isinstance(error, ConfigurationError):
        return ProblemError(503, "The app is not set up", str(error))
    return ProblemError(503, "Try again later", str(error))


def call_of(
    wanted: Operation,
    deps: Deps,
    start: Start,
    request: Request,
    caller: Caller,
    parsed: Callable[[type[BaseModel], bytes], BaseModel] = parse_body,
) -> Call[Any, Any]:
    """Return an admitted request with its typed input. `parsed` reads its body. Raises ProblemError 400, 404 or 413."""
    return Call(
        deps,
        start,
        request,
        caller,
        parse_parameters(wanted, request),
        parsed(wanted.body, request.body) if wanted.body else None,
        parse_query(wanted.query, request.query) if wanted.query else None,
    )


async def serve_operation(wanted: Operation, call: Call[Any, Any]) -> Reply:
    """Serve a request. A manual action is written to the audit log before it begins, and its result afterwards."""
    if not wanted.audited:
        return await wanted.handle(call)
    entry = _begin_entry(wanted, call)
    await call.deps.audit.save(entry)
    reply = await _answer_call(wanted, call)
    try:
        await call.deps.audit.save(_complete_entry(entry, reply))
    except LinkerError:  # it is done, and written down as asked for
        _LOG.exception("The audit does not say what became of %s", wanted.name)
    return reply


def _begin_entry(wanted: Operation, call: Call[object, object]) -> AuditEntry:
    """Return the entry of an action that is about to begin."""
    asked = call.body.model_dump(mode="json", by_alias=True) if isinstance(call.body, BaseModel) else {}
    return AuditEntry(
        id=call.deps.audit.next_id(),
        at=iso(call.deps.clock()),
        who=call.caller.name,
        who_id=call.caller.id,
        action=wanted.name,
        parameters=call.parameters,
        asked=asked,
    )


def _complete_entry(entry: AuditEntry, reply: Reply) -> AuditEntry:
    """Return the entry of an action that was answered."""
    run = reply.body.get("id") if isinstance(reply.body, dict) else None
    return replace(entry, status=reply.status, run=run)


async def _answer_call(wanted: Operation, call: Call[Any, Any]) -> Reply:
    try:
        return await wanted.handle(call)
    except ProblemError as problem:
        return problem.reply()
    except LinkerError as error:
        return failure(error).reply()


def request_of(req: func.HttpRequest) -> Request:
    """Return what the host hands in: names of headers in lower case, the address as far as before /api."""
    headers = {name.lower(): value for name, value in req.headers.items()}
    return Request(req.route_params, req.params, headers, req.get_body(), str(req.url).partition("/api/")[0])


def response_of(reply: Reply) -> func.HttpResponse:
    """Return what the host sends."""
    return func.HttpResponse(
        reply.text, status_code=reply.status, headers=dict(reply.headers), mimetype=reply.media_type
    )
