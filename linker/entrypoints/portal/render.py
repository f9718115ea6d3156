"""Templates to answers: the one environment, what every page may use, and headers that keep a browser from anything else.

Style sheet and script are part of the package and named by their contents, so that a browser may keep them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from linker import docs_url
from linker.core.roles import Caller, Role, form_token, session_of
from linker.entrypoints.messages import ProblemError, Reply, Request
from linker.entrypoints.operations import Call, names_of
from linker.entrypoints.portal.views.words import FILTERS, NOTICES

if TYPE_CHECKING:  # it costs 0.1 s to import: cold start
    from jinja2 import Environment
import hashlib

from linker.entrypoints.messages import not_found

ROOT: Final = "/api/portal"
HTML: Final = "text/html"
_PLACE: Final = re.compile(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?", re.ASCII)
NOTICE: Final = "notice"  # a parameter of every page: one of the NOTICES
SECTIONS: Final = (  # a new one stands here: its name, its path, and who may open it
    ("Status", "", Role.VIEWER),
    ("Timeline", "/timeline", Role.VIEWER),
    ("Preflight", "/preflight", Role.VIEWER),
    ("Rows", "/rows", Role.VIEWER),
    ("Actions", "/actions", Role.VIEWER),
    ("Audit", "/audit", Role.ADMIN),
    ("About", "/about", Role.VIEWER),
)
# No content from other hosts, no inline code, and no framing.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    # Other sites learn nothing. With "no-referrer" forms say "Origin: null", and App Service Authentication refuses them.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def link(path: str = "", **query: str | int | None) -> str:
    """Return the address of a page of the portal; parameters without a value are left out."""
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{ROOT}{path}{'?' if given else ''}{given}"


def record(dynamics: str, table: str, row: str) -> str:
    """Return the address of a row in Dynamics 365, whose own address is `dynamics`."""
    return f"{dynamics}/main.aspx?{urlencode({'pagetype': 'entityrecord', 'etn': table, 'id': row})}"


def again(call: Call[Any, Any], path: str = "", **changed: str) -> Callable[..., str]:
    """Return what links to the page that is asked for with the parameters that it has now, but for some."""
    kept = {name: call.request.query.get(name, "") for name in names_of(type(call.query))}
    return partial(link, path, **{**kept, **changed})


async def render(call: Call[Any, Any], template: str, /, *, status: int = 200, **values: object) -> Reply:
    """Return a page for the caller: the template with `values`, and what every page shows (templates/base.html)."""
    return html(
        template,
        status,
        caller=call.caller,
        dynamics=call.deps.settings.dataverse_url.rstrip("/"),
        environment=urlsplit(call.deps.settings.dataverse_url).netloc,
        operates=call.caller.may(Role.OPERATOR),
        token=form_token(await call.deps.salt(), who_asks(call)),
        notice=NOTICES.get(call.request.query.get(NOTICE, "")),
        **values,
    )


def html(template: str, status: int = 200, /, **values: object) -> Reply:
    """Return a page that knows nothing of who asks."""
    return Reply(status, _environment().get_template(template).render(values), HEADERS, HTML)


def redirect(path: str = "", **query: str | None) -> Reply:
    """Return the answer that leads a browser to a page after a form; `notice` names one of the NOTICES to show there."""
    return Reply(303, "", {**HEADERS, "Location": link(path, **query)}, HTML)


def lead_home() -> Reply:
    """Return the answer that leads from the app's own address to the first page, which asks who is there."""
    return redirect()


def refusal(problem: ProblemError) -> Reply:
    """Return a refused request as a page."""
    return html("problem.html", problem.status, problem=problem)


def places(text: str) -> list[tuple[str, str]]:
    """Return a text in parts, each with the address that it leads to: a place of the documentation, "" for anything else."""
    ends = [0, *(end for found in _PLACE.finditer(text) for end in found.span()), len(text)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    return [(part, docs_url(part) if number % 2 else "") for number, part in enumerate(parts)]


def who_asks(call: Call[Any, Any]) -> str:
    """Return what a form of the caller is bound to: who signed in, or the session."""
    return form_owner(call.caller, call.request)


def form_owner(caller: Caller, request: Request) -> str:
    """Return what a form of a caller is bound to."""
    return caller.id or session_of(request.headers) or caller.name


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {**FILTERS, "places": places}
    made.globals |= {
        "link": link,
        "record": record,
        "docs_url": docs_url,
        "sections": SECTIONS,
        "asset": lambda name: link(f"/assets/{name}", v=version(name)),
    }
    return made


FOLDER: Final = Path(__file__).with_name("assets")
MEDIA_TYPES: Final = {"portal.css": "text/css", "portal.js": "text/javascript"}


def asset(name: str) -> Reply:
    """Return one asset. Raises ProblemError 404."""
    if name not in MEDIA_TYPES:
        raise not_found("asset of this name")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Reply(200, _text(name), headers, MEDIA_TYPES[name])


@cache
def version(name: str) -> str:
    """Return what changes with the contents of an asset."""
    return hashlib.sha256(_text(name).encode()).hexdigest()[:12]


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
