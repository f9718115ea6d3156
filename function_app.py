"""Table of contents of the function app: what starts it, what it offers, what its runs are made of. Bodies are in linker/."""

import json
import logging
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import grpc

from linker import api, bootstrap, boundary, orchestration, triggers
from linker.activities import life, page, planning, prepare, strays, survey, unlink
from linker.activities import values as v
from linker.errors import LinkerError
from linker.model import Ticket
from linker.roles import Role
from linker.wire import to_json

bootstrap.check_environment()
API = api.Api(bootstrap.deps, bootstrap.is_authenticated())


def _level(role: Role) -> func.AuthLevel:
    """Keys count only where nobody signs in; what an admin may do asks for the master key then."""
    if API.authenticated:
        return func.AuthLevel.ANONYMOUS
    return func.AuthLevel.ADMIN if role is Role.ADMIN else func.AuthLevel.FUNCTION


app = df.DFApp(http_auth_level=_level(Role.OPERATOR))


# ---- HTTP ----


@app.route(route="runs", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_run(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_run, req, _starter(client))


@app.route(route="unification-events", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_unification_event(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_unification_event, req, _starter(client))


@app.route(route="runs", methods=["GET"])
async def get_runs(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_runs, req)


@app.route(route="runs/{run}", methods=["GET"])
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_run, req)


@app.route(route="runs/{run}/cancel", methods=["POST"])
async def post_cancel(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.post_cancel, req)


@app.route(route="runs/{run}/errors", methods=["GET"])
async def get_errors(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_errors, req)


@app.route(route="rows/{table}/{row}", methods=["GET"])
async def get_row(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_row, req)


@app.route(route="status", methods=["GET"])
async def get_status(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_status, req)


@app.route(route="audit", methods=["GET"], auth_level=_level(Role.ADMIN))
async def get_audit(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_audit, req)


@app.route(route="openapi.json", methods=["GET"])
async def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_openapi, req)


@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_health(req: func.HttpRequest) -> func.HttpResponse:
    del req
    return func.HttpResponse(json.dumps({"status": "running"}), mimetype="application/json")


# ---- timers ----


@app.timer_trigger(arg_name="tick", schedule="%LINKER_POLL_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def poll_unification(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    await _quietly(lambda: triggers.poll(bootstrap.deps(), _starter(client)))


# At every start, too: a run that died with its host is found by the next one. It reads one entity, so that is cheap.
@app.timer_trigger(arg_name="tick", schedule="%LINKER_WATCHDOG_SCHEDULE%", run_on_startup=True, use_monitor=False)
@app.durable_client_input(client_name="client")
async def watch_runs(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    await _quietly(lambda: triggers.watchdog(bootstrap.deps(), _starter(client)))


# ---- orchestrators ----

app.orchestration_trigger(context_name="context", orchestration=orchestration.ORCHESTRATOR)(
    orchestration.customerid_backstamping_hydration
)
app.orchestration_trigger(context_name="context", orchestration=orchestration.GENERATION)(orchestration.link_generation)


# ---- activities ----


@app.activity_trigger(input_name="task")
async def begin_run(task: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parameterised annotations
    return await boundary.run_activity(life.begin_run, Ticket, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def renew(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(life.renew, v.RunRef, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def settle(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(life.settle, v.SettleTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task", activity="survey")
async def survey_sources(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(survey.survey, v.RunRef, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def prepare_table(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(prepare.prepare_table, v.TableTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def split_pages(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(planning.split_pages, v.SplitTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def link_page(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(page.link_page, v.PageTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def unlink_table(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(unlink.unlink_table, v.UnlinkTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def find_strays(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(strays.find_strays, v.TableTask, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def report(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(life.report, v.Report, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def end_table(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(life.end_table, v.TableEnd, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
async def end_run(task: dict) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(life.end_run, v.Ending, bootstrap.deps(), task)


@app.activity_trigger(input_name="task")
@app.durable_client_input(client_name="client")
async def start_run(task: dict, client: df.DurableFunctionsClient) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(
        lambda _, ticket: _started(_starter(client), ticket), Ticket, bootstrap.deps(), task
    )


# ---- transport ----


def _starter(client: df.DurableFunctionsClient) -> triggers.Start:
    async def start(ticket: Ticket) -> None:
        try:
            await client.schedule_new_orchestration(
                orchestration.ORCHESTRATOR, input=to_json(ticket), instance_id=ticket.run
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    return start


async def _started(start: triggers.Start, ticket: Ticket) -> v.RunRef:
    await start(ticket)
    return v.RunRef(ticket.run)


async def _serve(
    wanted: api.Operation, req: func.HttpRequest, start: triggers.Start | None = None
) -> func.HttpResponse:
    headers = {name.lower(): value for name, value in req.headers.items()}
    request = api.Request(req.route_params, req.params, headers, req.get_body(), str(req.url).partition("/api/")[0])
    reply = await API.serve(wanted, request, start)
    return func.HttpResponse(
        reply.text, status_code=reply.status, headers=dict(reply.headers), mimetype=reply.media_type
    )


async def _quietly(work: Any) -> None:
    """A tick that cannot do its work says so and leaves it to the next one."""
    try:
        await work()
    except LinkerError as error:
        logging.warning("A timer did nothing: %s", error)
