"""What a route is: an operation with its role, its typed input and its typed answer. The OpenAPI document is made of these.

Malformed input is refused in sentences that repeat nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from linker.core.roles import Caller, Role
from linker.deps import Deps
from linker.entrypoints.messages import JSON, ProblemError, Reply, Request, not_found
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
    origin: str = "api"  # what a run that is asked for here has as its trigger


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


MAX_BODY_BYTES = 64 * 1024
MAX_WHY = 500  # characters of what is wrong with a request
FUNCTION_KEY = "code"  # query parameter of the Functions host
_NOT_NAMED = {"run": "run with this id", "table": "table of this name", "row": "row with this id"}


def parse_parameters(wanted: Operation, request: Request) -> dict[str, str]:
    """Return the parameters of the path. Raises ProblemError 404 when one of them can name nothing."""
    found = {}
    for name in wanted.parameters:
        try:
            found[name] = PARAMETERS[name].validate_python(request.path.get(name, ""))
        except ValidationError:
            raise not_found(_NOT_NAMED[name], "An id is a GUID." if name == "row" else "") from None
    return found


def parse_body[T: BaseModel](kind: type[T], body: bytes) -> T:
    """Return the typed body; none at all counts as {}. Raises ProblemError 400 or 413."""
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError(413, "Too large", f"A body has at most {MAX_BODY_BYTES:,} bytes. Nothing was started.")
    try:
        return kind.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        why = _why(error, "The request body", "a member", names_of(kind))
        raise ProblemError(400, "The request body isn't valid", f"{why} Nothing was started.") from None


def parse_query[T: BaseModel](kind: type[T], query: Mapping[str, str]) -> T:
    """Return the typed query. Raises ProblemError 400."""
    try:
        return kind.model_validate(dict(query))
    except ValidationError as error:
        why = _why(error, "The query", "a parameter", names_of(kind))
        raise ProblemError(400, "The query isn't valid", why) from None


def check_query_names(wanted: Operation, query: Mapping[str, str]) -> None:
    """Raise ProblemError 400 for a parameter that the operation doesn't have: a filter that does nothing misleads."""
    known = names_of(wanted.query) if wanted.query else ()
    if not set(query) <= {*known, FUNCTION_KEY}:
        raise ProblemError(400, "The query isn't valid", f"{_unknown('The query', 'a parameter', known)}.")


def names_of(kind: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a model's members, as a caller writes them."""
    return tuple(str(info.alias or name) for name, info in kind.model_fields.items())


def _why(error: ValidationError, whole: str, part: str, known: Iterable[str]) -> str:
    sentences: dict[str, None] = {}
    for fault in error.errors(include_input=False, include_url=False):
        if fault["type"] == "extra_forbidden":
            own = known if len(fault["loc"]) == 1 else ()
            sentences[_unknown(_place(fault["loc"][:-1]) or whole, part, own)] = None
        else:
            sentences[f"{_place(fault['loc']) or whole} {_fault(fault)}"] = None
    return f"{'. '.join(sentences)[:MAX_WHY]}."


def _unknown(whole: str, part: str, known: Iterable[str]) -> str:
    listed = ", ".join(known)
    return f"{whole} has {part} that isn't known" + (f". Known: {listed}" if listed else "")


def _place(loc: tuple[int | str, ...]) -> str:
    """Return where a fault is, as in 'allowUnlinking[0].mostRows'; pydantic's own words for types are left out."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}" if text else part
    return f"'{text}'" if text else ""


def _fault(fault: ErrorDetails) -> str:
    """Return what is wrong with a value, as the end of a sentence."""
    kind = fault["type"]
    if kind.startswith(("datetime", "timezone")):
        return "has to be a time with its offset, such as 2026-11-23T21:00:00Z"
    if kind in _FAULTS:
        facts: Mapping[str, Any] = fault.get("ctx", {})
        return _FAULTS[kind].format_map(facts)
    return f"isn't allowed: {fault['msg'].removeprefix('Value error, ')}"


# By the types of https://docs.pydantic.dev/latest/errors/validation_errors; another type keeps pydantic's own words.
_FAULTS = {
    "missing": "is required",
    "json_invalid": "isn't valid JSON",
    "model_type": "has to be a JSON object",
    "model_attributes_type": "has to be a JSON object",
    "list_type": "has to be a list",
    "int_parsing": "has to be a whole number",
    "int_type": "has to be a whole number",
    "int_from_float": "has to be a whole number",
    "string_type": "has to be text",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "greater_than_equal": "has to be at least {ge:,}",
    "less_than_equal": "has to be at most {le:,}",
    "too_long": "has to have at most {max_length:,} entries",
    "string_too_long": "has to have at most {max_length:,} characters",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has a form that isn't allowed",
    "literal_error": "has to be one of {expected}",
    "enum": "has to be one of {expected}",
}
