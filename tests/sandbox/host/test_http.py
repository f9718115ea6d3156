"""Route templates, keys and answers, without a process."""

import azure.durable_functions as df
import azure.functions as func
import httpx
import pytest
from starlette.applications import Starlette

from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import host_functions, of_kind
from sandbox.host.http import function_routes, http_response, local_paths
from sandbox.host.keys import Keys, make_keys
from sandbox.host.worker import Invoker


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


KEYS = Keys("the-master", "the-host", "the-system", {"guarded": "its-own", "other": "of-another"})


def guarded() -> Starlette:
    app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

    @app.route(route="guarded")
    def guarded(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="audit", auth_level=func.AuthLevel.ADMIN)
    def audit(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="health", auth_level=func.AuthLevel.ANONYMOUS)
    def health(req: func.HttpRequest) -> str:
        return "in"

    functions = of_kind(host_functions(app), "httpTrigger")
    return Starlette(routes=function_routes(functions, "api", Invoker("{}"), KEYS))


OPENS = {  # which routes each key opens
    "": {"health"},
    "another": {"health"},
    "of-another": {"health"},
    "the-system": {"health"},
    "its-own": {"health", "guarded"},
    "the-host": {"health", "guarded"},
    "the-master": {"health", "guarded", "audit"},
}


@pytest.mark.parametrize("key", OPENS)
@pytest.mark.parametrize("way", ["header", "query"])
async def test_each_kind_of_key_opens_its_own_routes(key: str, way: str) -> None:
    transport = httpx.ASGITransport(guarded())
    sent = {"headers": {"x-functions-key": key}} if way == "header" else {"params": {"code": key}}
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        answers = {
            path: (await client.get(f"/api/{path}", **sent)).status_code for path in ("health", "guarded", "audit")
        }  # type: ignore[arg-type]
    assert answers == {path: 200 if path in OPENS[key] else 401 for path in answers}


def test_keys_can_be_given_and_are_made_up_otherwise() -> None:
    made = make_keys(["a"], {"LOCAL_FUNCTION_KEY": "f", "LOCAL_MASTER_KEY": "m", "LOCAL_SYSTEM_KEY": "s"})
    assert (made.host, made.master, made.system) == ("f", "m", "s")
    other = make_keys(["a", "b"], {})
    assert len({other.host, other.master, other.system, *other.functions.values()}) == 5
