"""Write the definition of a Power Automate custom connector: python scripts/connector.py

infra/connector/apiDefinition.swagger.json is made from the app's OpenAPI 3.1 document, because custom connectors read
OpenAPI 2.0 only (https://learn.microsoft.com/connectors/custom-connectors/define-openapi-definition). docs/connector.md
says how to import it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "infra" / "connector" / "apiDefinition.swagger.json"
BASE = "/api"
METHODS = ("get", "post")
LEFT_OUT = {"get_openapi"}  # of no use in a flow
_PLAIN = ("type", "format", "pattern", "enum", "default", "minimum", "maximum", "maxItems", "minLength", "maxLength")

type Json = dict[str, Any]


def main() -> None:
    """Write the definition."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(current(), encoding="utf-8")
    print(TARGET.relative_to(ROOT))


def current() -> str:
    """Return the definition as the operations of the API give it."""
    sys.path.insert(0, str(ROOT))
    from linker.entrypoints.api import OPERATIONS
    from linker.entrypoints.api.openapi import document

    return json.dumps(connector(document(OPERATIONS)), ensure_ascii=False, indent=2) + "\n"


def connector(document: Json) -> Json:
    """Return an OpenAPI 3.1 document of this app as OpenAPI 2.0 with the extensions of custom connectors."""
    components = document["components"]["schemas"]
    return {
        "swagger": "2.0",
        "info": {**document["info"], "contact": {"name": "Your own deployment"}},
        "host": urlsplit(document["servers"][0]["url"]).netloc,
        "basePath": BASE,
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": document["tags"],
        "paths": {path.removeprefix(BASE): _path(one, components) for path, one in _kept(document["paths"]).items()},
        "definitions": {_name(name): _schema(schema) for name, schema in components.items()},
        "securityDefinitions": {"functionKey": document["components"]["securitySchemes"]["functionKey"]},
        "security": [{"functionKey": []}],
    }


def _kept(paths: Json) -> Json:
    return {
        path: methods
        for path, methods in paths.items()
        if not {one["operationId"] for one in methods.values()} & LEFT_OUT
    }


def _path(methods: Json, components: Json) -> Json:
    return {method: _operation(methods[method], components) for method in METHODS if method in methods}


def _operation(one: Json, components: Json) -> Json:
    summary = one["summary"].partition(".")[0]
    body = [_body(one["requestBody"])] if "requestBody" in one else []
    return {
        "operationId": one["operationId"],
        "tags": one["tags"],
        "summary": " ".join(summary.split()),
        "description": " ".join(f"{one['summary']} {one['description']}".split()),
        "parameters": [*(_parameter(each, components) for each in one["parameters"]), *body],
        "responses": {
            status: {
                "description": answer["description"],
                "schema": _schema(next(iter(answer["content"].values()))["schema"]),
            }
            for status, answer in one["responses"].items()
            if int(status) < 300
        }
        | {"default": {"description": "The request was refused.", "schema": {"$ref": "#/definitions/Problem"}}},
    }


def _parameter(given: Json, components: Json) -> Json:
    schema = given["schema"]
    if "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:  # of texts: a choice and the empty one
        schema = {"type": "string"}
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    extra: Json = {"x-ms-url-encoding": "single"} if given["in"] == "path" else {"x-ms-visibility": "advanced"}
    facts = {name: schema[name] for name in _PLAIN if name in schema and schema[name] not in ("continuation", "")}
    described = {"description": given["description"]} if given.get("description") else {}
    return {
        "name": given["name"],
        "in": given["in"],
        "required": given["required"],
        "x-ms-summary": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", given["name"]).capitalize(),
        **described,
        **facts,
        **(extra if not given["required"] or given["in"] == "path" else {}),
    }


def _body(given: Json) -> Json:
    (content,) = given["content"].values()
    return {"name": "body", "in": "body", "required": given["required"], "schema": _schema(content["schema"])}


def _name(name: str) -> str:
    """Return the name of a definition; a full module path is shortened to its last two parts."""
    return "".join(part.capitalize() for part in name.split("__")[-2:]) if "__" in name else name


def _schema(schema: Any) -> Any:
    """Return a JSON schema as OpenAPI 2.0 has it: no null, no choice between types, no constant."""
    if isinstance(schema, list):
        return [_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{_name(schema['$ref'].rsplit('/', 1)[-1])}"}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        only = _schema(options[0])
        return only if "$ref" in only else {**only, **_described(schema), "x-nullable": True}
    return {
        name: _properties(value) if name == "properties" else _schema(value)
        for name, value in _without_newer(schema).items()
    }


def _properties(found: Json) -> Json:
    return {name: _schema(each) for name, each in found.items()}


def _described(schema: Json) -> Json:
    return {"description": schema["description"]} if "description" in schema else {}


def _without_newer(schema: Json) -> Json:
    """Return a schema without the words that OpenAPI 2.0 doesn't know."""
    kept = {
        name: value
        for name, value in schema.items()
        if name not in ("anyOf", "const", "title", "propertyNames") and not (name == "default" and value is None)
    }
    return kept | ({"enum": [schema["const"]]} if "const" in schema else {})


if __name__ == "__main__":
    main()
