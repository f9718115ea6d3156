"""The OpenAPI 3.1 document, made of the operations and their types: nothing in it is written twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from linker import VERSION
from linker.entrypoints.api.answers import Problem
from linker.entrypoints.api.openapi_examples import BODIES, IN_PATH, answers
from linker.entrypoints.http.messages import JSON, PROBLEM
from linker.entrypoints.http.operations import PARAMETERS, Operation
from linker.entrypoints.http.validation import MAX_BODY_BYTES

REFS = "#/components/schemas/{model}"
ANY_APP = "https://contoso-linker.azurewebsites.net"  # where the document is not asked of an app
REFUSALS = {
    400: "The request isn't valid; nothing was done.",
    401: "The caller is not signed in, or the function key is missing.",
    403: "The caller lacks the app role, or the app's settings switch this off.",
    404: "It doesn't exist.",
    409: "Its state no longer allows this, or the request contradicts what is known by now: look again.",
    429: "Too many looks at Dataverse were requested; Retry-After says when to try again.",
    413: f"The body is larger than {MAX_BODY_BYTES:,} bytes.",
    500: "A fault of the app; its log says more.",
    503: "The app isn't set up, or its storage or Dataverse doesn't answer.",
}
TAGS = {
    "Status": "The task, what a run would do, and this document.",
    "Runs": "Start, list, show and cancel runs.",
    "Rows": "One row: its link, its last error, and what it reaches through its link.",
    "Tables": "Decisions about a source table.",
    "Audit": "Who did what by hand.",
}
_TAG_OF = {"runs": "Runs", "unification-events": "Runs", "rows": "Rows", "tables": "Tables", "audit": "Audit"}

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


def document(operations: Iterable[Operation], server: str = ANY_APP) -> Json:
    """Return the document for some operations. `server` is the app's address, without /api."""
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
        "info": {
            "title": "Customer Profile Linker",
            "version": VERSION,
            "description": "Starts and shows runs that link Dataverse rows to their customer profiles. "
            "Every GET can be asked as HEAD.",
        },
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
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
        "tags": [_TAG_OF.get(one.path.split("/")[1], "Status")],
        "summary": (one.handle.__doc__ or "").strip(),
        "description": f"App role: {one.role}.",
        "parameters": _parameters(one),
        "responses": _responses(one, schemas),
    }
    if one.body:
        needed = any(field.is_required() for field in one.body.model_fields.values())
        content = {JSON: {"schema": schemas[f"{one.name}.body", "validation"], "example": BODIES[one.name]}}
        shown["requestBody"] = {"required": needed, "content": content}
    return shown


def _parameters(one: Operation) -> list[Json]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": PARAMETERS[name].json_schema(),
            "example": IN_PATH[name],
        }
        for name in one.parameters
    ]
    return [*in_path, *(_query(one.query) if one.query else ()), *((KEY_HEADER,) if one.asks_for_run else ())]


def _query(kind: type[BaseModel]) -> list[Json]:
    found = kind.model_json_schema(ref_template=REFS)
    properties: Json = found["properties"]
    definitions: Json = found.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in found.get("required", ()),
            "description": schema.pop("description", ""),
            "schema": _flat(schema, definitions),
        }
        for name, schema in properties.items()
    ]


def _flat(schema: Json, definitions: Json) -> Json:
    """Return the schema of a query parameter without references and without null, which no query can carry."""
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        schema = options[0]
    if "$ref" in schema:
        return _flat(dict(definitions[schema["$ref"].rsplit("/", 1)[-1]]), definitions)
    return schema | ({"anyOf": options} if len(options) > 1 else {})


def _responses(one: Operation, schemas: Schemas) -> Json:
    answer = schemas.get((f"{one.name}.answer", "serialization"), {"type": "object"})
    content: Json = {media: {"schema": answer if media == JSON else {"type": "string"}} for media in one.media_types}
    if one.name in answers():
        content[JSON]["example"] = answers()[one.name]
    good: Json = {"description": "Done." if one.status == 200 else "Accepted.", "content": content}
    if one.asks_for_run:
        good["headers"] = LOCATION
    problem = {PROBLEM: {"schema": schemas["problem", "serialization"]}}
    return {str(one.status): good} | {str(s): {"description": REFUSALS[s], "content": problem} for s in _refusals(one)}


def _refusals(one: Operation) -> list[int]:
    """Return every status that this operation may be refused with."""
    own = {413} if one.body else set[int]()
    own |= {409} if one.asks_for_run else set[int]()
    return sorted({400, 401, 403, 500, 503, *one.refusals, *own})
