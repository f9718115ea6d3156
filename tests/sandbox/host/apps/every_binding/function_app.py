"""One function of each kind that the local host drives. What happened is kept in SEEN and readable under /api/seen."""

import asyncio
import json
import time
from collections.abc import Generator
from datetime import timedelta
from typing import Any, List  # noqa: UP035  # the worker refuses list[...] at indexing (docs/reference/azure.md 13)

import azure.durable_functions as df
import azure.functions as func
import grpc
from durabletask.client import OrchestrationStatus
from durabletask.task import OrchestrationContext, RetryPolicy, TaskFailedError, when_all, when_any

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

type Orchestrator = Generator[Any, Any, Any]

SEEN: dict[str, Any] = {"ticks": 0, "startup": 0, "events": [], "overlap": 0, "most": 0, "attempts": 0}


@app.route(route="seen", auth_level=func.AuthLevel.ANONYMOUS)
def seen(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(SEEN), mimetype="application/json")


@app.route(route="echo/{name}/{*rest}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    told = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("X-Test"),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(
        json.dumps(told), status_code=201, mimetype="application/json", headers={"X-Answer": "yes"}
    )


@app.route(route="items/latest", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def latest(req: func.HttpRequest) -> str:
    return "the latest"


@app.route(route="items/{number:int?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def item(req: func.HttpRequest) -> str:
    return f"item {req.route_params.get('number', 'none')}"


@app.route(route="quiet", auth_level=func.AuthLevel.ANONYMOUS)
def quiet(req: func.HttpRequest) -> None:
    return None


@app.route(route="broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the secret reason")


@app.timer_trigger(arg_name="timer", schedule="%EVERY_SECOND%")
async def every_second(timer: func.TimerRequest) -> None:
    SEEN["ticks"] += 1


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def yearly(timer: func.TimerRequest) -> None:
    SEEN["startup"] += 1


@app.event_hub_message_trigger(
    arg_name="events", event_hub_name="%EVENT_HUB%", connection="HUB_CONNECTION", cardinality=func.Cardinality.MANY
)
def on_events(events: List[func.EventHubEvent]) -> None:  # noqa: UP006
    SEEN["events"].append([event.get_body().decode() for event in events])


@app.route(route="start/{orchestrator}/{id}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    given = json.loads(req.get_body() or b"null")
    try:
        instance = await client.schedule_new_orchestration(
            req.route_params["orchestrator"], input=given, instance_id=req.route_params["id"]
        )
    except grpc.aio.AioRpcError as error:
        return func.HttpResponse(error.code().name, status_code=409)
    return client.create_check_status_response(req, instance)


@app.route(route="terminate/{id}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def terminate(req: func.HttpRequest, client: df.DurableFunctionsClient) -> None:
    await client.terminate_orchestration(req.route_params["id"], output="enough")


@app.route(route="purge/{id}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
def purge(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> str:
    return str(client.purge_orchestration(req.route_params["id"]).deleted_instance_count)


@app.route(route="output/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def output(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    state = await client.wait_for_orchestration_completion(req.route_params["id"], timeout=100)
    return "" if state is None else state.serialized_output or ""


@app.route(route="tell/{id}/{event}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def tell(req: func.HttpRequest, client: df.DurableFunctionsClient) -> None:
    await client.raise_orchestration_event(req.route_params["id"], req.route_params["event"])


@app.orchestration_trigger(context_name="context")
def parent(ctx: OrchestrationContext, count: int) -> Orchestrator:
    ctx.set_custom_status({"children": count})
    children = [ctx.call_sub_orchestrator("child", input=number) for number in range(count)]
    doubled = yield when_all(children)
    yield ctx.create_timer(timedelta(milliseconds=50))
    return {"sum": sum(doubled), "version": ctx.version}


@app.orchestration_trigger(context_name="context")
def child(ctx: OrchestrationContext, number: int) -> Orchestrator:
    doubled = yield when_all([ctx.call_activity("double", input=number), ctx.call_activity("double", input=number)])
    return sum(doubled) / 2


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return 2 * number


@app.orchestration_trigger(context_name="context")
def overlapping(ctx: OrchestrationContext, count: int) -> Orchestrator:
    yield when_all([ctx.call_activity("meet", input=count) for _ in range(count)])
    return SEEN["most"]


_everyone_is_here = asyncio.Event()


@app.activity_trigger(input_name="count")
async def meet(count: int) -> None:
    """Ends only when `count` of it run at the same time."""
    SEEN["overlap"] += 1
    SEEN["most"] = max(SEEN["most"], SEEN["overlap"])
    if SEEN["overlap"] == count:
        _everyone_is_here.set()
    await _everyone_is_here.wait()
    SEEN["overlap"] -= 1


@app.orchestration_trigger(context_name="context")
def retrying(ctx: OrchestrationContext, _: None) -> Orchestrator:
    policy = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
    answer = yield ctx.call_activity("third_time_lucky", retry_policy=policy)
    return answer


@app.activity_trigger(input_name="nothing")
async def third_time_lucky(nothing: None) -> int:
    SEEN["attempts"] += 1
    if SEEN["attempts"] < 3:
        raise ConnectionError("not yet")
    return int(SEEN["attempts"])


@app.orchestration_trigger(context_name="context")
def failing(ctx: OrchestrationContext, how: str) -> Orchestrator:
    try:
        yield ctx.call_activity("fail", input=how)
    except TaskFailedError as error:
        return [error.details.error_type, error.details.message]


@app.activity_trigger(input_name="how")
def fail(how: str) -> None:
    raise ValueError(*[how] if how else [])


@app.orchestration_trigger(context_name="context")
def asking(ctx: OrchestrationContext, other: str) -> Orchestrator:
    return (yield ctx.call_activity("look_up", input=other))


@app.activity_trigger(input_name="other")
@app.durable_client_input(client_name="client")
async def look_up(other: str, client: df.DurableFunctionsClient) -> str:
    state = await client.get_orchestration_state(other)
    return "unknown" if state is None else OrchestrationStatus(state.runtime_status).name


@app.orchestration_trigger(context_name="context")
def waiting(ctx: OrchestrationContext, seconds: float) -> Orchestrator:
    timer = ctx.create_timer(timedelta(seconds=seconds))
    first = yield when_any([timer, ctx.wait_for_external_event("go")])
    return "timer" if first is timer else "event"


@app.orchestration_trigger(context_name="context")
def long_text(ctx: OrchestrationContext, length: int) -> Orchestrator:
    return (yield ctx.call_activity("repeat", input=length))


@app.activity_trigger(input_name="length")
def repeat(length: int) -> str:
    return length * "x"


@app.orchestration_trigger(context_name="context")
def cancelled(ctx: OrchestrationContext, _: None) -> Orchestrator:
    try:
        yield ctx.call_activity("cancel_itself")
    except TaskFailedError as error:
        return error.details.error_type


@app.activity_trigger(input_name="nothing")
async def cancel_itself(nothing: None) -> None:
    raise asyncio.CancelledError


@app.orchestration_trigger(context_name="context")
def stuck(ctx: OrchestrationContext, how: str) -> Orchestrator:
    yield ctx.call_activity(how)


@app.activity_trigger(input_name="nothing")
async def sleep_on(nothing: None) -> None:
    await asyncio.sleep(600)


@app.activity_trigger(input_name="nothing")
def block(nothing: None) -> None:
    time.sleep(600)
