"""Evaluates `$filter`, `$select` and `$expand` over definitions, which are JSON objects in memory."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.query.evaluation import compile_test
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Path, QueryError, UnknownPropertyError
from sandbox.webapi.metadata.constant import Document


def matching(documents: Iterable[Document], text: str | None, aliases: Mapping[str, str]) -> Iterable[Document]:
    """Return the definitions that a filter lets through; names in metadata are case-sensitive."""
    if not text:
        return documents
    return filter(compile_test(parse_filter(text, aliases), _value, has_in=False), documents)


def _value(document: Document, path: Path) -> Any:
    value: Any = document
    for name in path.names:
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
