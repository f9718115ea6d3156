"""A fault as it is scripted, and the requests that it is for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final, Literal

import orjson
from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from sandbox.customer_insights.unification.request import Share

Kind = Literal[
    "requests_limit",
    "execution_limit",
    "concurrency_limit",
    "customization_lock",
    "unavailable",
    "server_error",
    "unauthorized",
    "held",
    "late_commit",
    "reset_before_commit",
    "reset_after_commit",
    "dropped_write",
    "sql_timeout",
    "deadlock",
    "disk_full",
    "rows_deleted",
    "mapping_changed",
    "name_reserved",
    "name_not_unique",
    "navigation_name_taken",
    "table_throttled",
    "plugin_refusal",
]

_OPERATION_KINDS: Final = frozenset({"sql_timeout", "deadlock", "disk_full", "dropped_write", "plugin_refusal"})
_BULK_KINDS: Final = frozenset({"dropped_write", "rows_deleted"})


class InvalidFaultError(ValueError):
    """A fault does not fit; none was armed. The message names the field."""


def bulk_targets(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a bulk request, [] for another request."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    rows = document.get("Targets") if isinstance(document, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


@dataclass(frozen=True, slots=True)
class Target:
    """A request, or an operation within one, as matchers see it. `path` includes the query; `table` is logical."""

    method: str
    path: str
    table: str
    operation: str
    body: bytes = b""
    operation_rows: int | None = None
    overlapping: bool = False
    """Whether another request in flight writes one of its rows."""

    @property
    def rows(self) -> int:
        """How many rows a bulk request or operation holds."""
        return len(bulk_targets(self.body)) if self.operation_rows is None else self.operation_rows


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault. Matchers that are not given match everything; counts count matching requests."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: Kind
    method: str | None = None
    path: str | None = None
    """Regular expression, searched in the decoded path with its query."""
    body: str | None = None
    """Text that the body contains."""
    table: str | None = None
    operation: str | None = None
    """`UpdateMultiple`, `$batch`, `Read`, `Create`, `Update`, `Delete`, or the first segment (`WhoAmI`)."""
    rows_above: NonNegativeInt | None = None
    """Only bulk requests of more rows than this."""
    overlapping: bool = False
    """Only operations on a row that another request is writing: the cause of deadlocks (docs/reference/dataverse.md 2.6)."""
    skip: NonNegativeInt = 0
    every: PositiveInt = 1
    times: PositiveInt | None = 1
    """How often it fires at most; null: no end."""
    share: Share = 1.0
    """Seeded chance of each firing that `skip`, `every` and `times` allow."""
    seed: int = 1

    retry_after_s: NonNegativeInt | None = None
    """Retry-After in real seconds; null: 1 for the limits, none for the other kinds that can have one."""
    delay_s: NonNegativeFloat = 0.0
    """Of late_commit: how long it takes until the write commits."""
    row_share: Share = 1.0
    """Of dropped_write and rows_deleted: the share of an UpdateMultiple's rows."""
    status: PositiveInt | None = None
    """HTTP status instead of the usual one."""
    unification: Mapping[str, Any] = field(default_factory=dict)
    """Of mapping_changed: the unification that runs meanwhile, as POST /sandbox/unifications takes it."""

    @property
    def strikes_operations(self) -> bool:
        """Whether it strikes an operation after the Web API has checked it, in a `$batch` too.

        Losing some rows of a bulk request has to happen before that, and so has a refusal of a request for what is in its body.
        """
        loses_some = self.kind == "dropped_write" and self.row_share < 1
        reads_body = self.kind == "plugin_refusal" and self.body is not None
        return self.kind in _OPERATION_KINDS and not loses_some and not reads_body

    def matches(self, target: Target) -> bool:
        """Return whether this fault is for a request."""
        wanted = (
            (self.method, target.method),
            (self.table, target.table),
            (self.operation, target.operation),
        )
        return (
            all(expected is None or expected == actual for expected, actual in wanted)
            and (self.path is None or re.search(self.path, target.path) is not None)
            and (self.body is None or self.body.encode() in target.body)
            and (self.rows_above is None or target.rows > self.rows_above)
            and (target.overlapping or not self.overlapping)
            and (self.strikes_operations or self.kind not in _BULK_KINDS or target.rows > 0)
        )


@cache
def _checker() -> TypeAdapter[list[Fault]]:
    return TypeAdapter(list[Fault])


def read_faults(document: object) -> list[Fault]:
    """Return the faults of a JSON list, or of a single object. Raises InvalidFaultError if one does not fit."""
    listed = document if isinstance(document, list) else [document]
    try:
        faults = _checker().validate_python(listed)
    except ValidationError as error:
        first = error.errors()[0]
        number, *field_name = map(str, first["loc"])
        where = [f"fault {int(number) + 1} of {len(listed)}"] * (len(listed) > 1) + [".".join(field_name)]
        raise InvalidFaultError(": ".join([*filter(None, where), first["msg"]])) from error
    for fault in faults:
        _check(fault)
    return faults


def _check(fault: Fault) -> None:
    for name, matcher in (("body", fault.body), ("method", fault.method)):
        if fault.strikes_operations and matcher is not None:
            raise InvalidFaultError(
                f"{name}: a {fault.kind} strikes an operation and sees only its table, kind and path"
            )
    if fault.overlapping and not fault.strikes_operations:
        raise InvalidFaultError(f"overlapping: a {fault.kind} strikes a request before its rows are known")
    try:
        re.compile(fault.path or "")
    except re.error as error:
        raise InvalidFaultError(f"path: {error}") from error
