"""Just the $filter language that the linker speaks, evaluated over plain rows. Anything else is an error of the test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

type Row = Mapping[str, Any]
type Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<in>Microsoft\.Dynamics\.CRM\.In\(PropertyName='(?P<column>\w+)',PropertyValues=(?P<values>\[.*?\])\))"
    r"|(?P<text>'(?:[^']|'')*')|(?P<word>[\w/:.-]+)|(?P<paren>[()]))"
)


def matcher(expression: str) -> Test:
    """Return the test that a filter expression stands for; the empty one is always true."""
    tokens = _tokens(expression)
    if not tokens:
        return lambda row: True
    test = _any_of(tokens)
    if tokens:
        raise ValueError(f"This filter was not understood: {expression}")
    return test


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(expression.rstrip()):
        found = _TOKEN.match(expression, at)
        if found is None:
            raise ValueError(f"This filter was not understood at {at}: {expression}")
        kind = found.lastgroup if found["in"] is None else "in"
        tokens.append((str(kind), f"{found['column']} {found['values']}" if found["in"] else found[0].strip()))
        at = found.end()
    return tokens


def _any_of(tokens: list[tuple[str, str]]) -> Test:
    tests = [_all_of(tokens)]
    while tokens and tokens[0] == ("word", "or"):
        tokens.pop(0)
        tests.append(_all_of(tokens))
    return lambda row: any(test(row) for test in tests)


def _all_of(tokens: list[tuple[str, str]]) -> Test:
    tests = [_one(tokens)]
    while tokens and tokens[0] == ("word", "and"):
        tokens.pop(0)
        tests.append(_one(tokens))
    return lambda row: all(test(row) for test in tests)


def _one(tokens: list[tuple[str, str]]) -> Test:
    kind, text = tokens.pop(0)
    if (kind, text) == ("word", "not"):
        inner = _one(tokens)
        return lambda row: not inner(row)
    if text == "(":
        inner = _any_of(tokens)
        assert tokens.pop(0) == ("paren", ")")
        return inner
    if kind == "in":
        column, _, listed = text.partition(" ")
        values = {_folded(value) for value in json.loads(listed)}
        return lambda row: _folded(row.get(column)) in values
    return _comparison(text, tokens.pop(0)[1], tokens.pop(0)[1])


def _comparison(column: str, operator: str, literal: str) -> Test:
    text = literal[1:-1].replace("''", "'") if literal.startswith("'") else literal
    value = None if literal == "null" else _folded(text)
    if literal in ("true", "false"):
        return lambda row: row.get(column) is (literal == "true")
    match operator:
        case "eq":
            return lambda row: _folded(row.get(column)) == value
        case "ne":
            return lambda row: _folded(row.get(column)) != value
        case "ge":
            return lambda row: row.get(column) is not None and _folded(row[column]) >= (value or "")
        case "gt":
            return lambda row: row.get(column) is not None and _folded(row[column]) > (value or "")
        case "le":
            return lambda row: row.get(column) is not None and _folded(row[column]) <= (value or "")
        case "lt":
            return lambda row: row.get(column) is not None and _folded(row[column]) < (value or "")
    raise ValueError(f"The operator '{operator}' was not understood.")


def _folded(value: Any) -> Any:
    """Dataverse compares text regardless of case (dataverse.md 6.2)."""
    return value.casefold() if isinstance(value, str) else value
