"""Table of contents of the function app: what starts it, what it offers, what its runs are made of. Bodies are in linker/."""

import asyncio
import json
from typing import Any, List  # noqa: UP035 - the worker refuses list[...] (docs/reference/azure.md 13)

import azure.durable_functions as df
import azure.functions as func
from azure.functions.decorators.function_app import SettingsApi

from linker import bootstrap, settings
from linker.adapters import telemetry
from linker.core.model import Ticket
from linker.core.roles import Role
from linker.core.runs.workflow_jobs import GROUP, HUB
from linker.durable import boundary
from linker.durable.activities import ACTIVITIES, Activity
from linker.durable.orchestrators import ORCHESTRATORS
from linker.entrypoints import api, portal
from linker.entrypoints.serving import request_of, response_of
from linker.services import housekeeping, run_requests

bootstrap.check_environment()
telemetry.install()
API = api.Api(bootstrap.deps, bootstrap.is_authenticated())
PORTAL = portal.Portal(bootstrap.deps, portal.PAGES, API.authenticated)


def _level(role: Role) -> func.AuthLevel:
    """Keys count only without sign-in; what an admin may do requires the master key then."""
    if API.authenticated:
        return func.AuthLevel.ANONYMOUS
    return func.AuthLevel.ADMIN if role is Role.ADMIN else func.AuthLevel.FUNCTION


class FunctionApp(df.DFApp, SettingsApi):
    """A durable app whose functions may have a retry policy, which DFApp leaves out, and which has no functions but ours."""

    def _register_builtin_http_functions(self) -> None:
        """Leave out what DFApp adds: an activity that fetches any address, with a token of the app's identity if asked to."""


app = FunctionApp(http_auth_level=_level(Role.OPERATOR))


# ---- HTTP ----
# Probes ask with HEAD; the host sends the headers of GET and leaves out the body.


@app.route(route="api/runs", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_run(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_run, req, boundary.starter(client))


@app.route(route="api/unification-events", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_unification_event(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_unification_event, req, boundary.starter(client))


@app.route(route="api/runs", methods=["GET", "HEAD"])
async def get_runs(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_runs, req)


@app.route(route="api/runs/{run}", methods=["GET", "HEAD"])
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_run, req)


@app.route(route="api/runs/{run}/cancel", methods=["POST"])
async def post_cancel(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.post_cancel, req)


@app.route(route="api/runs/{run}/errors", methods=["GET", "HEAD"])
async def get_errors(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_errors, req)


@app.route(route="api/runs/{run}/samples", methods=["GET", "HEAD"])
async def get_samples(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_samples, req)


@app.route(route="api/rows/{table}/{row}", methods=["GET", "HEAD"])
async def get_row(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_row, req)


@app.route(route="api/rows/{table}/{row}/insights", methods=["GET", "HEAD"])
async def get_insights(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_insights, req)


@app.route(route="api/status", methods=["GET", "HEAD"])
async def get_status(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_status, req)


@app.route(route="api/preflight", methods=["GET", "HEAD"])
async def get_preflight(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_preflight, req)


@app.route(route="api/tables/{table}/first-link", methods=["GET", "HEAD"])
async def get_first_link(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_first_link, req)


@app.route(route="api/tables/{table}/approve", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_approve(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_approve, req, boundary.starter(client))


@app.route(route="api/pause", methods=["POST"])
async def post_pause(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.post_pause, req)


@app.route(route="api/resume", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_resume(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _serve(api.post_resume, req, boundary.starter(client))


@app.route(route="api/audit", methods=["GET", "HEAD"], auth_level=_level(Role.ADMIN))
async def get_audit(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_audit, req)


@app.route(route="api/openapi.json", methods=["GET", "HEAD"])
async def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    return await _serve(api.get_openapi, req)


@app.route(route="api/health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_health(req: func.HttpRequest) -> func.HttpResponse:
    del req
    return func.HttpResponse(json.dumps({"status": "running"}), mimetype="application/json")


# The routes name /api themselves, because host.json leaves out the prefix: only so the app's own address leads to its page.
# The host shows its own page at "/" only where no function answers (HomepageMiddleware of azure-functions-host).
@app.route(route="/", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_root(req: func.HttpRequest) -> func.HttpResponse:
    del req
    return response_of(portal.lead_home())


@app.route(route="api", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_api_root(req: func.HttpRequest) -> func.HttpResponse:
    del req
    return response_of(portal.lead_home())


# A browser sends no key along with a link. So the page's own routes ask for none, and the app admits only sessions; the host
# checks the key where one begins.
@app.route(route="api/portal/{*rest}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_portal(req: func.HttpRequest) -> func.HttpResponse:
    return response_of(await PORTAL.serve("GET", request_of(req)))


@app.route(route="api/portal/{*rest}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def post_portal(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return response_of(await PORTAL.serve("POST", request_of(req), boundary.starter(client)))


@app.route(route="api/portal-session", methods=["POST"])
async def post_portal_session(req: func.HttpRequest) -> func.HttpResponse:
    return response_of(await PORTAL.open_session(request_of(req)))


# ---- events and timers ----

# Without a namespace there is nothing to connect to, and a function that cannot connect keeps the host restarting.
if settings.takes_events():
    # A batch that meets an unreachable storage is given again, for ten minutes; its partition waits meanwhile. Afterwards the
    # timer finds what it reported.
    @app.event_hub_message_trigger(
        arg_name="events",
        event_hub_name=HUB,
        consumer_group=GROUP,
        connection="LINKER_EVENTS",
        cardinality=func.Cardinality.MANY,
    )
    @app.retry(strategy="fixed_delay", max_retry_count="20", delay_interval="00:00:30")
    @app.durable_client_input(client_name="client")
    async def on_events(events: List[func.EventHubEvent], client: df.DurableFunctionsClient) -> None:  # noqa: UP006
        bodies = [event.get_body() for event in events]
        await boundary.run_tick(
            "on_events",
            lambda: run_requests.unification_events(bootstrap.deps(), bodies, boundary.starter(client)),
            comes_again=False,
        )


@app.timer_trigger(arg_name="tick", schedule="%LINKER_POLL_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def poll_unification(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    await boundary.run_tick("poll_unification", lambda: run_requests.poll(bootstrap.deps(), boundary.starter(client)))


@app.timer_trigger(arg_name="tick", schedule="%LINKER_VERIFY_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def verify_links(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    await boundary.run_tick("verify_links", lambda: run_requests.verify(bootstrap.deps(), boundary.starter(client)))


@app.timer_trigger(arg_name="tick", schedule="%LINKER_PURGE_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def purge_old(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    await boundary.run_tick("purge_old", lambda: housekeeping.purge(bootstrap.deps(), boundary.forgetter(client)))


# At every start, too: a run that died with its host is found by the next one. It reads one entity, so that is cheap.
@app.timer_trigger(arg_name="tick", schedule="%LINKER_WATCHDOG_SCHEDULE%", run_on_startup=True, use_monitor=False)
@app.durable_client_input(client_name="client")
async def watch_runs(tick: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    del tick
    starter = boundary.starter(client)
    await boundary.run_tick(
        "watch_runs", lambda: housekeeping.watch_runs(bootstrap.deps(), starter, sleep=asyncio.sleep)
    )


# ---- what runs are made of ----

for name, orchestrator in ORCHESTRATORS.items():
    app.orchestration_trigger(context_name="context", orchestration=name)(orchestrator)


def _activity(name: str, work: Activity, kind: type[Any]) -> None:
    """Register an activity; its function has the name that histories know."""

    async def run(task: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parameterised annotations
        return await boundary.run_activity(work, kind, bootstrap.deps(), task)

    run.__name__ = run.__qualname__ = name
    app.activity_trigger(input_name="task", activity=name)(run)


for name, (work, kind) in ACTIVITIES.items():
    _activity(name, work, kind)


@app.activity_trigger(input_name="task")
@app.durable_client_input(client_name="client")
async def start_run(task: dict, client: df.DurableFunctionsClient) -> dict:  # type: ignore[type-arg]
    return await boundary.run_activity(boundary.start_run(client), Ticket, bootstrap.deps(), task)


# ---- transport ----


async def _serve(
    wanted: api.Operation, req: func.HttpRequest, start: run_requests.Start | None = None
) -> func.HttpResponse:
    return response_of(await API.serve(wanted, request_of(req), start))
