"""The OpenAPI 3.1 document with its examples, made of the operations and their types: nothing in it is written twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from linker import VERSION
from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.records import AuditEntry, RowIssue
from linker.core.runs.history import history
from linker.core.runs.lock_state import Pause
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import (
    AuditPage,
    Comparison,
    HeldLink,
    IssuePage,
    LookupNow,
    Problem,
    Resumption,
    RowState,
    RunPage,
    TaskStatus,
)
from linker.entrypoints.messages import JSON, PROBLEM
from linker.entrypoints.operations import MAX_BODY_BYTES, PARAMETERS, Operation

RUN_ID, ROW, PROFILE = (
    "20261123T212751Z-a4eff5ad",
    "00000001-0000-4000-8000-000000000001",
    "5f0c1a62-3b1e-4f0e-9d57-8a2f6c1b7e90",
)
IN_PATH = {"run": RUN_ID, "table": "contact", "row": ROW}
BODIES: dict[str, Any] = {
    "post_run": {"mode": "incremental", "dryRun": True, "tables": ["contact", "lead"]},
    "post_unification_event": {"jobId": "3f2", "startedAt": "2026-11-23T21:00:00Z"},
    "post_pause": {"until": "2026-11-24T06:00:00Z", "reason": "Maintenance of the ERP system"},
    "post_approve": {"digest": "0123456789abcdef"},
}


_AT, _END = "2026-11-23T21:27:51Z", "2026-11-23T21:27:54Z"


def _runs() -> tuple[Run, Run]:
    """Return a run as it is requested, and as it ended."""
    counts = Counts(rows_read=20_000, linked=200, unchanged=19_799, rejected=1)
    contact = TableRun("contact", "crm", Status.WARNINGS, mode=Mode.INCREMENTAL, counts=counts, column="exists")
    queued = Run(RUN_ID, Mode.INCREMENTAL, Status.QUEUED, trigger="api", requested_at=_AT, last_updated=_AT)
    ended = replace(
        queued,
        status=Status.WARNINGS,
        status_detail="Rejected rows: 1.",
        started_at=_AT,
        ended_at=_END,
        last_updated=_END,
        counts=counts,
        tables=(contact,),
    )
    return queued, ended


@cache
def answers() -> dict[str, Any]:
    """Return an answer of each operation as JSON, by the operation's name."""
    at, end = _AT, _END
    queued, ended = _runs()
    issue = RowIssue(
        "contact",
        ROW,
        "rejected",
        "PluginRefused",
        "A plug-in refused the update.",
        "Ask the plug-in's owner to allow updates of the lookup.",
        at,
        3,
    )
    row = RowState("contact", ROW, True, True, RUN_ID, end, LookupNow(True, PROFILE, "ce759201f786d590bf2134bff576c369", True),
                    "", Comparison.EQUAL, None)  # fmt: skip
    held = HeldLink(
        "contact",
        "0123456789abcdef",
        True,
        at,
        ("Plug-in step 'Contoso.Sales.CreditCheck' on Update (synchronous).",),
        None,
        None,
    )
    pause = Pause("2026-11-24T06:00:00Z", at, "ada@contoso.com", "Maintenance of the ERP system")
    shown = {
        "post_run": queued,
        "post_unification_event": queued,
        "post_approve": queued,
        "post_cancel": queued,
        "get_run": ended,
        "get_runs": RunPage(history([ended], 1)),
        "get_errors": IssuePage((issue,)),
        "get_row": row,
        "get_status": TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, end, ended),
        "post_pause": pause,
        "post_resume": Resumption(pause, RUN_ID),
        "get_first_link": held,
        "get_audit": AuditPage(
            (AuditEntry("9820", at, "ada@contoso.com", "7c0f", "post_run", status=202, run=RUN_ID),)
        ),
    }
    return {name: to_json(value) for name, value in shown.items()}


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
    "Runs": "Start, list, show, cancel, and pause runs.",
    "Rows": "One row: its link, its last error, and what it reaches through its link.",
    "Tables": "Decisions about a source table.",
    "Audit": "Who did what by hand.",
}
_TAG_OF = {
    "runs": "Runs",
    "unification-events": "Runs",
    "rows": "Rows",
    "tables": "Tables",
    "audit": "Audit",
    "pause": "Runs",
    "resume": "Runs",
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
