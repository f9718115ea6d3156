"""FetchXML as views use it: columns, orders, and tables joined by columns. Anything else is reported as missing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET  # what is read comes from this machine's own clients, and expat bounds entities

from sandbox.query.fetchxml_filter import Filter, read_filter
from sandbox.query.syntax import MAX_LINKS, QueryError, TooManyLinksError, UnsupportedQueryError

_KNOWN: Final = {
    "fetch": {
        "version",
        "output-format",
        "mapping",
        "distinct",
        "no-lock",
        "top",
        "count",
        "page",
        "paging-cookie",
    },
    "entity": {"name"},
    "all-attributes": set(),
    "attribute": {"name"},
    "filter": {"type"},
    "order": {"attribute", "descending"},
    "link-entity": {"name", "from", "to", "link-type", "alias", "visible"},
}
_LINK_TYPES: Final = ("inner", "outer")


@dataclass(frozen=True, slots=True)
class Link:
    """A joined table: its column `source` equals the column `target` of the element around it."""

    table: str
    source: str
    target: str
    alias: str
    outer: bool
    attributes: tuple[str, ...]
    links: tuple["Link", ...]
    filter: Filter | None = None

    def all(self) -> Iterator["Link"]:
        """Yield this link and those within it."""
        yield self
        for link in self.links:
            yield from link.all()


@dataclass(frozen=True, slots=True)
class Sorting:
    """One order of the rows."""

    attribute: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """A query. `top` is None when it names no number of rows; without `attributes` all columns are wanted.

    `count` is the size of a page, and `page` its number from 1. The rows before it are passed over by their number, so
    that the cookie, which Dataverse takes for speed, is not needed.
    """

    table: str
    attributes: tuple[str, ...]
    orders: tuple[Sorting, ...]
    links: tuple[Link, ...]
    top: int | None
    filter: Filter | None = None
    count: int | None = None
    page: int = 1

    @property
    def size(self) -> int | None:
        """How many rows are wanted at once, None for as many as there may be."""
        return self.count if self.top is None else self.top

    def all_links(self) -> tuple[Link, ...]:
        """Every joined table, outer ones before those within them."""
        return tuple(link for first in self.links for link in first.all())


def parse_fetch(text: str) -> Fetch:
    """Return a query. Raises QueryError for malformed XML, UnsupportedQueryError for what is not answered."""
    try:
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise QueryError(f"Invalid XML: {error}.") from None
    entities = [_checked(child) for child in _checked(root)]
    if root.tag != "fetch" or len(entities) != 1 or entities[0].tag != "entity":
        raise QueryError("A FetchXML query is a fetch element with one entity.")
    if root.get("distinct", "false") != "false":
        raise UnsupportedQueryError("FetchXML with distinct")
    entity = entities[0]
    if "top" in root.attrib and root.attrib.keys() & {"count", "page"}:
        raise QueryError("The attributes top and count or page of the element 'fetch' do not go together.")
    fetch = Fetch(
        table=_given(entity, "name"),
        attributes=_attributes(entity),
        orders=_orders(entity),
        links=_links(entity),
        top=_number(root, "top"),
        filter=read_filter(entity),
        count=_number(root, "count") or None,
        page=_number(root, "page") or 1,
    )
    if len(fetch.all_links()) > MAX_LINKS:
        raise TooManyLinksError
    return fetch


def _checked(element: ET.Element) -> ET.Element:
    if element.tag not in _KNOWN:
        raise UnsupportedQueryError(f"the FetchXML element '{element.tag}'")
    unknown = element.attrib.keys() - _KNOWN[element.tag]
    if unknown:
        raise UnsupportedQueryError(f"'{min(unknown)}' on the FetchXML element '{element.tag}'")
    return element


def _given(element: ET.Element, name: str) -> str:
    value = element.get(name)
    if not value:
        raise QueryError(f"The attribute '{name}' of the element '{element.tag}' is missing.")
    return value


def _children(element: ET.Element, tag: str) -> Iterator[ET.Element]:
    return (child for child in map(_checked, element) if child.tag == tag)


def _attributes(element: ET.Element) -> tuple[str, ...]:
    if list(_children(element, "all-attributes")):
        if element.tag != "entity":
            raise UnsupportedQueryError("FetchXML all-attributes of a link-entity")
        return ()
    return tuple(_given(child, "name") for child in _children(element, "attribute"))


def _orders(element: ET.Element) -> tuple[Sorting, ...]:
    found = _children(element, "order")
    return tuple(Sorting(_given(child, "attribute"), child.get("descending") == "true") for child in found)


def _links(element: ET.Element) -> tuple[Link, ...]:
    return tuple(map(_link, _children(element, "link-entity")))


def _link(element: ET.Element) -> Link:
    kind = element.get("link-type", "inner")
    if kind not in _LINK_TYPES:
        raise UnsupportedQueryError(f"the FetchXML link-type '{kind}'")
    if "alias" not in element.attrib or _orders(element):
        raise UnsupportedQueryError("FetchXML link-entity without alias, or with an order of its own")
    return Link(
        table=_given(element, "name"),
        source=_given(element, "from"),
        target=_given(element, "to"),
        alias=_given(element, "alias"),
        outer=kind == "outer",
        attributes=_attributes(element),
        links=_links(element),
        filter=read_filter(element),
    )


def _number(root: ET.Element, name: str) -> int | None:
    text = root.get(name)
    if text is not None and re.fullmatch(r"\d{1,9}", text) is None:
        raise QueryError(f"Invalid value '{text}' for {name}.")
    return int(text) if text else None
