"""How a request of a browser becomes a page: which one, who asks, whether a form is our own, and every refusal as a page.

Pages are operations as those of the API are (entrypoints/operations.py), with roles, typed input and audit; their
answers are HTML, their bodies are forms. A form carries the token that its page was given (session.py), and asks for an
operation of the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_origin
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from linker.core import roles
from linker.core.roles import KEY_HOLDER, Caller, identify, is_same_origin, opens_page
from linker.deps import Deps
from linker.entrypoints.messages import ProblemError, Reply, Request, not_found
from linker.entrypoints.operations import MAX_BODY_BYTES, Call, Operation, check_query_names, names_of
from linker.entrypoints.portal.render import NOTICE, ROOT, asset, form_owner, html, link, redirect, refusal
from linker.entrypoints.serving import admit, answer_or_refuse, call_of, serve_operation, starts_nothing
from linker.services.run_requests import Start

TOKEN: Final = "token"  # noqa: S105 - the name of the field that holds it
MAX_FIELDS: Final = 1_000


def parse_form[T: BaseModel](kind: type[T], body: bytes) -> T:
    """Return the typed form; a field that the browser left out is absent. Raises ProblemError 400 or 413."""
    given = fields(body)
    known = {name: field.annotation for name, field in kind.model_fields.items() if name in given}
    chosen = {
        name: given[name] if get_origin(is_a) in (list, tuple) else given[name][-1] for name, is_a in known.items()
    }
    try:
        return kind.model_validate(chosen)
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors() if fault["loc"]))
        raise _misfit(f"Look at {wrong or 'what was chosen'}.") from None


def fields(body: bytes) -> dict[str, list[str]]:
    """Return the values of each field of a form. Raises ProblemError 400 or 413."""
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError(413, "Too large", f"A form has at most {MAX_BODY_BYTES:,} bytes. Nothing was done.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _misfit("The form does not belong to this page.") from None


def _misfit(what: str) -> ProblemError:
    return ProblemError(400, "This form does not fit", f"{what} Nothing was done.")


async def act(call: Call[Any, Any], wanted: Operation, body: BaseModel | None = None, **parameters: str) -> Any:
    """Do what an operation of the API does, audited as such, and return its answer as a JSON value.

    Raises ProblemError as the operation is refused.
    """
    admit(call.caller, wanted.role)
    reply = await serve_operation(wanted, replace(call, body=body, query=None, parameters=parameters, origin="portal"))
    if reply.status >= 400:
        raise ProblemError(reply.status, reply.body["title"], reply.body["detail"])
    return reply.body


SIGN_IN, SIGN_OUT, ASSETS = "/sign-in", "/sign-out", "/assets/"
_OWN = re.compile(rf"{ROOT}(/[\w/-]*)?(\?[\x21-\x7e]*)?", re.ASCII)  # no dots: they would lead out of it
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Portal:
    """The status page of one app. `authenticated`: App Service Authentication stands before it (linker.core.roles)."""

    deps: Callable[[], Deps]
    pages: tuple[Operation, ...]
    authenticated: bool = False

    async def serve(self, method: str, request: Request, start: Start | None = None) -> Reply:
        """Return the page at the path parameter `rest`, or what stands in its place: the sign-in, or why there is none."""
        request = request.with_whole_characters()
        path = "/" + request.path.get("rest", "").strip("/")
        return await answer_or_refuse(
            self._serve(method, path, request, start or starts_nothing), f"Page {path}", refusal
        )

    async def open_session(self, request: Request) -> Reply:
        """Begin a session after the host has checked the function key, and redirect to the requested page."""
        return await answer_or_refuse(self._open_session(request.with_whole_characters()), "Signing in", refusal)

    async def _serve(self, method: str, path: str, request: Request, start: Start) -> Reply:
        if method == "GET" and not (is_same_origin(request.headers) or opens_page(request.headers)):
            raise ProblemError(403, "Refused", "A page of another site asked for this. Open the page itself.")
        if method == "GET" and path.startswith(ASSETS):
            return asset(path.removeprefix(ASSETS))
        if (method, path) == ("GET", SIGN_IN):
            return html("sign_in.html", wanted=_find_target(request))
        if (method, path) == ("POST", SIGN_OUT):
            return _sign_out(request)
        return await self._page_for(method, path, request, start)

    async def _page_for(self, method: str, path: str, request: Request, start: Start) -> Reply:
        wanted, parameters = self._page(method, path)
        asked = replace(request, path=parameters)
        caller = await self._caller(request)
        if caller is None and not self.authenticated:
            return redirect(SIGN_IN, page=_address(wanted, asked, path))
        caller = admit(caller, wanted.role)
        check_query_names(wanted, {name: value for name, value in request.query.items() if name != NOTICE})
        if method != "GET":
            await _check_own_form(self.deps(), form_owner(caller, request), request)
        return await serve_operation(wanted, call_of(wanted, self.deps(), start, asked, caller, parse_form))

    def _page(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        for page in self.pages:
            parameters = _match_path(page.path, f"/portal{path}".rstrip("/"))
            if page.method == method and parameters is not None:
                return page, parameters
        raise not_found("page of this name")

    async def _caller(self, request: Request) -> Caller | None:
        if self.authenticated:
            return identify(request.headers, authenticated=True)
        deps, value = self.deps(), roles.session_of(request.headers)
        if not value or not roles.is_valid(await deps.salt(), value, deps.clock()):
            return None
        return roles.SESSION_HOLDER

    async def _open_session(self, request: Request) -> Reply:
        if self.authenticated:
            raise ProblemError(403, "Keys do not count here", "This app is opened by signing in with Entra.")
        if not is_same_origin(request.headers):
            raise _foreign()
        deps = self.deps()
        await deps.audit.note("open_session", KEY_HOLDER.name)
        value = roles.issue_cookie(await deps.salt(), deps.new_id(), deps.clock())
        wanted = fields(request.body).get("page", [""])[-1]
        return _with_session(redirect_within(wanted), value, request)


def redirect_within(address: str) -> Reply:
    """Return the answer that leads to an address of the portal; any other leads to its first page."""
    there = redirect()
    return replace(there, headers={**there.headers, "Location": address}) if _OWN.fullmatch(address) else there


def _sign_out(request: Request) -> Reply:
    if not is_same_origin(request.headers):
        raise _foreign()
    return _with_session(redirect(SIGN_IN), "", request)


def _with_session(reply: Reply, value: str, request: Request) -> Reply:
    """Only on this machine a session may go over plain http."""
    cookie = roles.cookie(value, path=ROOT, secure=not _is_local(request.base_url))
    return replace(reply, headers={**reply.headers, "Set-Cookie": cookie})


def _is_local(address: str) -> bool:
    """Whether an address is one of this machine over plain http. A caller's Host header may make it none at all."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in _LOCAL


async def _check_own_form(deps: Deps, who: str, request: Request) -> None:
    token = fields(request.body).get(TOKEN, [""])[-1]
    if not is_same_origin(request.headers) or not roles.is_own_form(await deps.salt(), who, token):
        raise _foreign()


def _foreign() -> ProblemError:
    detail = "It does not come from a page of this app that you have open. Nothing was done; open the page again."
    return ProblemError(403, "This form was refused", detail)


def _find_target(request: Request) -> str:
    """Return where the sign-in leads, empty for any address but one of the portal: the script follows it as it stands."""
    address = request.query.get("page", "")
    return address if _OWN.fullmatch(address) else ""


def _address(wanted: Operation, asked: Request, path: str) -> str:
    """Return where to go on after the sign-in. What the page does not know, such as a key, stays behind."""
    if wanted.method != "GET":
        return link()
    known = names_of(wanted.query) if wanted.query else ()
    return link(path.rstrip("/"), **{name: value for name, value in asked.query.items() if name in known})


def _match_path(template: str, path: str) -> dict[str, str] | None:
    """Return the parameters of a path that fits a template, None when it does not."""
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    pairs = list(zip(wanted, given, strict=True))
    if any(here != there and not here.startswith("{") for here, there in pairs):
        return None
    return {here[1:-1]: there for here, there in pairs if here.startswith("{")}
