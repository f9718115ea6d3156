"""Route templates, keys and answers, without a process."""

import azure.durable_functions as df
import azure.functions as func
import httpx
import pytest
from starlette.applications import Starlette

from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import host_functions, of_kind
from sandbox.host.http import Keys, function_routes, http_response, local_paths
from sandbox.host.invoker import Invoker


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("runs", ["/api/runs"], id="literal"),
        pytest.param("runs/{id}", ["/api/runs/{id:str}"], id="parameter"),
        pytest.param("runs/{id:guid}/rows", ["/api/runs/{id:uuid}/rows"], id="constraint"),
        pytest.param("runs/{id?}", ["/api/runs/{id:str}", "/api/runs"], id="optional"),
        pytest.param("files/{*rest}", ["/api/files/{rest:path}", "/api/files"], id="catch-all"),
    ],
)
def test_route_templates(template: str, expected: list[str]) -> None:
    assert local_paths(template, "api") == expected


def test_an_empty_prefix_puts_routes_at_the_root() -> None:
    assert local_paths("runs", "") == ["/runs"]


def test_an_unknown_constraint_is_refused() -> None:
    with pytest.raises(StartRefusedError, match="regex"):
        local_paths("runs/{id:regex}", "api")


@pytest.mark.parametrize(
    ("answer", "content_type"),
    [
        pytest.param(func.HttpResponse("x"), "text/plain; charset=utf-8", id="text by default"),
        pytest.param(func.HttpResponse("x", mimetype="text/html", charset="latin-1"), "text/html; charset=latin-1"),
        pytest.param(func.HttpResponse("{}", mimetype="application/json"), "application/json", id="json"),
        pytest.param(func.HttpResponse("x", headers={"Content-Type": "image/png"}), "image/png", id="own header"),
    ],
)
def test_content_type(answer: func.HttpResponse, content_type: str) -> None:
    assert http_response(answer).headers["content-type"] == content_type


def test_a_result_that_the_worker_would_not_take_is_an_error() -> None:
    with pytest.raises(TypeError, match="dict"):
        http_response({"status": 200})


def guarded() -> Starlette:
    app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

    @app.route(route="guarded")
    def guarded(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="health", auth_level=func.AuthLevel.ANONYMOUS)
    def health(req: func.HttpRequest) -> str:
        return "in"

    functions = of_kind(host_functions(app), "httpTrigger")
    return Starlette(routes=function_routes(functions, "api", Invoker("{}"), Keys("the-key")))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("guarded", {}, 401, id="no key"),
        pytest.param("guarded", {"x-functions-key": "another"}, 401, id="wrong key"),
        pytest.param("guarded", {"x-functions-key": "the-key"}, 200, id="key as header"),
        pytest.param("guarded?code=the-key", {}, 200, id="key in the address"),
        pytest.param("health", {}, 200, id="anonymous"),
    ],
)
async def test_function_keys(path: str, headers: dict[str, str], status: int) -> None:
    transport = httpx.ASGITransport(guarded())
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        assert (await client.get(f"/api/{path}", headers=headers)).status_code == status
