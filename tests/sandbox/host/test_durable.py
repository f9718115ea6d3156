"""Orchestrations of a real function app, started with the real durable client, over the local host."""

import re

import pytest

from tests.sandbox.host.running import Running, until


def test_fan_out_over_children_activities_and_a_timer(host: Running) -> None:
    status = host.outcome("parent", "family", 5)
    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == {"sum": 20, "version": "1.0"}


def test_custom_status_is_shown(host: Running) -> None:
    assert host.outcome("parent", "with-status", 1)["customStatus"] == {"children": 1}


def test_fifty_coroutine_activities_run_at_the_same_time_in_one_process(host: Running) -> None:
    assert host.outcome("overlapping", "meeting", 50)["output"] == 50


def test_a_failed_activity_is_repeated_by_its_retry_policy(host: Running) -> None:
    assert host.outcome("retrying", "third-time")["output"] == 3


def test_a_failure_reaches_the_orchestrator_as_from_the_real_host(host: Running) -> None:
    assert host.outcome("failing", "told", "no such table")["output"] == ["ValueError", "no such table"]


def test_a_failure_without_a_message_is_a_failure(host: Running) -> None:
    assert host.outcome("failing", "silent", "")["output"] == ["ValueError", "ValueError"]


def test_an_activity_that_cancels_itself_has_failed(host: Running) -> None:
    assert host.outcome("cancelled", "cancelled")["output"] == "RuntimeError"


def test_an_activity_may_ask_the_durable_client(host: Running) -> None:
    host.outcome("parent", "looked-up", 1)
    assert host.outcome("asking", "asks-known", "looked-up")["output"] == "COMPLETED"
    assert host.outcome("asking", "asks-unknown", "nobody")["output"] == "unknown"


def test_starting_a_running_instance_is_refused_and_an_ended_one_replaced(host: Running) -> None:
    assert host.start("waiting", "one", 60.0).status_code == 202
    second = host.start("waiting", "one", 60.0)
    assert (second.status_code, second.text) == (409, "ALREADY_EXISTS"), host.status("one")
    host.http.post("/api/tell/one/go")
    assert host.ended("one")["output"] == "event"
    assert host.outcome("waiting", "one", 0.01)["output"] == "timer"


def test_terminate_ends_an_instance(host: Running) -> None:
    host.start("waiting", "ended", 60.0)
    host.http.post("/api/terminate/ended")
    ended = host.ended("ended")
    assert ended["runtimeStatus"] == "Terminated", ended


def test_purge_forgets_an_instance(host: Running) -> None:
    host.outcome("parent", "forgotten", 1)
    assert host.http.post("/api/purge/forgotten").text == "1"
    assert host.http.get("/runtime/webhooks/durabletask/instances/forgotten").status_code == 404


def test_texts_above_the_usual_message_limit_pass(host: Running) -> None:
    host.start("long_text", "long", 6_000_000)
    assert len(host.http.get("/api/output/long").text) == 6_000_002


def test_an_unknown_orchestrator_fails_with_its_name(host: Running) -> None:
    status = host.outcome("no_such_orchestrator", "nameless")
    assert status["runtimeStatus"] == "Failed"
    assert "no_such_orchestrator" in status["output"]


def test_status_of_a_running_instance_is_202(host: Running) -> None:
    host.start("waiting", "still", 60.0)
    url = "/runtime/webhooks/durabletask/instances/still"
    until(lambda: host.status("still")["runtimeStatus"], lambda status: status == "Running")
    answer = host.http.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "5")
    assert answer.headers["Location"] == f"{host.ready['url']}{url}"


def test_status_of_an_ended_instance_names_no_other_place(host: Running) -> None:
    host.outcome("parent", "over", 1)
    answer = host.http.get("/runtime/webhooks/durabletask/instances/over")
    assert answer.status_code == 200
    assert not {"location", "retry-after"} & answer.headers.keys()


def test_an_unknown_instance_is_a_404_without_a_body(host: Running) -> None:
    answer = host.http.get("/runtime/webhooks/durabletask/instances/nobody")
    assert (answer.status_code, answer.content) == (404, b"")


def test_times_have_whole_seconds_and_history_is_absent_unless_asked_for(host: Running) -> None:
    status = host.outcome("parent", "timely", 1)
    for name in ("createdTime", "lastUpdatedTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status[name])
    assert (status["input"], status["historyEvents"]) == (1, None)


@pytest.mark.parametrize("query", ["showInput=false", "showinput=False"])
def test_the_input_is_left_out_on_demand(host: Running, query: str) -> None:
    host.outcome("parent", "discreet", 1)
    status = host.http.get(f"/runtime/webhooks/durabletask/instances/discreet?{query}").json()
    assert (status["input"], status["runtimeStatus"]) == (None, "Completed")


def test_the_history_names_what_ran_and_its_results_on_demand(host: Running) -> None:
    host.outcome("parent", "historic", 1)
    url = "/runtime/webhooks/durabletask/instances/historic?showHistory=true"
    plain, full = (host.http.get(f"{url}{more}").json()["historyEvents"] for more in ("", "&showHistoryOutput=true"))
    kinds = [event["EventType"] for event in plain]
    assert (kinds[0], kinds[-1]) == ("ExecutionStarted", "ExecutionCompleted")
    assert not {"TaskScheduled", "OrchestratorStarted"} & set(kinds)
    assert plain[0]["FunctionName"] == "parent"
    ended = [event for event in plain if event["EventType"].endswith("Completed") and "FunctionName" in event]
    assert ended
    assert all("ScheduledTime" in event for event in ended)
    assert not [event for event in plain if "Result" in event]
    assert [event for event in full if "Result" in event]


def test_a_failed_orchestration_is_an_error_on_demand(host: Running) -> None:
    host.outcome("no_such_orchestrator", "failing")
    url = "/runtime/webhooks/durabletask/instances/failing"
    assert host.http.get(url).status_code == 200
    assert host.http.get(f"{url}?returnInternalServerErrorOnFailure=true").status_code == 500


def test_other_webhooks_are_refused_by_name(host: Running) -> None:
    answer = host.http.post("/runtime/webhooks/durabletask/instances/x/suspend")
    assert answer.status_code == 501
    assert "suspend" in answer.json()["error"]
