"""The filters of FetchXML: tests of columns, joined by and / or (Microsoft's pages on filters and their operators)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from sandbox.query.syntax import QueryError, UnsupportedQueryError

_LISTED: Final = frozenset({"in", "not-in", "between", "not-between"})
_BARE: Final = frozenset({"null", "not-null", "eq-userid", "ne-userid"})
_OPERATORS: Final = (_LISTED | _BARE).union(
    ("eq", "ne", "neq", "gt", "ge", "lt", "le"),
    ("like", "not-like", "begins-with", "not-begin-with", "ends-with", "not-end-with"),
)


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """One condition on a column, named by its logical name. The values are texts of any type of column."""

    attribute: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions of which all (`and`) or at least one (`or`) must hold."""

    word: str
    parts: tuple["ColumnTest | Filter", ...]

    def tests(self) -> Iterator[ColumnTest]:
        """Yield every condition."""
        for part in self.parts:
            if isinstance(part, Filter):
                yield from part.tests()
            else:
                yield part


def read_filter(element: ET.Element) -> Filter | None:
    """Return what the filter elements below an entity or link-entity ask together, None without one."""
    found = tuple(_filter(child) for child in element if child.tag == "filter" and len(child))
    return Filter("and", found) if found else None


def _filter(element: ET.Element) -> Filter:
    word = element.get("type", "and")
    if word not in {"and", "or"}:
        raise QueryError(f"The filter type '{word}' is neither and nor or.")
    return Filter(word, tuple(_part(child) for child in element))


def _part(element: ET.Element) -> ColumnTest | Filter:
    if element.tag == "filter":
        return _filter(element)
    unknown = element.attrib.keys() - {"attribute", "operator", "value"}
    if element.tag != "condition" or unknown:
        what = f"'{min(unknown)}' on the FetchXML element 'condition'" if unknown else f"'{element.tag}' in a filter"
        raise UnsupportedQueryError(what)
    attribute, operator = element.get("attribute", ""), element.get("operator", "")
    if operator not in _OPERATORS:
        raise UnsupportedQueryError(f"the FetchXML operator '{operator}'")
    given = [element.get("value")] if "value" in element.attrib else [child.text for child in element]
    values = tuple(value or "" for value in given)
    if operator not in _LISTED and len(values) != (0 if operator in _BARE else 1):
        raise QueryError(f"The condition '{operator}' on '{attribute}' has {len(values)} values.")
    return ColumnTest(attribute, operator, values)
