"""What a route is: an operation with its role, its typed input and its typed answer. The OpenAPI document is made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError

from linker.core.roles import Caller, Role
from linker.deps import Deps
from linker.entrypoints.http.messages import JSON, ProblemError, Reply, Request, not_found
from linker.services.run_requests import Start

MOST_BODY_BYTES = 64 * 1024
MOST_WHY = 500  # characters of what is wrong with a request
type RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
type TableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", to_lower=True)]
type RowId = Annotated[str, StringConstraints(pattern=r"^\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?$")]
PARAMETERS: Mapping[str, TypeAdapter[str]] = {
    "run": TypeAdapter(RunId),
    "table": TypeAdapter(TableName),
    "row": TypeAdapter(RowId),
}
"""Parameters of paths by their names; one that does not fit names nothing that exists."""


@dataclass(frozen=True, slots=True)
class Call[Body = None, Query = None]:
    """One admitted request with its typed input, and what serving it may use."""

    deps: Deps
    start: Start
    request: Request
    caller: Caller
    parameters: Mapping[str, str]
    body: Body
    query: Query


type Handler = Callable[[Call[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. Its name is the handler's, its summary the first sentence of the handler's docstring."""

    method: str
    path: str  # below /api
    handle: Handler
    role: Role = Role.VIEWER
    answer: Any = None  # type of the JSON value; None: any
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()  # beside those that every operation may give
    media_types: tuple[str, ...] = (JSON,)
    audited: bool = False  # somebody did this by hand
    asks_for_run: bool = False  # takes an Idempotency-Key, and answers where the run is found

    @property
    def name(self) -> str:
        """Name in the OpenAPI document and in the audit."""
        return self.handle.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path's parameters."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def operation(method: str, path: str, **facts: Any) -> Callable[[Handler], Operation]:
    """Make an operation of a handler; `facts` are the other fields of Operation."""
    return lambda handle: Operation(method, path, handle, **facts)


def parsed_parameters(wanted: Operation, request: Request) -> dict[str, str]:
    """Return the parameters of the path. Raises ProblemError 404 when one of them can name nothing."""
    try:
        return {name: PARAMETERS[name].validate_python(request.path.get(name, "")) for name in wanted.parameters}
    except ValidationError:
        raise not_found(f"{wanted.parameters[-1]} of this name") from None


def parsed_body[T: BaseModel](kind: type[T], body: bytes) -> T:
    """Return the typed body; none at all counts as {}. Raises ProblemError 400 or 413."""
    if len(body) > MOST_BODY_BYTES:
        raise ProblemError(413, "Too large", f"A body has at most {MOST_BODY_BYTES:,} bytes. Nothing was started.")
    try:
        return kind.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        raise ProblemError(400, "This is no valid body", f"{_why(error)} Nothing was started.") from None


def parsed_query[T: BaseModel](kind: type[T], query: Mapping[str, str]) -> T:
    """Return the typed query; unknown parameters, such as a function key, are left alone. Raises ProblemError 400."""
    try:
        return kind.model_validate(dict(query))
    except ValidationError as error:
        raise ProblemError(400, "This is no valid query", _why(error)) from None


def _why(error: ValidationError) -> str:
    """Say which members are wrong without repeating what was sent."""
    faults = {_place(fault["loc"], fault["type"]): _fault(fault["type"], fault["msg"]) for fault in error.errors()}
    return f"{'; '.join(f'{place}: {text}' for place, text in faults.items())[:MOST_WHY]}."


def _place(loc: tuple[int | str, ...], kind: str) -> str:
    """Return the name of a member; an unknown one was named by the sender."""
    return ".".join(str(part) for part in loc if kind != "extra_forbidden") or "body"


def _fault(kind: str, text: str) -> str:
    own = {
        "json_invalid": "It is no JSON",
        "model_type": "It has to be a JSON object",
        "extra_forbidden": "It has a member that is not known here",
    }
    return own.get(kind, text.removeprefix("Value error, "))
