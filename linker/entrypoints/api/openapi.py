"""The OpenAPI 3.1 document, made of the operations and their types: nothing in it is written twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from linker import VERSION
from linker.entrypoints.api.answers import Problem
from linker.entrypoints.http.messages import JSON, PROBLEM
from linker.entrypoints.http.operations import MOST_BODY_BYTES, PARAMETERS, Operation

REFS = "#/components/schemas/{model}"
REFUSALS = {
    400: "The request does not fit; nothing was done.",
    401: "Nobody is signed in, or the function key is missing.",
    403: "The caller lacks the app role, or the app's settings switch this off.",
    404: "It does not exist.",
    409: "It cannot be done any more, or it contradicts what is known by now: look again.",
    429: "Too many looks at Dataverse were asked for; Retry-After says when to ask again.",
    413: f"The body is larger than {MOST_BODY_BYTES:,} bytes.",
    500: "A fault of the app; its log says more.",
    503: "The app is not set up, or its storage or Dataverse does not answer.",
}

KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key of the same caller leads to the same run. With another request it is refused.",
    "schema": {"type": "string"},
}
LOCATION = {"Location": {"description": "Where the run is found.", "schema": {"type": "string"}}}

type Json = dict[str, Any]
type Schemas = dict[tuple[str, JsonSchemaMode], Json]


def document(operations: Iterable[Operation]) -> Json:
    """Return the document for some operations."""
    listed = tuple(operations)
    schemas, components = _schemas(listed)
    paths: Json = {}
    for one in listed:
        paths.setdefault(f"/api{one.path}", {})[one.method.lower()] = _operation(one, schemas)
    keys = {
        "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
        "entra": {"type": "http", "scheme": "bearer", "description": "With App Service Authentication."},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Customer Profile Linker", "version": VERSION},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": keys},
        "security": [{"functionKey": []}, {"entra": []}],
    }


def _schemas(operations: Iterable[Operation]) -> tuple[Schemas, Json]:
    """Return the schema of each type that goes in or out, and what they refer to."""
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
    for one in operations:
        inputs += [(f"{one.name}.body", "validation", TypeAdapter(one.body))] if one.body else []
        inputs += [(f"{one.name}.answer", "serialization", TypeAdapter(one.answer))] if one.answer else []
    inputs.append(("problem", "serialization", TypeAdapter(Problem)))
    schemas, definitions = TypeAdapter.json_schemas(inputs, ref_template=REFS)
    return dict(schemas), definitions["$defs"]


def _operation(one: Operation, schemas: Schemas) -> Json:
    shown: Json = {
        "operationId": one.name,
        "summary": (one.handle.__doc__ or "").strip(),
        "description": f"App role: {one.role}.",
        "parameters": _parameters(one),
        "responses": _responses(one, schemas),
    }
    if one.body:
        needed = any(field.is_required() for field in one.body.model_fields.values())
        content = {JSON: {"schema": schemas[f"{one.name}.body", "validation"]}}
        shown["requestBody"] = {"required": needed, "content": content}
    return shown


def _parameters(one: Operation) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": PARAMETERS[name].json_schema()}
        for name in one.parameters
    ]
    return [*in_path, *(_query(one.query) if one.query else ()), *((KEY_HEADER,) if one.asks_for_run else ())]


def _query(kind: type[BaseModel]) -> list[Json]:
    found = kind.model_json_schema()
    properties: Json = found["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in found.get("required", ()),
            "description": schema.pop("description", ""),
            "schema": schema,
        }
        for name, schema in properties.items()
    ]


def _responses(one: Operation, schemas: Schemas) -> Json:
    answer = schemas.get((f"{one.name}.answer", "serialization"), {"type": "object"})
    content = {media: {"schema": answer if media == JSON else {"type": "string"}} for media in one.media_types}
    good: Json = {"description": "Done." if one.status == 200 else "Accepted.", "content": content}
    if one.asks_for_run:
        good["headers"] = LOCATION
    problem = {PROBLEM: {"schema": schemas["problem", "serialization"]}}
    return {str(one.status): good} | {str(s): {"description": REFUSALS[s], "content": problem} for s in _refusals(one)}


def _refusals(one: Operation) -> list[int]:
    """Return every status that this operation may be refused with."""
    own = {400, 413} if one.body else set[int]()
    own |= {409} if one.asks_for_run else set[int]()
    return sorted({401, 403, 500, 503, *one.refusals, *own, *({400} if one.query else ())})
