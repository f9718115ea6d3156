"""One app put together in this process: limits of host.json, and how events are handed over."""

import asyncio
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.functions.decorators.core import Cardinality
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import OrchestrationContext, when_all

from sandbox.host.config import HostConfig
from sandbox.host.errors import StartRefusedError
from sandbox.host.events import deliver, events_of
from sandbox.host.functions import HostedFunction, Retries, host_functions, of_kind
from sandbox.host.host import Host
from sandbox.host.worker import Invoker

LIMIT = 2


@dataclass
class Visitors:
    now: int = 0
    most: int = 0


VISITORS = Visitors()


def crowd_app() -> df.DFApp:
    app, full = df.DFApp(), asyncio.Event()

    @app.orchestration_trigger(context_name="context")
    def crowd(ctx: OrchestrationContext, _: None) -> Generator[Any, Any, Any]:
        yield when_all([ctx.call_activity("visit") for _ in range(3 * LIMIT)])

    @app.activity_trigger(input_name="nothing")
    async def visit(nothing: None) -> None:
        VISITORS.now += 1
        VISITORS.most = max(VISITORS.most, VISITORS.now)
        if VISITORS.now == LIMIT:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)  # for one visitor more than there may be
        VISITORS.now -= 1

    return app


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    config = HostConfig(activities=LIMIT)
    host = Host(host_functions(crowd_app()), config, "http://127.0.0.1", lambda text, _: text, None)
    host.start()
    yield host
    await host.stop()


# the SDK asks for a setting that this test does not need
@pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type:DeprecationWarning")
async def test_no_more_activities_run_than_host_json_allows(host: Host) -> None:
    host.backend.StartInstance(pb.CreateInstanceRequest(name="crowd", instanceId="crowd"), None)
    patience = SimpleNamespace(time_remaining=lambda: 120)
    await asyncio.to_thread(host.backend.WaitForInstanceCompletion, pb.GetInstanceRequest(instanceId="crowd"), patience)
    assert (VISITORS.now, VISITORS.most) == (0, LIMIT)


def listener(cardinality: Cardinality, heard: list[Any]) -> HostedFunction:
    app = df.DFApp()

    @app.event_hub_message_trigger(arg_name="given", event_hub_name="hub", connection="HUB", cardinality=cardinality)
    def on_events(given: Any) -> None:
        heard.append([event.get_body() for event in given] if isinstance(given, list) else given.get_body())
        raise RuntimeError("a failed event leaves the next one alone")

    return of_kind(host_functions(app), "eventHubTrigger")[0]


@pytest.mark.parametrize(
    ("cardinality", "expected"),
    [
        pytest.param(Cardinality.MANY, [[b'{"a": 1}', b"text"]], id="many: the batch in one call"),
        pytest.param(Cardinality.ONE, [b'{"a": 1}', b"text"], id="one: a call for each event"),
    ],
)
async def test_events_are_handed_over_by_cardinality(cardinality: Cardinality, expected: list[Any]) -> None:
    heard: list[Any] = []
    await deliver(listener(cardinality, heard), events_of(b'[{"a": 1}, "text"]'), Invoker("{}"))
    assert heard == expected


async def test_failed_events_are_repeated_as_their_retry_policy_says() -> None:
    app, heard = func.FunctionApp(), []

    @app.event_hub_message_trigger(arg_name="given", event_hub_name="hub", connection="HUB")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:00")
    def on_events(given: Any) -> None:
        heard.append(given.get_body())
        if len(heard) < 3:
            raise RuntimeError("not yet")

    (function,) = host_functions(app)
    await deliver(function, events_of(b"{}"), Invoker("{}"))
    assert heard == [b"{}"] * 3
    heard.clear()
    await deliver(replace(function, retries=Retries(1)), events_of(b"{}"), Invoker("{}"))
    assert heard == [b"{}"] * 2


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param({"strategy": "exponential_backoff", "max_retry_count": "3"}, id="growing waits"),
        pytest.param({"strategy": "fixed_delay", "max_retry_count": "-1", "delay_interval": "00:00:01"}, id="no end"),
    ],
)
def test_a_retry_policy_that_is_not_run_here_is_refused(policy: dict[str, str]) -> None:
    app = func.FunctionApp()

    @app.event_hub_message_trigger(arg_name="given", event_hub_name="hub", connection="HUB")
    @app.retry(**policy)
    def on_events(given: Any) -> None:
        """Never called."""

    with pytest.raises(StartRefusedError, match="on_events"):
        host_functions(app)


def test_a_document_that_is_not_a_list_is_one_event_as_it_stands() -> None:
    (event,) = events_of(b'{ "records": [] }')
    assert event.get_body() == b'{ "records": [] }'
    assert event.sequence_number is not None
    assert event.enqueued_time is not None
