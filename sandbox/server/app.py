"""Puts the parts together: one Starlette application with Web API, Customer Insights API, identity and admin API."""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from sandbox.customer_insights.api import InsightsApi
from sandbox.customer_insights.customer_links import fill_customer_links
from sandbox.customer_insights.event_push import EventPush
from sandbox.customer_insights.unification import Simulator, UnificationRequest
from sandbox.customer_insights.workflow_jobs import Workflow
from sandbox.customer_insights.workflow_rows import WorkflowRows
from sandbox.data.seed import Dataset, store
from sandbox.database.documents import Document, Documents
from sandbox.faults import FaultLayer, Faults
from sandbox.identity.endpoint import IdentityEndpoint
from sandbox.identity.tokens import TokenAuthority, kept_key, pem_of
from sandbox.middleware.admission import Exchange, Gate
from sandbox.middleware.insights_front import InsightsFront
from sandbox.middleware.service_protection import ServiceProtection
from sandbox.runtime import Environment
from sandbox.server.control_api import Admin
from sandbox.server.pipeline import Pipeline
from sandbox.webapi.app import routes
from sandbox.webapi.protocol.errors import not_supported
from sandbox.webapi.protocol.messages import error_answer

API_PATH: Final = "/api/data/v9.2"
_OLDER_PATHS: Final = ("/api/data/v9.0", "/api/data/v9.1")
"""Answered as the current version is; the URLs in their answers name that one."""
INSIGHTS_PATH: Final = "/insights/v1"
IDENTITY_PATH: Final = "/identity/token"
ADMIN_PATH: Final = "/sandbox"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A composed sandbox: `app` is the ASGI application, the rest is for code in the same process."""

    app: Starlette
    environment: Environment
    identity: IdentityEndpoint
    documents: Documents
    simulator: Simulator
    faults: Faults

    @property
    def instance_id(self) -> str:
        """The id of the Customer Insights instance, "" while nothing is loaded."""
        return str(self.documents.get("instance").get("instanceId", ""))

    @property
    def is_loaded(self) -> bool:
        """Whether a data set was loaded, now or before a restart."""
        return bool(self.documents.get("instance"))

    def load(self, dataset: Dataset) -> dict[str, int]:
        """Load a data set and publish one successful unification; returns rows by table."""
        counts = store(dataset, self.environment.database, self.environment.config.loaded_age_s)
        fill_customer_links(self.environment.database, self.environment.config.mapping_lookup)
        self.documents.put("instance", dataset.instance)
        self.documents.replace_list("datasources", dataset.datasources)
        self.simulator.publish()
        return counts


def _identity(documents: Documents, environment: Environment) -> IdentityEndpoint:
    """Return the identity endpoint; key and header survive a restart, so that a running client continues."""
    kept = documents.get("identity")
    authority = TokenAuthority(key=kept_key(kept.get("key")))
    header = kept.get("header") or secrets.token_hex(16)
    documents.put("identity", {"key": pem_of(authority.key), "header": header})
    return IdentityEndpoint(authority, lambda: environment.config.token_lifetime_s, header)


async def _other_version(_request: Request) -> Response:
    refusal = error_answer(not_supported(f"other versions of the Web API than v9.0 to v9.2 ({API_PATH})"))
    return Response(refusal.body, refusal.status, refusal.headers)


def compose(environment: Environment, clock_s: Callable[[], float] = time.monotonic) -> Sandbox:
    """Return a sandbox over an environment. `clock_s` is what service protection counts by, in seconds."""
    documents = Documents(environment.database)
    rows = WorkflowRows(environment)
    push = EventPush(lambda: environment.config.events_url)
    workflow = Workflow(documents, environment.clock, push, rows.save)
    simulator = Simulator(environment, documents, workflow)
    identity = _identity(documents, environment)
    authority = identity.authority
    protection = ServiceProtection(lambda: environment.config, clock_s)
    requests: Counter[str] = Counter()
    faults = Faults(environment.clock)
    in_flight: dict[int, Exchange] = {}
    environment.hooks = Pipeline(protection, faults, in_flight)

    async def submit(request: UnificationRequest) -> Document:
        job_id = (await simulator.run(request))["jobId"]
        return next(job for job in workflow.jobs() if job["jobId"] == job_id)

    def faulty(app: ASGIApp) -> ASGIApp:
        return FaultLayer(app, environment, faults, simulator)

    admin = Admin(environment, documents, workflow, protection, simulator, faults, requests)
    insights = InsightsApi(environment, documents, workflow, authority, submit)
    web_api_routes = Router(routes(environment))  # an empty database gets its organization here
    rows.prepare()
    workflow.abort_unfinished()
    web_api = Gate(faulty(web_api_routes), environment, authority, protection, requests, in_flight)
    app = Starlette(
        routes=[
            *(Mount(path, web_api) for path in (API_PATH, *_OLDER_PATHS)),
            Route("/api/data/{rest:path}", _other_version),
            Mount(INSIGHTS_PATH, InsightsFront(faulty(Router(insights.routes())), environment)),
            Mount(ADMIN_PATH, routes=admin.routes()),
            Route(IDENTITY_PATH, faulty(Router([Route(IDENTITY_PATH, identity.answer)]))),
        ]
    )
    return Sandbox(app, environment, identity, documents, simulator, faults)
