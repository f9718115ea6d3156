"""Evaluates the alert queries over rows in memory, and counts what their rules would mail.

It knows the few operators that the queries use, and refuses the rest. Microsoft's own parser checks the language
(test_queries.py); this shows what the queries say of a year of the app's messages.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

type Row = dict[str, Any]
type Operator = Callable[[list[Row], float], list[Row]]

HOUR, DAY = 3_600.0, 86_400.0
_UNITS = {"m": 60.0, "h": HOUR, "d": DAY}
_FUNCTIONS = {"tostring", "tolong", "abs", "strcat", "ago", "prev", "iff", "count", "countif", "minif", "maxif"}
_WORDS = {"and", "or", "not", "in", "True", "False", "None", *_FUNCTIONS}
_TOKEN = re.compile(r'"[^"]*"|Properties\.\w+|\d+[mhd]\b|\d+(?:\.\d+)?|\w+')


def durations(text: str) -> float:
    """Return the seconds of an ISO 8601 duration of an alert rule, such as PT30M or P2D."""
    (amount, unit), *rest = re.findall(r"(\d+)([MHD])", text)
    assert not rest
    return float(amount) * _UNITS[unit.lower()]


@dataclass(frozen=True, slots=True)
class Program:
    """A query as a table, leading filters that look at one row alone, and the rest."""

    table: str
    filters: tuple[Operator, ...]
    rest: tuple[Operator, ...]
    uses_clock: bool

    def run(self, rows: list[Row], now: float) -> list[Row]:
        """Return the result over rows that passed the filters."""
        for operator in self.rest:
            rows = operator(rows, now)
        return rows

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that the filters let through."""
        found = list(rows)
        for operator in self.filters:
            found = operator(found, 0.0)
        return found


def compile_query(text: str) -> Program:
    """Return a query as a program. Raises ValueError for an operator that is not known here."""
    table, *lines = [line for line in text.splitlines() if line and not line.startswith("//")]
    steps = [line.removeprefix("|").strip() for line in lines]
    leading = next((i for i, step in enumerate(steps) if not step.startswith("where ") or "ago(" in step), len(steps))
    compiled = [_operator(step) for step in steps]
    return Program(table, tuple(compiled[:leading]), tuple(compiled[leading:]), "ago(" in text)


def _operator(step: str) -> Operator:
    name, _, rest = step.partition(" ")
    if name == "where":
        test = _expression(rest)
        return lambda rows, now: [row for row in rows if test(row, None, now)]
    if name == "extend":
        columns = _columns(rest)
        return lambda rows, now: _extended(rows, columns, now)
    if name == "project":
        columns = _columns(rest)
        return lambda rows, now: [{key: one(row, None, now) for key, one in columns} for row in rows]
    if name == "sort":
        keys = [part.split()[0] for part in rest.removeprefix("by ").split(",")]
        assert "desc" not in rest
        return lambda rows, _: sorted(rows, key=lambda row: [row[key] for key in keys])
    if name == "summarize":
        return _summarize(rest)
    raise ValueError(f"operator '{name}' is not known here")


def _extended(rows: list[Row], columns: Sequence[tuple[str, Any]], now: float) -> list[Row]:
    done: list[Row] = []
    for index, row in enumerate(rows):
        made, before = dict(row), rows[index - 1] if index else None
        for key, one in columns:
            made[key] = one(made, before, now)
        done.append(made)
    return done


def _summarize(rest: str) -> Operator:
    aggregates, _, groups = rest.partition(" by ")
    by = _columns(groups) if groups else []
    parts = [_aggregate(part) for part in _split(aggregates)]

    def run(rows: list[Row], now: float) -> list[Row]:
        grouped: dict[tuple[Any, ...], list[Row]] = {} if by else {(): []}
        for row in rows:
            grouped.setdefault(tuple(one(row, None, now) for _, one in by), []).append(row)
        result = []
        for key, members in grouped.items():
            made = dict(zip((name for name, _ in by), key, strict=True))
            for part in parts:
                made |= part(members, now)
            result.append(made)
        return result

    return run


def _aggregate(part: str) -> Callable[[list[Row], float], Row]:
    if match := re.fullmatch(r"arg_max\((.+)\)", part):
        key, *columns = [one.strip() for one in match[1].split(",")]

        def newest(rows: list[Row], _: float) -> Row:
            chosen = max(rows, key=lambda row: row[key], default={})
            return {name: chosen.get(name) for name in (key, *columns)}

        return newest
    name, _, call = part.partition(" = ")
    (function, arguments) = re.fullmatch(r"(\w+)\((.*)\)", call).groups()  # type: ignore[union-attr]
    texts = _split(arguments)
    values = [_expression(text) for text in texts]
    if function == "count":
        return lambda rows, _: {name: len(rows)}
    if function == "countif":
        return lambda rows, now: {name: sum(bool(values[0](row, None, now)) for row in rows)}
    choose = {"minif": min, "maxif": max}[function]
    return lambda rows, now: {
        name: choose((values[0](row, None, now) for row in rows if values[1](row, None, now)), default=None)
    }


def _columns(text: str) -> list[tuple[str, Any]]:
    return [
        (name.strip(), _expression(value or name))
        for name, _, value in (part.partition(" = ") for part in _split(text))
    ]


def _split(text: str) -> list[str]:
    """Split at commas outside of parentheses and strings."""
    parts, depth, start, quoted = [], 0, 0, False
    for index, sign in enumerate(text):
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign == "(") - (sign == ")")
        if sign == "," and not depth and not quoted:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def _expression(text: str) -> Callable[[Row, Row | None, float], Any]:
    """Compile an expression; a comparison with null is false, as in Kusto."""
    code = compile(_TOKEN.sub(_python, re.sub(r" in \(([^()]*)\)", r" in (\1,)", text)), text, "eval")

    def value(row: Row, before: Row | None, now: float) -> Any:
        names = {
            "r": row, "tostring": lambda one: "" if one is None else str(one), "abs": abs,
            "tolong": lambda one: None if one is None else int(one),
            "strcat": lambda *all_: "".join(map(str, all_)), "iff": lambda test, yes, no: yes if test else no,
            "ago": lambda seconds: now - seconds, "prev": lambda name: before and before[name], "not": None,
        }  # fmt: skip
        try:
            return eval(code, {"__builtins__": {}}, names)  # noqa: S307 - our own queries
        except TypeError:
            return None

    return value


def _python(match: re.Match[str]) -> str:
    token = match[0]
    if token[0] == '"' or token in _WORDS or token.replace(".", "").isdigit():
        return token
    if duration := re.fullmatch(r"(\d+)([mhd])", token):
        return str(float(duration[1]) * _UNITS[duration[2]])
    if token.startswith("Properties."):
        return f"(r['Properties'] or {{}}).get('{token.partition('.')[2]}')"
    return f"'{token}'" if match.string[: match.start()].endswith("prev(") else f"r['{token}']"


# ---- rules ----


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule as it is deployed."""

    name: str
    query: str
    every_s: float
    range_s: float
    dimensions: tuple[str, ...]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> Rule:
        """Return the rule of a resource of a snapshot."""
        facts = resource["properties"]
        (criterion,) = facts["criteria"]["allOf"]
        window = facts.get("overrideQueryTimeRange") or facts["windowSize"]
        name = re.sub(r"^linker[a-z]*-", "", resource["name"])
        dimensions = tuple(one["name"] for one in criterion["dimensions"])
        return cls(name, criterion["query"], durations(facts["evaluationFrequency"]), durations(window), dimensions)


@dataclass(frozen=True, slots=True)
class Mail:
    """An alert that fired: when, and for which values of its dimensions."""

    at: float
    values: tuple[Any, ...]


def mails(rule: Rule, rows: Sequence[Row], start: float, end: float) -> list[Mail]:
    """Return each time that a stateful rule fires between two times.

    `rows` have TimeGenerated and `arrives`, both in seconds: what has not arrived yet is not seen.
    """
    program = compile_query(rule.query)
    seen = sorted(program.select(rows), key=lambda row: row["TimeGenerated"])
    times = [row["TimeGenerated"] for row in seen]
    firing: set[tuple[Any, ...]] = set()
    fired: list[Mail] = []
    kept: tuple[Any, set[tuple[Any, ...]]] = (None, set())
    now = start
    while now < end:
        low, high = bisect_right(times, now - rule.range_s), bisect_right(times, now)
        visible = [index for index in range(low, high) if seen[index]["arrives"] <= now]
        if program.uses_clock or kept[0] != (key := tuple(visible)):
            result = program.run([seen[index] for index in visible], now)
            kept = (
                None if program.uses_clock else key,
                {tuple(row[name] for name in rule.dimensions) for row in result},
            )
        fired += [Mail(now, values) for values in sorted(kept[1] - firing)]
        firing = kept[1]
        now += rule.every_s
    return fired
