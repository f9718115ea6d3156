"""What a route is: an operation with its role, its typed input and its typed answer. The OpenAPI document is made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints, TypeAdapter

from linker.core.roles import Caller, Role
from linker.deps import Deps
from linker.entrypoints.http.messages import JSON, Reply, Request
from linker.services.run_requests import Start

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
    audited: bool = False  # a manual action
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
