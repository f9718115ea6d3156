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
    assert host.seen()["startup"] == 1
    assert host.http.post("/admin/functions/yearly").status_code == 202
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
        pytest.param("functions/parent", "", 404, id="an orchestrator is not run by hand"),
        pytest.param("functions/on_events", "", 400, id="an event function needs an event"),
        pytest.param("eventhubs/other", "{}", 404, id="nobody subscribes"),
        pytest.param("eventhubs/insight-logs-operational", "no json", 400, id="an event is JSON"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_reason(host: Running, path: str, body: str, status: int) -> None:
    answer = host.http.post(f"/admin/{path}", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


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
