"""The definition of the Power Automate connector: current, valid OpenAPI 2.0, and complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from linker.entrypoints import api
from scripts import connector

SWAGGER = json.loads((Path(__file__).parents[2] / "data" / "swagger-2.0.schema.json").read_text(encoding="utf-8"))
TEXT = connector.TARGET.read_text(encoding="utf-8")
DEFINITION = json.loads(TEXT)
OPERATIONS = [one for methods in DEFINITION["paths"].values() for one in methods.values()]


def test_it_is_what_the_operations_give() -> None:
    assert connector.current() == TEXT, "run 'make connector'"


def test_it_is_valid_openapi_2() -> None:
    """By the schema of the OpenAPI Initiative (https://spec.openapis.org/oas/v2.0.html#json-schema)."""
    assert [str(error) for error in jsonschema_rs.Draft4Validator(SWAGGER).iter_errors(DEFINITION)] == []


def test_every_operation_is_in_it_but_the_document_itself() -> None:
    assert {one["operationId"] for one in OPERATIONS} == {one.name for one in api.OPERATIONS} - connector.LEFT_OUT


def test_every_reference_leads_to_a_definition() -> None:
    named = set(re.findall(r'"#/definitions/([^"]+)"', TEXT))
    assert named
    assert named <= set(DEFINITION["definitions"])


def test_it_has_no_word_of_a_newer_version_and_is_below_the_limit_of_a_megabyte() -> None:
    assert re.findall(r'"(anyOf|oneOf|const|nullable|examples?)":', TEXT) == []
    assert len(TEXT.encode()) < 2**20


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one["operationId"])
def test_every_operation_has_a_title_that_fits_a_flow(one: dict[str, str]) -> None:
    assert 0 < len(one["summary"]) <= 120
    assert not one["summary"].endswith(".")


def test_a_changed_api_changes_the_definition() -> None:
    document = {
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://app.example"}],
        "tags": [],
        "paths": {
            "/api/x": {
                "get": {
                    "operationId": "x",
                    "tags": [],
                    "summary": "Look.\n\nMore.",
                    "description": "App role: viewer.",
                    "parameters": [],
                    "responses": {
                        "200": {"description": "Done.", "content": {"application/json": {"schema": {"const": 1}}}},
                        "404": {"description": "No.", "content": {"application/problem+json": {"schema": {}}}},
                    },
                }
            }
        },
        "components": {
            "schemas": {"A": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A", "description": "d"}},
            "securitySchemes": {"functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"}},
        },
    }
    made = connector.connector(document)
    assert (made["host"], made["basePath"], list(made["paths"])) == ("app.example", "/api", ["/x"])
    assert made["definitions"] == {"A": {"type": "string", "description": "d", "x-nullable": True}}
    assert made["paths"]["/x"]["get"]["responses"]["200"]["schema"] == {"enum": [1]}
    assert list(made["paths"]["/x"]["get"]["responses"]) == ["200", "default"]
