"""One app put together in this process: limits of host.json, and how events are handed over."""

import asyncio
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest
from azure.functions.decorators.core import Cardinality
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import OrchestrationContext, when_all

from sandbox.host.config import HostConfig
from sandbox.host.events import deliver, events_of
from sandbox.host.functions import HostedFunction, host_functions, of_kind
from sandbox.host.host import Host
from sandbox.host.http import Keys
from sandbox.host.invoker import Invoker

LIMIT = 2


@dataclass
class Visitors:
    now: int = 0
    most: int = 0


VISITORS = Visitors()


def crowd_app() -> df.DFApp:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def crowd(ctx: OrchestrationContext, _: None) -> Generator[Any, Any, Any]:
        yield when_all([ctx.call_activity("visit") for _ in range(3 * LIMIT)])

    @app.activity_trigger(input_name="nothing")
    async def visit(nothing: None) -> None:
        VISITORS.now += 1
        VISITORS.most = max(VISITORS.most, VISITORS.now)
        await asyncio.sleep(0.01)
        VISITORS.now -= 1

    return app


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    config = HostConfig(activities=LIMIT)
    host = Host(host_functions(crowd_app()), config, "http://127.0.0.1", lambda text, _: text, Keys())
    host.start()
    yield host
    await host.stop()


# the SDK asks for a setting that this test does not need
@pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type:DeprecationWarning")
async def test_no_more_activities_run_than_host_json_allows(host: Host) -> None:
    host.backend.StartInstance(pb.CreateInstanceRequest(name="crowd", instanceId="crowd"), None)
    patience = SimpleNamespace(time_remaining=lambda: 10)
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


def test_a_document_that_is_no_list_is_one_event_as_it_stands() -> None:
    (event,) = events_of(b'{ "records": [] }')
    assert event.get_body() == b'{ "records": [] }'
    assert event.sequence_number is not None
    assert event.enqueued_time is not None
