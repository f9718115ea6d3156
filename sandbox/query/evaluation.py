"""Evaluates a `$filter` over rows in memory: definitions of metadata, and the scripted rows of tests."""

import operator
from collections.abc import Callable
from typing import Any, Final

from sandbox.query.syntax import (
    Compare,
    Condition,
    CrmFunction,
    Junction,
    Literal,
    Not,
    Path,
    TextMatch,
    UnsupportedQueryError,
)

type Test[Row] = Callable[[Row], bool]
type Value[Row] = Callable[[Row], Any]
type ValueOf[Row] = Callable[[Row, Path], Any]
"""Returns the value of a property; values that it returns and those of literals are compared as they are."""

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def compile_test[Row](
    condition: Condition, value_of: ValueOf[Row], *, fold_case: bool = False, has_in: bool = True
) -> Test[Row]:
    """Return the test of a condition. With `fold_case` texts compare regardless of case, as those of standard tables do.

    Raises UnsupportedQueryError for `any`, `all`, and query functions; `In` is one that some know and others don't.
    """

    def value(operand: Path | Literal) -> Value[Row]:
        if isinstance(operand, Path):
            return (lambda row: _folded(value_of(row, operand))) if fold_case else (lambda row: value_of(row, operand))
        constant = _folded(operand.value) if fold_case else operand.value
        return lambda _: constant

    def test(inner: Condition) -> Test[Row]:
        match inner:
            case Junction(word, parts):
                return _joined(word, [test(part) for part in parts])
            case Not(negated):
                holds = test(negated)
                return lambda row: not holds(row)
            case Compare(word, left, right):
                return _compared(word, value(left), value(right))
            case TextMatch(function, path, part):
                matches, text = _TEXT_TESTS[function], value(path)
                wanted = part.casefold() if fold_case else part
                return lambda row: matches(str(text(row) or ""), wanted)
            case CrmFunction("In", path, values) if has_in:
                listed, found = {_folded(one) if fold_case else one for one in values}, value(path)
                return lambda row: found(row) in listed
        raise UnsupportedQueryError("query functions in metadata queries")

    return test(condition)


def _joined[Row](word: str, tests: list[Test[Row]]) -> Test[Row]:
    if word == "and":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _compared[Row](word: str, left: Value[Row], right: Value[Row]) -> Test[Row]:
    """Return a comparison; values of different types and null have no order."""
    compare = _COMPARISONS[word]
    if word in {"eq", "ne"}:
        return lambda row: compare(left(row), right(row))

    def ordered(row: Row) -> bool:
        mine, other = left(row), right(row)
        return mine is not None and type(mine) is type(other) and compare(mine, other)

    return ordered


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
