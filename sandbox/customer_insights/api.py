"""The Customer Insights API of one instance: data sources, entities and workflow (docs/reference/customer-insights.md 3)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.customer_insights.unification import BusyError, InvalidRequestError, UnificationRequest, read_request
from sandbox.customer_insights.workflow_jobs import WORKFLOW, Workflow, nodes
from sandbox.database.documents import Document, Documents
from sandbox.identity.tokens import InvalidTokenError, TokenAuthority, audiences_of
from sandbox.runtime import Environment
from sandbox.schema.column_types import ColumnType
from sandbox.schema.model import Table

API_AUDIENCE: Final = "https://api.ci.ai.dynamics.com"
_KEY_HEADER: Final = "ocp-apim-subscription-key"
_DEFAULT_TOP: Final = 10  # as in the published API client
_JOB_FIELDS: Final = {"jobType": "job_type", "submissionKind": "submission_kind"}

type Submit = Callable[[UnificationRequest], Awaitable[Document]]
type Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class InsightsApi:
    """Answers for one instance. `submit` runs a unification and returns its job."""

    environment: Environment
    documents: Documents
    workflow: Workflow
    authority: TokenAuthority
    submit: Submit

    def routes(self) -> list[Route]:
        """Return the routes below the API's base URL."""
        jobs = "/instances/{instance}/workflows/{name}/jobs"
        return [
            self._get("/instances/{instance}", self.instance),
            self._get("/instances/{instance}/manage/datasources", self.data_sources),
            self._get("/instances/{instance}/manage/entities", self.entities),
            self._get(jobs, self.jobs),
            self._get(jobs + "/{job}", self.job),
            self._get("/instances/{instance}/workflows/{name}/history", self.history),
            self._get("/instances/{instance}/workflows/{name}/status", self.status),
            Route(jobs, self._guarded(self.submit_job), methods=["POST"]),
            Route("/{path:path}", self._guarded(self.missing), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def instance(self, request: Request) -> Response:
        """GET /instances/{id}: InstanceMetadata."""
        del request
        return JSONResponse(self._instance())

    async def data_sources(self, request: Request) -> Response:
        """GET .../manage/datasources: list of DataSourceInfo."""
        del request
        return JSONResponse(self._addressed(self.documents.listed("datasources")))

    async def entities(self, request: Request) -> Response:
        """GET .../manage/entities: the entity model, with the metadata of all source tables."""
        tables = self.environment.database.schema.tables
        sources = [source["dataSourceMetadata"] for source in self.documents.listed("datasources")]
        entities = [
            _entity(source["name"], information, tables.get(information["entityName"].lower()))
            for source in sources
            for information in source.get("entityInformation", ())
        ]
        return JSONResponse({"instanceId": request.path_params["instance"], "entities": entities})

    async def jobs(self, request: Request) -> Response:
        """GET .../jobs?top=N&includeTasks=true: recent jobs, newest first."""
        with_tasks = request.query_params.get("includeTasks", "false").lower() == "true"
        found = self.workflow.jobs()[: _top(request)]
        return JSONResponse(found if with_tasks else [{**job, "tasks": None} for job in found])

    async def job(self, request: Request) -> Response:
        """GET .../jobs/{jobId}: one job with its tasks."""
        wanted = request.path_params["job"]
        found = next((job for job in self.workflow.jobs() if job["jobId"] == wanted), None)
        return _error(404, f"Job {wanted} was not found.") if found is None else JSONResponse(found)

    async def history(self, request: Request) -> Response:
        """GET .../history?top=N: recent tasks, newest first."""
        tasks = [task for job in self.workflow.jobs() for task in reversed(job["tasks"])]
        return JSONResponse(tasks[: _top(request)])

    async def status(self, request: Request) -> Response:
        """GET .../status: the nodes of the workflow."""
        del request
        return JSONResponse(list(nodes(self.workflow.jobs())))

    async def submit_job(self, request: Request) -> Response:
        """POST .../jobs: run the workflow; nothing changes by it. The body may be an OnDemandJobRequest."""
        asked = _object(await request.body())
        if asked is None:
            return _error(400, "The body is not a JSON object.")
        operation = request.query_params.get("operationType") or asked.get("operationType") or "all"
        if str(operation).lower() != "all":
            return _error(501, f"A job of operation type {operation} is not part of this sandbox: it runs all of them.")
        wanted = {ours: asked[theirs] for theirs, ours in _JOB_FIELDS.items() if asked.get(theirs) is not None}
        try:
            return JSONResponse(await self.submit(read_request(wanted)))
        except InvalidRequestError as error:
            return _error(400, str(error))
        except BusyError as error:
            return _error(503, str(error))

    async def missing(self, request: Request) -> Response:
        """Say which call this sandbox does not have."""
        return _error(501, f"{request.method} {request.url.path} is not part of this sandbox.")

    def _get(self, path: str, handler: Handler) -> Route:
        return Route(path, self._guarded(handler), methods=["GET"])

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            return self._refusal(request) or await handler(request)

        return answer

    def _refusal(self, request: Request) -> Response | None:
        key = self.environment.config.insights_subscription_key
        if key is not None and request.headers.get(_KEY_HEADER) != key:
            return _error(401, "Access denied due to missing or invalid subscription key.")
        try:
            self.authority.verify(request.headers.get("authorization"), self._audiences())
        except InvalidTokenError as error:
            return _error(401, f"The access token is not accepted: {error}.")
        instance = request.path_params.get("instance", "")
        if instance and instance.lower() != str(self._instance().get("instanceId", "")).lower():
            return _error(404, f"Instance {instance} was not found.")
        name = request.path_params.get("name", WORKFLOW)
        return None if name == WORKFLOW else _error(404, f"Workflow {name} was not found.")

    def _audiences(self) -> frozenset[str]:
        return audiences_of(self.environment.base_url) | {API_AUDIENCE}

    def _instance(self) -> Document:
        return self._addressed(self.documents.get("instance"))

    def _addressed[T](self, answer: T) -> T:
        """Put the sandbox's address where a data file says `{dataverse_url}`."""
        text = orjson.dumps(answer).replace(b"{dataverse_url}", self.environment.base_url.encode())
        replaced: T = orjson.loads(text)
        return replaced


def _object(body: bytes) -> Document | None:
    """Return a JSON object, empty for no body; None for anything else."""
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _top(request: Request) -> int:
    text = request.query_params.get("top", "")
    return int(text) if text.isdecimal() else _DEFAULT_TOP


def _entity(source: str, information: Mapping[str, str], table: Table | None) -> Document:
    columns = table.columns.values() if table else ()
    return {
        "name": information["entityName"],
        "qualifiedEntityName": f"{source}_{information['entityName']}",
        "dataSourceName": source,
        "entityType": "ingested",
        "attributes": [{"name": column.logical_name, "dataType": _data_type(column.type)} for column in columns],
        "keys": [[{"name": information["primaryKey"]}]] if "primaryKey" in information else [],
    }


def _data_type(kind: ColumnType) -> str:
    return {
        ColumnType.INTEGER: "int64",
        ColumnType.BIGINT: "int64",
        ColumnType.DOUBLE: "double",
        ColumnType.DATETIME: "dateTime",
        ColumnType.DATE: "date",
        ColumnType.BOOLEAN: "boolean",
        ColumnType.GUID: "guid",
    }.get(kind, "string")


def _error(status: int, message: str) -> Response:
    body: Document = {
        "exception": None,
        "httpStatusCode": str(status),
        "exceptionCulprit": "user" if status < 500 else "system",
        "errorCode": str(status),
        "resultSeverity": "error",
        "message": message,
        "name": {
            400: "BadRequest",
            401: "Unauthorized",
            404: "NotFound",
            501: "NotImplemented",
            503: "ServiceUnavailable",
        }[status],
        "params": {},
        "ciResults": [],
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status_code=status, headers=headers)
