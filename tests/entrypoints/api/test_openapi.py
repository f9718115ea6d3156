"""The OpenAPI document is true: whatever it allows is served as it says, and whatever it forbids is refused as it says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from string import printable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis.strategies import text
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linker.core.model import Mode, Run, RunRequest, Status
from linker.core.records import issue
from linker.entrypoints import api
from linker.entrypoints.api.openapi import document
from linker.entrypoints.messages import to_continuation
from tests.fakes.client import BASE, Starter
from tests.fakes.world import World, contact_id

KNOWN = {"run": "run1", "table": "contact", "row": contact_id(1)}
WORKS = "run2"  # a run that may be canceled


def served(world: World) -> Starlette:
    """Return the operations on their routes, over a world with runs, a linked row, a row error and a first link that waits."""
    service, start = api.Api(lambda: world.deps), Starter()

    def route(path: str, methods: dict[str, api.Operation]) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            asked = api.Request(request.path_params, request.query_params, dict(request.headers), body, BASE)
            reply = await service.serve(methods[request.method], asked, start)
            return Response(reply.text, reply.status, dict(reply.headers), reply.media_type)

        found = Route(path, answer, methods=list(methods))
        found.methods = set(methods)  # no HEAD beside GET
        return found

    paths: dict[str, dict[str, api.Operation]] = {}
    for one in api.OPERATIONS:
        paths.setdefault(f"/api{one.path}", {})[one.method] = one
    return Starlette(routes=[route(path, methods) for path, methods in paths.items()])


async def populated() -> World:
    world = World()
    world.contact(1, "c1")
    await world.link()
    await world.deps.issues.save("run1", [issue("contact", contact_id(2), "Refused")])
    await world.deps.runs.create(Run("20261123T000000Z-00000000", Mode.FULL, Status.SUCCESSFUL))
    await world.deps.first_links.hold("contact", ("a plug-in step",), None, ("Plug-in step 'Sync'.",))
    await replace(world.deps.lock, new_id=lambda: WORKS).request(RunRequest())
    await world.deps.runs.create(Run(WORKS, Mode.INCREMENTAL, Status.REFRESHING))
    return world


schemathesis.openapi.format("continuation", text(printable).map(to_continuation))
# Keys and tokens are checked before the app gets a request; test_serving.py has what the app itself asks for.
KEYS = [ignored_auth]
schema = schemathesis.openapi.from_asgi("/api/openapi.json", served(asyncio.run(populated())))


FEW = settings(max_examples=4, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@schema.parametrize()
@FEW
def test_what_the_document_says_holds_for_any_request(case: Any) -> None:
    case.call_and_validate(excluded_checks=KEYS)


@schema.include(path_regex="{").parametrize()
@FEW
def test_what_the_document_says_holds_for_what_exists(case: Any) -> None:
    known = KNOWN | {"run": WORKS} if case.path.endswith("/cancel") else KNOWN
    case.path_parameters = {name: known[name] for name in case.path_parameters}
    case.call_and_validate(excluded_checks=[*KEYS, negative_data_rejection])  # of a path that is replaced here


def test_who_asks_for_a_run_reads_of_the_key_and_of_where_the_run_is() -> None:
    asking = {one.name for one in api.OPERATIONS if one.asks_for_run}
    assert asking == {"post_run", "post_unification_event", "post_approve"}
    for one in document(api.OPERATIONS)["paths"].values():
        for method in one.values():
            keys = [parameter for parameter in method["parameters"] if parameter["in"] == "header"]
            headers = [header for answer in method["responses"].values() for header in answer.get("headers", ())]
            expected = method["operationId"] in asking
            assert (bool(keys), headers) == (expected, ["Location"] if expected else []), method["operationId"]


DOCUMENT = document(api.OPERATIONS, "https://linker.example")
ASKED = [
    pytest.param(path, one, id=one["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for one in methods.values()
]


def test_the_document_names_the_app_that_it_was_asked_of() -> None:
    assert DOCUMENT["servers"] == [{"url": "https://linker.example"}]


@pytest.mark.parametrize(("path", "one"), ASKED)
def test_every_operation_has_a_tag_that_is_described_and_examples_of_what_goes_in(path: str, one: Any) -> None:
    assert set(one["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert all("example" in given for given in one["parameters"] if given["in"] == "path")
    assert all("example" in content for content in one.get("requestBody", {}).get("content", {}).values())


@pytest.mark.parametrize(("path", "one"), ASKED)
def test_every_example_fits_its_schema(path: str, one: Any) -> None:
    """Parameters and bodies are parsed as the app parses them, answers are held against their schemas."""
    contents = [one.get("requestBody", {}), *one["responses"].values()]
    shown = [content for holder in contents for content in holder.get("content", {}).values() if "example" in content]
    shown += [given for given in one["parameters"] if "example" in given]
    for each in shown:
        schema = {**each["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.validate(schema, each["example"])
