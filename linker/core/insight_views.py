"""A view on a table's list with columns of the profile and of measure tables: what it shows, as FetchXML and layout. Pure.

It joins the profile table, so that table has to be a standard one.

Facts: Microsoft's pages on views (savedquery) and on joining tables by FetchXML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

from linker.core.capabilities import TableKind
from linker.core.errors import ConfigurationError
from linker.core.insight_paths import MEASURE_TABLE, Column, RelatedTable
from linker.core.names import LOOKUP_SCHEMA_NAME, PROFILE_TABLE

PROFILE = "profile"  # alias of the profile's columns
MAX_JOINED = 14  # 15 joined tables are the most, and the profile is one
MAX_NAME = 200  # characters of a view's name
_WIDTH = "150"
_ONE_TEXT = f"Table '{MEASURE_TABLE}' has all measures of a customer in one text, which a list cannot take apart."
_IDS = UUID("6a0d3c52-6c3c-4b36-9f0e-2d0a4c8f7b11")


@dataclass(frozen=True, slots=True)
class ListTable:
    """The table whose list gets a view; names and numbers from metadata."""

    name: str
    entity_set: str
    key: str
    primary_name: str
    label: str
    type_code: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of the view: of the list's own table (no alias), of the profile, or of a table joined to the profile."""

    alias: str
    column: Column

    @property
    def cell(self) -> str:
        """Its name in the layout and in the answer of the Web API."""
        return f"{self.alias}.{self.column.name}" if self.alias else self.column.name


@dataclass(frozen=True, slots=True)
class Columns:
    """Everything that a view can show, and why it cannot show the rest: `related` tables point at the profile."""

    table: ListTable
    own: tuple[Column, ...]
    profile: tuple[Column, ...]
    related: Mapping[RelatedTable, tuple[Column, ...]]

    @property
    def named(self) -> dict[str, Shown]:
        """The columns by the names that people give them.

        Those of the profile stand alone, those of related tables too where nothing else has the name.
        """
        far = [Shown(table.name, column) for table, found in self.related.items() if table.lookup for column in found]
        near = [Shown("", column) for column in self.own]
        times = Counter(shown.column.name for shown in far)
        named = {shown.column.name: shown for shown in far if times[shown.column.name] == 1}
        named |= {f"{shown.alias or self.table.name}.{shown.column.name}": shown for shown in (*far, *near)}
        named |= {column.name: Shown(PROFILE, column) for column in self.profile}
        return {name: shown for name, shown in named.items() if shown.column.is_readable}


@dataclass(frozen=True, slots=True)
class View:
    """A system view. Its id follows from table and name, so that the same order finds its own view again and no other."""

    id: str
    name: str
    table: ListTable
    shown: tuple[Shown, ...]
    fetchxml: str
    layoutxml: str

    @property
    def shows_profile(self) -> bool:
        """Whether the view names columns of the profile."""
        return any(shown.alias == PROFILE for shown in self.shown)

    @property
    def joined(self) -> tuple[str, ...]:
        """The tables that are joined to the profile."""
        return tuple(dict.fromkeys(shown.alias for shown in self.shown if shown.alias not in ("", PROFILE)))


def same_xml(one: str, other: str) -> bool:
    """Return whether two XML texts are equivalent. Dataverse may reformat them."""
    try:
        return ET.canonicalize(one, strip_text=True) == ET.canonicalize(other, strip_text=True)
    except ET.ParseError:
        return False


def default_name(table: ListTable) -> str:
    """Return the name of a view whose maker gave it none."""
    return f"{table.label} with customer profile"


def check_kind(profile_kind: TableKind) -> None:
    """Raise ConfigurationError unless lists can join the profile table, which only a standard table is sure to allow.

    A quick view form is offered as advice and not created: Customer Insights refuses to remove a profile column that a
    component of Dataverse uses (docs/reference/elastic-tables.md, 3), so an administrator has to decide.
    """
    if profile_kind is TableKind.STANDARD:
        return
    kind = "an elastic" if profile_kind is TableKind.ELASTIC else "a virtual"
    raise ConfigurationError(
        f"Nothing was written, because {PROFILE_TABLE} is {kind} table and lists cannot join it. Add a quick view form of the "
        f"profile to the row's form, or filter the list by the lookup itself (_{LOOKUP_SCHEMA_NAME}_value eq <profile id>). "
        "Read docs/insights.md first: Customer Insights cannot remove profile columns that a form uses."
    )


def design(columns: Columns, wanted: Sequence[str], name: str = "") -> View:
    """Return the view with the wanted columns behind the table's name column.

    Raises ConfigurationError for what it cannot show.
    """
    if not wanted:
        raise _refusal_of("Name at least one column to show.")
    table, known = columns.table, columns.named
    shown = tuple(dict.fromkeys(_find_column(columns, known, given) for given in wanted))
    joins = [related for related in columns.related if related.name in {one.alias for one in shown}]
    if len(joins) > MAX_JOINED:
        raise _refusal_of(
            f"A view joins at most {MAX_JOINED} tables to the profile, and these columns are of {len(joins)}."
        )
    name = (name or default_name(table))[:MAX_NAME]
    return View(
        str(uuid5(_IDS, f"{table.name}/{name}")),
        name,
        table,
        shown,
        _fetchxml(table, shown, joins),
        _layout(table, shown),
    )


def _find_column(columns: Columns, known: Mapping[str, Shown], given: str) -> Shown:
    wanted = given.strip().lower()
    if wanted in known:
        return known[wanted]
    table = wanted.partition(".")[0]
    if table == MEASURE_TABLE or table in {related.name for related in columns.related if not related.lookup}:
        why = (
            _ONE_TEXT if table == MEASURE_TABLE else f"Table '{table}' has no lookup to the profile for a list to join."
        )
        raise _refusal_of(
            f"{why} Make the measure a column of the profile, or write it to a table related to the profile; until then the "
            "row's insights show it."
        )
    close = get_close_matches(wanted, known, n=3, cutoff=0.5)
    advice = f"Did you mean {', '.join(close)}?" if close else f"There are: {', '.join(sorted(known)) or 'none'}."
    raise _refusal_of(f"The list of table '{columns.table.name}' can show no column '{wanted[:100]}'. {advice}")


def _refusal_of(why: str) -> ConfigurationError:
    return ConfigurationError(f"{why} Nothing was written.")


def _fetchxml(table: ListTable, shown: Sequence[Shown], joins: Iterable[RelatedTable]) -> str:
    fetch = ET.Element(
        "fetch", {"version": "1.0", "output-format": "xml-platform", "mapping": "logical", "distinct": "false"}
    )
    entity = ET.SubElement(fetch, "entity", {"name": table.name})
    _attributes(entity, (table.key, table.primary_name, *_names(shown, "")))
    ET.SubElement(entity, "order", {"attribute": table.primary_name, "descending": "false"})
    profile = _add_join(entity, PROFILE_TABLE, f"{PROFILE_TABLE}id", LOOKUP_SCHEMA_NAME, PROFILE)
    _attributes(profile, _names(shown, PROFILE))
    for related in joins:
        part = _add_join(profile, related.name, related.lookup, f"{PROFILE_TABLE}id", related.name)
        _attributes(part, _names(shown, related.name))
    return ET.tostring(fetch, encoding="unicode")


def _add_join(parent: ET.Element, table: str, source: str, target: str, alias: str) -> ET.Element:
    """Join a table so that rows without a partner stay in the list."""
    facts = {"name": table, "from": source, "to": target, "link-type": "outer", "alias": alias, "visible": "false"}
    return ET.SubElement(parent, "link-entity", facts)


def _attributes(element: ET.Element, names: Iterable[str]) -> None:
    for name in dict.fromkeys(names):
        ET.SubElement(element, "attribute", {"name": name})


def _names(shown: Iterable[Shown], alias: str) -> Iterator[str]:
    return (one.column.name for one in shown if one.alias == alias)


def _layout(table: ListTable, shown: Sequence[Shown]) -> str:
    facts = {"name": "resultset", "object": str(table.type_code), "jump": table.primary_name}
    grid = ET.Element("grid", facts | {"select": "1", "preview": "1", "icon": "1"})
    row = ET.SubElement(grid, "row", {"name": "result", "id": table.key})
    cells = dict.fromkeys((table.primary_name, *(one.cell for one in shown)))
    for cell in cells:
        joined = (
            {"disableSorting": "1"} if "." in cell else {}
        )  # as in Microsoft's example: a list sorts by its own columns
        ET.SubElement(row, "cell", {"name": cell, "width": _WIDTH} | joined)
    return ET.tostring(grid, encoding="unicode")
