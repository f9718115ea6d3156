"""GET of EntityDefinitions and RelationshipDefinitions, sub-collections and casts (docs/reference/dataverse.md 8.3)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import orjson

from sandbox.schema.model import Table
from sandbox.webapi.metadata.constant import Document
from sandbox.webapi.metadata.documents import BASE_ATTRIBUTE, COLLECTIONS, relationship_document, table_document
from sandbox.webapi.metadata.evaluation import matching, selected
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, not_supported, segment_not_found
from sandbox.webapi.protocol.messages import ApiResponse, json_answer
from sandbox.webapi.protocol.urls import Segment, split_outside, unquoted
from sandbox.webapi.security.privileges import require

_CAST: Final = "Microsoft.Dynamics.CRM."
_OPTIONS: Final = frozenset({"$select", "$filter", "$expand", "$count"})
_EXPANDABLE: Final = frozenset({"OptionSet", "GlobalOptionSet"})


async def read_definitions(call: Call, segments: Sequence[Segment]) -> ApiResponse:
    """Answer a GET below EntityDefinitions or RelationshipDefinitions."""
    _check_options(call)
    what = "Relationship" if segments[0].name == "RelationshipDefinitions" else "Entity"
    require(call.environment, call.caller, f"prvRead{what}")
    if what == "Relationship":
        return _read_relationships(call, segments)
    if segments[0].arguments is None:
        documents = [table_document(table) for table in call.schema.tables.values()]
        if len(segments) > 1:
            return _counted(documents, segments[1:])
        return _collection(call, "EntityDefinitions", documents, None, _with_expanded(call))
    table = find_table(call, segments[0])
    return _read_below(call, table, segments[1:])


def _check_options(call: Call) -> None:
    unknown = [name for name in call.request.options if name.startswith("$") and name not in _OPTIONS]
    if unknown:
        raise ApiError(400, "0x80060888", f"The query parameter {unknown[0]} is not supported.")


def find_table(call: Call, segment: Segment) -> Table:
    """Return the table of `EntityDefinitions(LogicalName='x')` or `EntityDefinitions(guid)`. Raises the 404 answer."""
    name = unquoted(segment.named_arguments.get("LogicalName", ""))
    wanted = (segment.single_key or unquoted(segment.named_arguments.get("MetadataId", ""))).lower()
    for table in call.schema.tables.values():
        if table.logical_name == name or (wanted and table.metadata_id == wanted):
            return table
    raise ApiError(
        404,
        "0x80041102",
        f"The entity with a name = '{name or wanted}' with namemapping = 'Logical' was not found in the MetadataCache.",
    )


def find_document(documents: Iterable[Document], segment: Segment) -> Document:
    """Return the definition that a key names: by LogicalName, SchemaName or MetadataId. Raises the 404 answer."""
    named = {name: unquoted(value) for name, value in segment.named_arguments.items()}
    named = named or {"MetadataId": (segment.single_key or "").strip("{}").lower()}
    for document in documents:
        if all(document.get(name) == value for name, value in named.items()):
            return document
    described = " ".join(f"{name} = {value}" for name, value in named.items())
    kind = "attribute" if segment.name == "Attributes" else "relationship"
    raise ApiError(404, "0x80040217", f"Could not find the {kind} with the specified name: {described}.")


def _read_below(call: Call, table: Table, rest: Sequence[Segment]) -> ApiResponse:
    """Answer one definition, a property of it, or a sub-collection of it."""
    if not rest:
        document = _with_expanded(call)(table_document(table))
        return _single(call, "EntityDefinitions", document, None)
    name = rest[0].name
    path = f"EntityDefinitions('{table.logical_name}')/{name}"
    if name in COLLECTIONS:
        return _read_collection(call, path, list(COLLECTIONS[name](call.schema, table)), rest)
    return _property(call, path, table_document(table), rest)


def _property(call: Call, path: str, document: Document, rest: Sequence[Segment]) -> ApiResponse:
    """Answer one property of a definition, or its plain `$value`. Raises the 404 answer."""
    name, *more = [segment.name for segment in rest]
    if name not in document or name.startswith("@") or more not in ([], ["$value"]):
        raise segment_not_found(more[0] if more and name in document else name)
    value = document[name]
    if more:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return ApiResponse(200, {"Content-Type": "text/plain"}, text.encode())
    context = {"@odata.context": f"{call.api_url}/$metadata#{path}"}
    return json_answer(context | (value if name in _EXPANDABLE and value else {"value": value}))


def _counted(documents: Sequence[Document], rest: Sequence[Segment]) -> ApiResponse:
    """Answer `/$count` of a collection. Raises the 404 answer for anything else."""
    if [segment.name for segment in rest] != ["$count"]:
        raise segment_not_found(rest[0].name)
    return ApiResponse(200, {"Content-Type": "text/plain"}, str(len(documents)).encode())


def _read_relationships(call: Call, segments: Sequence[Segment]) -> ApiResponse:
    documents = [relationship_document(relationship) for relationship in call.schema.relationships.values()]
    return _read_collection(call, "RelationshipDefinitions", documents, segments)


def _read_collection(call: Call, path: str, documents: Sequence[Document], segments: Sequence[Segment]) -> ApiResponse:
    """Answer a collection or one of its members; a cast limits it to one type and opens that type's properties."""
    cast = next((s.name.removeprefix(_CAST) for s in segments[1:] if s.name.startswith(_CAST)), None)
    known = BASE_ATTRIBUTE if segments[0].name == "Attributes" and cast is None else None
    if cast is not None:
        documents = [d for d in documents if d.get("@odata.type") == f"#{_CAST}{cast}"]
        path = f"{path}/{_CAST}{cast}"
    rest = [segment for segment in segments[1:] if not segment.name.startswith(_CAST)]
    if segments[0].arguments is None:
        return _counted(documents, rest) if rest else _collection(call, path, documents, known, _plain(cast))
    document = _plain(cast)(find_document(documents, segments[0]))
    return _property(call, f"{path}/{rest[0].name}", document, rest) if rest else _single(call, path, document, known)


def _plain(cast: str | None) -> Callable[[Document], Document]:
    """An answer of one type does not name it on each member."""
    if cast is None:
        return lambda document: document
    return lambda document: {name: value for name, value in document.items() if name != "@odata.type"}


def _collection(
    call: Call,
    path: str,
    documents: Iterable[Document],
    known: frozenset[str] | None,
    prepared: Callable[[Document], Document],
) -> ApiResponse:
    options = call.request.options
    found = [
        _shaped(call, prepared(d), known) for d in matching(documents, options.get("$filter"), call.request.aliases)
    ]
    document: Document = {"@odata.context": f"{call.api_url}/$metadata#{path}{_selection(call)}"}
    if options.get("$count") == "true":
        document["@odata.count"] = len(found)
    return json_answer(document | {"value": found})


def _single(call: Call, path: str, document: Document, known: frozenset[str] | None) -> ApiResponse:
    context = {"@odata.context": f"{call.api_url}/$metadata#{path}{_selection(call)}/$entity"}
    return json_answer(context | _shaped(call, document, known))


def _selection(call: Call) -> str:
    """Return what a context says about `$select` and `$expand`: `(LogicalName,Attributes(LogicalName))`."""
    options = call.request.options
    names = [name.strip() for name in options.get("$select", "").split(",") if name.strip()]
    for name, inner in _expansions(options):
        chosen = dict(part.strip().partition("=")[::2] for part in split_outside(inner, ";"))
        names.append(f"{name}({chosen.get('$select', '').replace(' ', '')})")
    return f"({','.join(names)})" if names else ""


def _shaped(call: Call, document: Document, known: frozenset[str] | None) -> Document:
    """Apply `$select`; what is expanded stays, and option sets come only when expanded."""
    options = call.request.options
    expanded = dict(_expansions(options))
    shaped = selected(document, options.get("$select"), known)
    kept = {name: document[name] for name in expanded if name in document}
    return {name: value for name, value in shaped.items() if name not in _EXPANDABLE} | kept


def _expansions(options: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for part in split_outside(options.get("$expand", ""), ","):
        name, _, inner = part.strip().partition("(")
        yield name, inner.removesuffix(")")


def _with_expanded(call: Call) -> Callable[[Document], Document]:
    """Return what adds the expanded sub-collections to an entity definition."""
    wanted = dict(_expansions(call.request.options))
    unknown = wanted.keys() - COLLECTIONS.keys()
    if unknown:
        raise not_supported(f"$expand of {', '.join(sorted(unknown))} on EntityDefinitions")

    def add(document: Document) -> Document:
        table = call.schema.tables[document["LogicalName"]]
        added = {name: _expanded(call, table, name, inner) for name, inner in wanted.items()}
        return document | added

    return add


def _expanded(call: Call, table: Table, name: str, inner: str) -> list[Document]:
    pairs = (part.partition("=") for part in split_outside(inner, ";"))
    options = {key.strip(): value for key, _, value in pairs}
    known = BASE_ATTRIBUTE if name == "Attributes" else None
    documents = matching(COLLECTIONS[name](call.schema, table), options.get("$filter"), call.request.aliases)
    return [selected(document, options.get("$select"), known) for document in documents]
