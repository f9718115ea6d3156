"""Change tracking: `Prefer: odata.track-changes`, delta links and their tokens (docs/reference/dataverse.md 12).

A token is a row version and a time, such as `919042!08/22/2017 08:10:44`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from sandbox.database.change_tracking import Place, Span, changed_rows, count_changes, deleted_keys
from sandbox.database.collation import guid_key, guid_text
from sandbox.schema.insights_tables import PROFILES
from sandbox.schema.model import Table
from sandbox.webapi.protocol.annotations import JsonRow
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import QUERY_ERROR, ApiError, not_supported
from sandbox.webapi.protocol.messages import ApiResponse, json_answer
from sandbox.webapi.protocol.rendering import render
from sandbox.webapi.protocol.shapes import Shape, read_shape

PREFERENCE: Final = "odata.track-changes"
_REFUSED: Final = ("$filter", "$orderby", "$expand", "$top")
_TIME: Final = "%m/%d/%Y %H:%M:%S"
_TOKEN: Final = re.compile(r"(\d+)!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)")
_COOKIE: Final = re.compile(
    r'<cookie pagenumber="(\d+)" pagingcookie="(row|deleted),(\d+),(\d+),([0-9a-f-]{36})" istracking="True" />'
)
_ESCAPE: Final = re.compile("%[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class _Page:
    """Where a page begins: `after` is the last change of the page before, `number` counts from 1."""

    span: Span
    number: int = 1
    after: Place | None = None


def tracks_changes(call: Call) -> bool:
    """Return whether a request asks for changes: by its preference, a delta link or a further page of one."""
    options = call.request.options
    return (
        PREFERENCE in call.request.preferences
        or "$deltatoken" in options
        or 'istracking="True"' in options.get("$skiptoken", "")
    )


def read_changes(call: Call, table: Table, rows: int) -> tuple[ApiResponse, int]:
    """Return a page of at most `rows` changes, and how many rows it holds.

    Without a token that is every row. Rows come in the order of their versions, deletions after them.
    Raises the 400 answer for a table without change tracking and for a token that is too old or malformed.
    """
    _check(call, table)
    page = _page_of(call, table)
    shape = read_shape(call, table, {"$select": call.request.options.get("$select", "")})
    database = call.environment.database
    found = changed_rows(database, table, shape.columns, page.span, page.after, rows + 1, _least(call, table))
    gone = deleted_keys(database, table, page.span, page.after, rows + 1 - len(found))
    changes = [Place(False, int(str(row[0])), bytes(row[1])) for row in found]  # type: ignore[arg-type]  # a key
    changes += [Place(True, version, key) for version, key in gone]
    shown = render(call, shape, found[:rows])
    shown += [_deleted(call, table, key) for _, key in gone[: rows - len(shown)]]
    following = _following(call, page, changes[rows - 1] if len(changes) > rows else None)
    return json_answer({"@odata.context": _context(call, shape)} | following | {"value": shown}), len(shown)


def _least(call: Call, table: Table) -> bytes:
    """Return the least key of the rows that the caller sees."""
    return call.dialect.least_profile or b"" if table.logical_name == PROFILES else b""


def count_tracked(call: Call, table: Table) -> int:
    """Return how many changes there are since a token. Raises the 400 answer."""
    _check(call, table)
    return count_changes(call.environment.database, table, _page_of(call, table).span)


def _check(call: Call, table: Table) -> None:
    call.require("Read", table)
    if not table.change_tracking:
        raise ApiError(400, "0x80072491", f"Entity {table.logical_name} isn't enabled for change tracking.")
    for name in _REFUSED:
        if name in call.request.options:
            text = f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'
            raise ApiError(400, QUERY_ERROR, text)
    others = call.request.options.keys() - {"$select", "$deltatoken", "$skiptoken", "$count"}
    if others:
        raise not_supported(f"{min(others)} with change tracking")


def _page_of(call: Call, table: Table) -> _Page:
    """Return what is asked for; the versions of a further page are those of the first one."""
    options = call.request.options
    if "$skiptoken" in options:
        return _further_page(options["$skiptoken"], _since(call, options.get("$deltatoken")))
    return _Page(Span(_since(call, options.get("$deltatoken")), call.environment.database.current_version(table)))


def _since(call: Call, token: str | None) -> int:
    """Return the version of a token, 0 without one. Raises the 400 answer for a token that cannot be used."""
    if token is None:
        return 0
    match = _TOKEN.fullmatch(token)
    try:
        moment = datetime.strptime(match[2] if match else "", _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ApiError(400, QUERY_ERROR, f"The delta token '{token}' is not valid.") from None
    oldest = call.environment.clock() - timedelta(days=call.environment.config.change_tracking_days)
    if moment >= oldest:
        return int(match[1]) if match else 0
    if call.environment.config.expired_delta == "all_rows":
        return 0
    raise ApiError(
        400, "0x80044352", "Version stamp associated with the client has expired. Please perform a full sync."
    )


def _further_page(cookie: str, since: int) -> _Page:
    match = _COOKIE.fullmatch(cookie)
    if match is None:
        raise ApiError(400, "0x80040203", "The paging cookie is malformed or belongs to another query.")
    number, kind, until, version, key = match.groups()
    return _Page(Span(since, int(until)), int(number), Place(kind == "deleted", int(version), guid_key(key)))


def _following(call: Call, page: _Page, last: Place | None) -> JsonRow:
    """Return the link to the next page, or after the last one to what changes from now on."""
    options = call.request.options
    if last is not None:
        kind = "deleted" if last.deleted else "row"
        inner = f"{kind},{page.span.until},{last.version},{guid_text(last.key)}"
        cookie = f'<cookie pagenumber="{page.number + 1}" pagingcookie="{inner}" istracking="True" />'
        known = {"$deltatoken": options["$deltatoken"]} if "$deltatoken" in options else {}
        return {"@odata.nextLink": _link(call, known | {"$skiptoken": cookie})}
    token = f"{page.span.until}!{call.environment.clock().strftime(_TIME)}"
    return {"@odata.deltaLink": _link(call, {"$deltatoken": token})}


def _link(call: Call, tokens: dict[str, str]) -> str:
    kept = [part for part in call.request.query.split("&") if part and "token=" not in part]
    added = [f"{name}={_encoded(token)}" for name, token in tokens.items()]
    return f"{call.api_url}/{call.request.path}?{'&'.join([*kept, *added])}"


def _encoded(text: str) -> str:
    """Return a text percent-encoded with digits in lower case, as Dataverse writes them."""
    return _ESCAPE.sub(lambda match: match[0].lower(), quote(text, safe=""))


def _context(call: Call, shape: Shape) -> str:
    delta = "/$delta" if "$deltatoken" in call.request.options else ""
    return f"{call.api_url}/$metadata#{shape.table.entity_set}{shape.context}{delta}"


def _deleted(call: Call, table: Table, key: bytes) -> JsonRow:
    context = f"{call.api_url}/$metadata#{table.entity_set}/$deletedEntity"
    return {"@odata.context": context, "id": guid_text(key), "reason": "deleted"}
