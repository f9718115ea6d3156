"""Evaluates `$filter`, `$select` and `$expand` over definitions, which are JSON objects in memory."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sandbox.query.parser import parse_filter
from sandbox.query.syntax import (
    Compare,
    Condition,
    Junction,
    Literal,
    Not,
    Path,
    QueryError,
    TextMatch,
    UnknownPropertyError,
    UnsupportedQueryError,
)
from sandbox.webapi.metadata.constant import Document

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def matching(documents: Iterable[Document], text: str | None, aliases: Mapping[str, str]) -> Iterable[Document]:
    """Return the definitions that a filter lets through; names in metadata are case-sensitive."""
    if not text:
        return documents
    condition = parse_filter(text, aliases)
    return (document for document in documents if _holds(condition, document))


def _holds(condition: Condition, document: Document) -> bool:
    match condition:
        case Junction("and", parts):
            return all(_holds(part, document) for part in parts)
        case Junction(_, parts):
            return any(_holds(part, document) for part in parts)
        case Not(inner):
            return not _holds(inner, document)
        case Compare(word, left, right):
            return _compared(word, _value(left, document), _value(right, document))
        case TextMatch(function, path, part):
            return _TEXT_TESTS[function](str(_value(path, document) or ""), part)
    raise UnsupportedQueryError("query functions in metadata queries")


def _compared(word: str, left: Any, right: Any) -> bool:
    if word in {"eq", "ne"} or (left is not None and type(left) is type(right)):
        return _COMPARISONS[word](left, right)
    return False


def _value(operand: Path | Literal, document: Document) -> Any:
    if isinstance(operand, Literal):
        return operand.value
    value: Any = document
    for name in operand.names:
        if not isinstance(value, dict) or name not in value:
            raise unknown_property(name, document)
        value = value[name]
    return value


def selected(document: Document, text: str | None, known: frozenset[str] | None = None) -> Document:
    """Return the wanted properties of a definition; its MetadataId and type always belong to them.

    `known` limits what may be named: properties of a derived type need a cast. Raises QueryError for others.
    """
    if not text:
        return document
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in (known or document.keys()):
            raise unknown_property(name, document)
    kept = {"@odata.type", *names} - {"MetadataId"}
    chosen = {name: value for name, value in document.items() if name in kept}
    return chosen | {"MetadataId": document["MetadataId"]} if "MetadataId" in document else chosen


def unknown_property(name: str, document: Document) -> QueryError:
    """Return the refusal of a name that definitions of this kind do not have."""
    kind = "EntityMetadata" if "EntitySetName" in document else "MetadataBase"
    kind = "AttributeMetadata" if "AttributeType" in document else kind
    kind = "RelationshipMetadataBase" if "RelationshipType" in document else kind
    return UnknownPropertyError(name, kind)
