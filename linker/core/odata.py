"""Text of OData requests: values are escaped and names are checked here alone (docs/reference/dataverse.md 5 and 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Self
from urllib.parse import quote

from linker.core.errors import ConfigurationError
from linker.core.linking.mapping_scan import KeySpan
from linker.core.model import Link, Source, Target
from linker.core.names import CUSTOMER_COLUMN

EQ_TERMS = (
    50  # of a chain of comparisons, where In is not available: facts of elastic tables show chains of that length
)
# Conditions of a query; whether each value of In counts is not documented (docs/reference/dataverse.md 6.4).
IN_VALUES = 500
_WILDCARDS = frozenset("%_[")
# The suffix of a value as Dataverse shows it to people: of a lookup the name of the row it leads to.
LABEL = "@OData.Community.Display.V1.FormattedValue"
WITH_LABELS = f'odata.include-annotations="{LABEL[1:]}"'
_SAFE = ",()'/$=;@"
_IN_LISTS = {'"': "%22", "[": "%5B", "]": "%5D", " ": "%20"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def name(text: str) -> str:
    """Return a table or column name unchanged. Raises ConfigurationError when it could be anything else than a name."""
    if not is_name(text):
        raise ConfigurationError(f"{text[:80]!r} is not a valid Dataverse name. Nothing was written.")
    return text


def is_name(text: str) -> bool:
    """Whether a text can be the name of a table or column at all."""
    return _NAME.fullmatch(text) is not None


def literal(text: str) -> str:
    """Return a string literal for use in an expression: quotes doubled, not yet percent-encoded."""
    return "'" + text.replace("'", "''") + "'"


def may_be_pattern(text: str) -> bool:
    """Whether `eq` with `text` might match something else: %, _ and [ are documented as wildcards in string values, their
    escape is not (docs/reference/dataverse.md 6.2). So nothing is escaped; the caller checks the rows that it gets.
    """
    return not _WILDCARDS.isdisjoint(text)


def matches(column: str, text: str) -> str:
    """Return an expression that finds this text in a column, and with it perhaps others: see may_be_pattern."""
    return is_exactly(column, text) if "[" in text else f"{column} eq {literal(text)}"  # x[1] would not find itself


def is_exactly(column: str, text: str) -> str:
    """Return an expression that finds this text in a column and no other. Wildcards mean nothing in a range."""
    value = literal(text)
    return f"{column} ge {value} and {column} le {value}" if may_be_pattern(text) else f"{column} eq {value}"


def query(**options: str | int) -> str:
    """Return '?$a=...&$b=...' with percent-encoded values; an empty value is left out."""
    pairs = [f"${key}={_quote(str(value))}" for key, value in options.items() if value != ""]
    return "?" + "&".join(pairs) if pairs else ""


def _quote(text: str) -> str:
    """Return a text percent-encoded. A text that is safe as a whole is quick, so what stands in every list comes last."""
    quoted = quote(text, safe=_SAFE + "".join(_IN_LISTS))
    for mark, code in _IN_LISTS.items():
        quoted = quoted.replace(mark, code)
    return quoted


def is_in(column: str, values: Iterable[str]) -> str:
    """Return the expression 'column is one of values' (Microsoft.Dynamics.CRM.In)."""
    listed = json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
    return f"Microsoft.Dynamics.CRM.In(PropertyName={literal(name(column))},PropertyValues={listed})"


def any_of(column: str, values: Sequence[str], *, has_in: bool) -> list[str]:
    """Return the expressions that together find the rows whose column is one of `values`: In, or chains of `eq`."""
    if has_in:
        return [is_in(column, some) for some in batched(values, IN_VALUES)]
    return [" or ".join(matches(column, value) for value in some) for some in batched(values, EQ_TERMS)]


def any_guid(column: str, values: Sequence[str], *, has_in: bool) -> list[str]:
    """Return the expressions that together find the rows whose GUID column is one of `values`."""
    if has_in:
        return [is_in(column, some) for some in batched(values, IN_VALUES)]
    return [" or ".join(f"{column} eq {value}" for value in some) for some in batched(values, EQ_TERMS)]


def addresses(entity_set: str, key: str, links: Iterable[Link]) -> list[str]:
    """Return the address of the elastic row of each link."""
    return [address(entity_set, key, link.profile, link.partition) for link in links]


def address(entity_set: str, key: str, guid: str, partition: str) -> str:
    """Return the address of an elastic row for use in a bind: by id alone in its default partition, else by both."""
    if not partition:
        return f"/{entity_set}({guid})"
    text = quote(partition.replace("'", "''"), safe="")
    return f"/{entity_set}({key}={guid},partitionid='{text}')"


class MappingColumns:
    """Columns of the mapping under the names this tenant uses (docs/reference/customer-insights.md section 2)."""

    data_source = "msdynci_datasourcename"
    key = "msdynci_alternatevalue"
    customer = CUSTOMER_COLUMN
    lookup = "msdynci_lookupfield_customer"
    id = "msdynci_alternatekeyid"

    def __init__(self, table: str, *, has_ranges: bool = True) -> None:
        self.table, self.has_ranges = name(table), has_ranges

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the columns as the mapping of a table's sources is read."""
        return cls(target.name_column, has_ranges=target.has_ranges)

    def without_ranges(self) -> MappingColumns:
        """Return the columns of a mapping that does not compare text by ranges. There `eq` has to mean exactly one text."""
        return MappingColumns(self.table, has_ranges=False)

    def of_source(self, source: Source) -> str:
        """Return the filter for the rows of one source, and perhaps some of others (may_be_pattern)."""
        if not self.has_ranges:
            return self._is_source(source)
        return f"{matches(self.data_source, source.data_source)} and {matches(self.table, source.table)}"

    def _is_source(self, source: Source) -> str:
        """Return the filter for the rows of one source and of no other."""
        pairs = ((self.data_source, source.data_source), (self.table, source.table))
        if self.has_ranges:
            return " and ".join(is_exactly(column, text) for column, text in pairs)
        return " and ".join(f"{column} eq {literal(text)}" for column, text in pairs)

    def in_stream(self, source: Source, span: KeySpan, since: str = "") -> str:
        """Return the filter for the mapping rows of one stream: of one source, within a span of key texts, changed `since`.

        Rows without a key are in the span without a lower end.
        """
        parts = [self.of_source(source)]
        if span.lower is not None:
            parts.append(f"{self.key} ge {literal(span.lower)}")
        if span.upper is not None and span.lower is None:
            parts.append(f"({self.key} lt {literal(span.upper)} or {self.key} eq null)")
        elif span.upper is not None:
            parts.append(f"{self.key} lt {literal(span.upper)}")
        if since:
            parts.append(f"modifiedon ge {since}")
        return " and ".join(parts)

    def outside(self, found: Iterable[Source]) -> str:
        """Return the filter for rows of no source found so far: `a_b` must not hide `aXb`. What names no data source or
        table belongs to none.
        """
        named = [f"{column} ne null" for column in (self.data_source, self.table)]
        return " and ".join([*named, *(f"not ({self._is_source(source)})" for source in found)])
