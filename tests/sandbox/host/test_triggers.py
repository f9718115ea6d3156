"""HTTP, timer and event triggers of a real function app, over the local host."""

import pytest

from tests.sandbox.host.running import Running, until


def test_a_function_sees_the_whole_request_and_its_answer_goes_back(host: Running) -> None:
    answer = host.http.post("/api/echo/a/b/c?x=1&x=2&empty=", content="hello", headers={"X-Test": "t"})
    assert (answer.status_code, answer.headers["X-Answer"]) == (201, "yes")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "method": "POST",
        "url": f"{host.ready['url']}/api/echo/a/b/c?x=1&x=2&empty=",
        "params": {"x": "1,2"},
        "route": {"name": "a", "rest": "b/c"},
        "header": "t",
        "body": "hello",
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("items/latest", (200, "the latest"), id="literal before parameter"),
        pytest.param("items/7", (200, "item 7"), id="constraint"),
        pytest.param("items", (200, "item none"), id="optional parameter left out"),
        pytest.param("items/seven", (404, ""), id="constraint not met"),
        pytest.param("quiet", (204, ""), id="None is no content"),
        pytest.param("broken", (500, ""), id="an exception tells the caller nothing"),
        pytest.param("start/parent/x", (404, ""), id="another method is another route"),
        pytest.param("nothing", (404, ""), id="no such route"),
    ],
)
def test_routes(host: Running, path: str, expected: tuple[int, str]) -> None:
    answer = host.http.get(f"/api/{path}")
    assert (answer.status_code, answer.text) == expected


def test_text_answers_carry_their_charset(host: Running) -> None:
    assert host.http.get("/api/items/latest").headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_timer_ticks_by_a_schedule_from_the_settings(host: Running) -> None:
    before = host.seen()["ticks"]
    until(host.seen, lambda seen: seen["ticks"] > before)


def test_run_on_startup_runs_once_and_a_timer_can_be_run_by_hand(host: Running) -> None:
    until(host.seen, lambda seen: seen["startup"] == 1)
    assert host.http.post("/admin/functions/yearly", json={}).status_code == 202
    until(host.seen, lambda seen: seen["startup"] == 2)


def test_a_published_batch_reaches_the_subscribed_function_in_one_call(host: Running) -> None:
    sent = host.http.post("/admin/eventhubs/insight-logs-operational", json=[{"records": [1]}, {"records": [2]}])
    assert sent.status_code == 202
    assert sent.json() == {"events": 2, "functions": ["on_events"]}
    until(host.seen, lambda seen: ['{"records": [1]}', '{"records": [2]}'] in seen["events"])


def test_an_event_function_can_be_run_by_hand(host: Running) -> None:
    assert host.http.post("/admin/functions/on_events", json={"input": '{"by":"hand"}'}).status_code == 202
    until(host.seen, lambda seen: ['{"by":"hand"}'] in seen["events"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("functions/parent", "{}", 501, id="an orchestrator is not run by hand"),
        pytest.param("functions/on_events", "{}", 400, id="an event function needs an event"),
        pytest.param("functions/yearly", "", 400, id="Azure refuses an empty body, of a timer too"),
        pytest.param("functions/yearly", "[]", 400, id="a body is an object"),
        pytest.param("eventhubs/other", "{}", 404, id="nobody subscribes"),
        pytest.param("eventhubs/insight-logs-operational", "no json", 400, id="an event is JSON"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_reason(host: Running, path: str, body: str, status: int) -> None:
    answer = host.http.post(f"/admin/{path}", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_function_is_a_404_without_a_body(host: Running, method: str) -> None:
    answer = host.http.request(method, "/admin/functions/nobody", json={})
    assert (answer.status_code, answer.content) == (404, b"")


def test_one_function_is_described_as_in_the_list(host: Running) -> None:
    one = host.http.get("/admin/functions/yearly").json()
    assert one in host.http.get("/admin/functions").json()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_ping_is_answered(host: Running, method: str) -> None:
    answer = host.http.request(method, "/admin/host/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/api/seen", {"host": "evil.example"}, 403, id="DNS rebinding reads"),
        pytest.param("POST", "/admin/functions/yearly", {"host": "evil.example:7071"}, 403, id="DNS rebinding writes"),
        pytest.param("GET", "/api/seen", {"host": "localhost:1234"}, 200, id="a forwarded port"),
        pytest.param("GET", "/api/seen", {"host": "[::1]:1234"}, 200, id="IPv6"),
        pytest.param(
            "POST", "/admin/functions/yearly", {"origin": "https://evil.example"}, 403, id="another site posts"
        ),
        pytest.param("POST", "/admin/functions/yearly", {"origin": "null"}, 403, id="a sandboxed frame posts"),
        pytest.param("POST", "/admin/functions/yearly", {"sec-fetch-site": "cross-site"}, 403, id="without an origin"),
        pytest.param("POST", "/admin/functions/yearly", {"origin": "http://localhost:7071"}, 202, id="a page of here"),
        pytest.param("GET", "/admin/functions", {"origin": "https://evil.example"}, 200, id="reads are kept by CORS"),
        pytest.param("POST", "/runtime/webhooks/x", {"origin": "https://evil.example"}, 403, id="webhooks too"),
    ],
)
def test_no_page_of_another_site_gets_in(
    host: Running, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = host.http.request(method, path, headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert ("Nothing was done" in answer.text) is (status == 403)


def test_the_state_is_running_once_the_host_is_ready(host: Running) -> None:
    state = host.http.get("/admin/host/status").json()
    assert state["state"] == "Running"
    assert state["id"] and state["version"]


def test_functions_are_listed_with_bindings_and_address(host: Running) -> None:
    listed = {function["name"]: function for function in host.http.get("/admin/functions").json()}
    assert set(listed) == set(host.ready["functions"])
    assert listed["seen"]["invoke_url_template"] == f"{host.ready['url']}/api/seen"
    assert listed["every_second"]["invoke_url_template"] is None
    assert listed["every_second"]["config"]["bindings"][0]["schedule"] == "%EVERY_SECOND%"
