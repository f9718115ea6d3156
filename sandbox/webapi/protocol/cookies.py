"""The paging cookie in `$skiptoken`: the last row, in the shape that Dataverse uses (docs/reference/dataverse.md 5.1)."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr, unescape

from sandbox.database.collation import guid_key, guid_text
from sandbox.database.values import Stored
from sandbox.webapi.protocol.errors import ApiError

_OUTER: Final = re.compile(r'<cookie pagenumber="(\d{1,9})" pagingcookie="([^"]*)" istracking="False" />')
_ESCAPE: Final = re.compile("%[0-9A-F]{2}")
_ENTRY: Final = re.compile(r"""<(\w+) last(null)?=("[^"]*"|'[^']*')""")
_ENTITIES: Final = {"&quot;": '"', "&#10;": "\n", "&#13;": "\r", "&#9;": "\t"}


def write_cookie(names: Sequence[str], page: int, last: Sequence[Stored], first: Sequence[Stored]) -> str:
    """Return the token of page `page` (from 2), ready for a URL. `names` are the ordering columns, then the key."""
    return quote(_outer(page, _encoded(_inner(names, page, last, first))), safe="=/")


def fetch_cookie(names: Sequence[str], page: int, last: Sequence[Stored], first: Sequence[Stored]) -> str:
    """Return the cookie of a FetchXML answer, whose inside is encoded twice (docs/reference/dataverse.md 17.4)."""
    return _outer(page, _encoded(_encoded(_inner(names, page, last, first))))


def _inner(names: Sequence[str], page: int, last: Sequence[Stored], first: Sequence[Stored]) -> str:
    return f'<cookie page="{page - 1}">{"".join(map(_entry, names, last, first))}</cookie>'


def _outer(page: int, inner: str) -> str:
    return f'<cookie pagenumber="{page}" pagingcookie="{inner}" istracking="False" />'


def _encoded(text: str) -> str:
    """Return a text percent-encoded with digits in lower case, as Dataverse writes them."""
    return _ESCAPE.sub(lambda match: match[0].lower(), quote(text, safe=""))


def _entry(name: str, last: Stored, first: Stored) -> str:
    return f"<{name} {_attribute('last', last)} {_attribute('first', first)} />"


def _attribute(name: str, value: Stored) -> str:
    if value is None:
        return f'{name}null="1"'
    if isinstance(value, bytes):
        return f'{name}="{{{guid_text(value).upper()}}}"'
    kind = "" if isinstance(value, str) else f"{type(value).__name__}:"
    return f"{name}={quoteattr(f'{kind or "str:"}{value}', {'"': '&quot;'})}"


def read_cookie(token: str, names: Sequence[str]) -> tuple[int, tuple[Stored, ...]]:
    """Return the page number and what its rows come after, in the ordering columns `names`.

    Raises the 400 answer for a malformed token, or one of another order.
    """
    outer = _OUTER.fullmatch(token)
    entries = _ENTRY.findall(unquote(outer[2])) if outer else []
    try:
        values = tuple(_value(bool(null), text[1:-1]) for _, null, text in entries)
    except ValueError:
        outer = None
    if outer is None or [name for name, _, _ in entries] != list(names):
        raise ApiError(400, "0x80040203", "The paging cookie is malformed or belongs to another query.")
    return int(outer[1]), values


def _value(null: bool, text: str) -> Stored:
    if null:
        return None
    if text.startswith("{"):
        return guid_key(text)
    kind, _, plain = text.partition(":")
    if kind == "int":
        return int(plain)
    return float(plain) if kind == "float" else unescape(plain, _ENTITIES)
