"""JSON of every value that crosses a durable call, the state or the API: it comes back as it went, and stays small."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from enum import Enum
from types import ModuleType
from typing import Any

import pytest

from linker.adapters.storage import Scan, Stream
from linker.core import model
from linker.core.errors import StateError
from linker.core.linking import mapping_scan as core_scanning
from linker.core.linking import shards
from linker.core.model import Counts, Mode, RunRequest, Status, Ticket
from linker.core.runs import activity_values, lock_state
from linker.core.runs import generation_values as orchestration_values
from linker.core.serialization import MAX_BYTES, brief, dumps, from_json, loads, to_json
from linker.core.throttling import pace
from linker.durable.orchestrators import scanning as scanning_values

LONG_TEXT = {
    "detail": 1_000,
    "failed": 1_000,
    "trouble": 1_000,
    "held_back": 200,
    "later_reason": 300,
    "full_reason": 100,
}
BIG = 9_999_999_999


def classes_of(*modules: ModuleType) -> list[type]:
    found = [
        kind
        for module in modules
        for kind in vars(module).values()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    return [kind for kind in found if hasattr(kind, "__pydantic_config__")]


CLASSES = [
    *classes_of(model, activity_values, orchestration_values, lock_state, pace, core_scanning, shards, scanning_values),
    Scan,
    Stream,
]
TABLE = "contoso_quite_a_long_table_name"
RUN = "20261123T212534Z-0123abcd"


def large(kind: Any, name: str = "") -> Any:  # noqa: PLR0911 - a table of types
    """Return a value of a type with everything in it as large as it plausibly gets."""
    origin, arguments = getattr(kind, "__origin__", None), getattr(kind, "__args__", ())
    if hasattr(kind, "__value__"):
        return large(kind.__value__, name)
    if hasattr(kind, "__metadata__"):  # Annotated
        return large(origin, name)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: large(hints[field.name], field.name) for field in dataclasses.fields(kind)})
    if hasattr(kind, "_fields"):  # a NamedTuple
        return kind(*(large(of, field) for field, of in typing.get_type_hints(kind).items()))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return max(kind, key=lambda member: len(str(member.value)))
    if origin is tuple and arguments[-1] is ...:
        return tuple(large(arguments[0], name) for _ in range(3))
    if origin is tuple:
        return tuple(large(argument, name) for argument in arguments)
    if origin in (dict, Mapping):
        return {TABLE: large(arguments[1], name)}
    if origin is not None and type(None) not in arguments:  # Literal
        return arguments[0]
    if type(None) in arguments:
        return large(next(argument for argument in arguments if argument is not type(None)), name)
    scalars = {
        str: "x" * LONG_TEXT.get(name, 0) or (TABLE if name == "table" else RUN),
        int: BIG,
        float: 12345.678,
        bool: True,
    }
    return scalars[kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_value_comes_back_as_it_went(kind: type) -> None:
    value = large(kind)
    assert from_json(kind, to_json(value)) == value
    assert loads(kind, dumps(value)) == value
    assert loads(kind, brief(value)) == value
    assert json.loads(dumps(value)) == to_json(value)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_names_are_camel_case(kind: type) -> None:
    assert not [name for name in to_json(large(kind)) if "_" in name or name[0].isupper()]


@pytest.mark.parametrize("kind", classes_of(activity_values), ids=lambda kind: kind.__name__)
def test_what_an_activity_takes_or_returns_stays_below_4_kilobytes(kind: type) -> None:
    assert len(dumps(large(kind)).encode()) < MAX_BYTES


def test_the_streams_to_scan_stay_below_4_kilobytes_however_many_tables_there_are() -> None:
    shares = tuple(
        scanning_values.ScanShare(f"{TABLE}{number}", RUN, 0, 8) for number in range(scanning_values.TABLES_HELD)
    )
    failed = {share.table: "x" * scanning_values.MAX_REASON for share in shares}
    assert len(dumps(scanning_values.Scanning(RUN, shares, failed))) < MAX_BYTES


def test_a_table_of_classes_is_walked() -> None:
    assert {"Ticket", "Run", "ShardTask", "ShardOutcome", "Ended", "LockState", "Load", "TableState", "Scan"} <= {
        k.__name__ for k in CLASSES
    }


def test_enumerations_are_written_as_words() -> None:
    assert to_json(Ticket("r", RunRequest(mode=Mode.FULL)))["request"]["mode"] == "full"
    assert to_json(activity_values.Ended(Status.WARNINGS))["status"] == "Completed with warnings"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"run": 5}', id="another type"),
        pytest.param("{}", id="something missing"),
    ],
)
def test_damaged_text_is_reported_as_such(text: str) -> None:
    with pytest.raises(StateError, match="Ticket"):
        loads(Ticket, text)


def test_what_a_newer_version_added_is_ignored_and_what_an_older_one_lacked_is_the_default() -> None:
    assert from_json(Counts, {"rowsRead": 3, "linked": 2, "invented": 1}) == Counts(rows_read=3, linked=2)
