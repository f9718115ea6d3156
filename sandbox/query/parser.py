"""A recursive-descent parser for the part of OData's `$filter` and `$orderby` that Dataverse documents."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import orjson

from sandbox.query.syntax import (
    Compare,
    Condition,
    CrmFunction,
    Junction,
    Kind,
    Literal,
    Not,
    Order,
    Path,
    Quantified,
    QueryError,
    TextMatch,
    UnsupportedQueryError,
)
from sandbox.query.tokens import Token, tokens
from sandbox.query.vocabulary import ODATA_FUNCTIONS, ODATA_OPERATORS

_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_TEXT_FUNCTIONS: Final = frozenset({"contains", "startswith", "endswith"})
_MAX_LEVELS: Final = 100
"""How deep conditions may nest; neither Python's stack nor SQLite's parser takes any depth."""

_MAX_DIGITS: Final = 300  # longer numbers are beyond every column and beyond what Python reads as whole

_KEYWORDS: Final = {
    "null": Literal(None, Kind.NULL),
    "true": Literal(True, Kind.FLAG),
    "false": Literal(False, Kind.FLAG),
}
_NAMESPACE: Final = "Microsoft.Dynamics.CRM."


@lru_cache(maxsize=512)
def _parsed(text: str, aliases: tuple[tuple[str, str], ...]) -> Condition:
    if not text.strip():
        raise QueryError(f"Expression expected at position 0 in '{text}'.")
    parser = _Parser(text, dict(aliases))
    condition = parser.disjunction()
    parser.expect("end")
    return condition


def parse_filter(text: str, aliases: Mapping[str, str] | None = None) -> Condition:
    """Return the meaning of a `$filter`; `aliases` are the parameters such as `@p1` of the same query.

    Raises QueryError if it cannot be understood, UnsupportedQueryError for what OData knows and Dataverse may know.
    """
    return _parsed(text, tuple(sorted((aliases or {}).items())))


def parse_orderby(text: str, aliases: Mapping[str, str] | None = None) -> tuple[Order, ...]:
    """Return the terms of an `$orderby`. Raises QueryError if it cannot be understood."""
    return tuple(_order(term.strip(), aliases or {}) for term in text.split(","))


def _order(term: str, aliases: Mapping[str, str]) -> Order:
    name, direction = [*term.split(), "asc"][:2] if term else ("", "")
    if direction not in {"asc", "desc"} or len(term.split()) > 2:
        raise QueryError(f"Syntax error in $orderby at '{term}'.")
    return Order(Path(tuple(aliases.get(name, name).strip("'").split("/"))), direction == "desc")


class _Parser:
    """Holds the place in the tokens; one method per rule of the grammar, loosest binding first."""

    def __init__(self, text: str, aliases: Mapping[str, str]) -> None:
        self._text = text
        self._aliases = aliases
        self._tokens = list(tokens(text))
        self._next = 0
        self._levels = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._next]

    def take(self) -> Token:
        token = self.token
        self._next += 1
        return token

    def expect(self, kind: str, text: str | None = None) -> Token:
        if self.token.kind != kind or (text is not None and self.token.text != text):
            raise QueryError(f"Syntax error at position {self.token.position} in '{self._text}'.")
        return self.take()

    def accept(self, kind: str, text: str) -> bool:
        found = self.token.kind == kind and self.token.text == text
        self._next += found
        return found

    def disjunction(self) -> Condition:
        parts = [self.conjunction()]
        while self.accept("name", "or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Junction("or", tuple(parts))

    def conjunction(self) -> Condition:
        parts = [self.term()]
        while self.accept("name", "and"):
            parts.append(self.term())
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def term(self) -> Condition:
        if self.accept("name", "not"):
            return Not(self.nested(self.term))
        if self.accept("mark", "("):
            inner = self.nested(self.disjunction)
            self.expect("mark", ")")
            return inner
        if self.token.kind == "name" and self._tokens[self._next + 1].text == "(":
            return self.function()
        return self.comparison()

    def nested(self, rule: Callable[[], Condition]) -> Condition:
        self._levels += 1
        if self._levels > _MAX_LEVELS:
            raise QueryError("Recursion depth exceeded allowed limit.")
        inner = rule()
        self._levels -= 1
        return inner

    def function(self) -> Condition:
        name = self.take().text
        self.expect("mark", "(")
        if name in _TEXT_FUNCTIONS:
            return self.text_function(name)
        if name.startswith(_NAMESPACE):
            return self.crm_function(name.removeprefix(_NAMESPACE))
        if name in ODATA_FUNCTIONS:
            raise UnsupportedQueryError(f"the filter function '{name}'")
        raise QueryError(f"An unknown function with name '{name}' was found.")

    def text_function(self, name: str) -> Condition:
        path = self.path()
        self.expect("mark", ",")
        literal = self.literal()
        self.expect("mark", ")")
        if not isinstance(literal.value, str):
            raise QueryError(f"The second argument of '{name}' must be a string.")
        match = TextMatch(name, path, literal.value)
        if self.accept("name", "eq"):  # some clients write `contains(name,'x') eq true`
            return match if self.literal().value is True else Not(match)
        return match

    def crm_function(self, name: str) -> Condition:
        arguments: dict[str, str] = {}
        while not self.accept("mark", ")"):
            key = self.expect("name").text
            self.expect("mark", "=")
            arguments[key] = self.argument()
            self.accept("mark", ",")
        property_name = arguments.get("PropertyName", "").strip("'")
        if not property_name:
            raise QueryError(f"The function '{name}' needs a PropertyName.")
        return CrmFunction(name, Path(tuple(property_name.split("/"))), _values(arguments))

    def argument(self) -> str:
        token = self.take()
        return self._alias(token.text) if token.kind == "alias" else token.text

    def comparison(self) -> Condition:
        left = self.operand()
        if isinstance(left, Quantified):
            return left
        if self.token.text in ODATA_OPERATORS:
            raise UnsupportedQueryError(f"the filter operator '{self.token.text}'")
        if self.token.text not in _COMPARISONS:
            raise QueryError(f"Syntax error at position {self.token.position} in '{self._text}'.")
        operator = self.take().text
        right = self.operand()
        if isinstance(right, Quantified):
            raise QueryError("'any' and 'all' cannot be compared.")
        return Compare(operator, left, right)

    def operand(self) -> Path | Literal | Quantified:
        if self.token.kind == "alias":
            return self.aliased()
        if self.token.kind != "name" or self.token.text in _KEYWORDS:
            return self.literal()
        names = [self.take().text]
        while self.accept("mark", "/"):
            name = self.expect("name").text
            if name in {"any", "all"} and self.accept("mark", "("):
                return self.quantified(name, Path(tuple(names)))
            names.append(name)
        return Path(tuple(names))

    def path(self) -> Path:
        operand = self.operand()
        if not isinstance(operand, Path):
            raise QueryError(f"A property is expected before position {self.token.position} in '{self._text}'.")
        return operand

    def quantified(self, word: str, path: Path) -> Quantified:
        if self.accept("mark", ")"):
            return Quantified(word, path, "", None)
        variable = self.expect("name").text
        self.expect("mark", ":")
        condition = self.nested(self.disjunction)
        self.expect("mark", ")")
        return Quantified(word, path, variable, condition)

    def aliased(self) -> Path | Literal | Quantified:
        parser = _Parser(self._alias(self.take().text), {})
        operand = parser.operand()
        parser.expect("end")
        return operand

    def literal(self) -> Literal:
        if self.token.kind != "alias":
            return _literal(self.take(), self._text)
        operand = self.aliased()
        if not isinstance(operand, Literal):
            raise QueryError(f"A value is expected before position {self.token.position} in '{self._text}'.")
        return operand

    def _alias(self, name: str) -> str:
        """Return what a parameter stands for; one without a value stands for null."""
        return self._aliases.get(name, "null")


def _values(arguments: Mapping[str, str]) -> tuple[str, ...]:
    if "PropertyValue" in arguments:
        return (arguments["PropertyValue"].strip("'"),)
    array = arguments.get("PropertyValues", "[]")
    try:
        values = orjson.loads(array)
    except orjson.JSONDecodeError:
        values = _single_quoted(array)
    if not isinstance(values, list) or not all(isinstance(value, str | int | float) for value in values):
        raise QueryError(f"PropertyValues is not an array of values: {array}")
    return tuple(map(_text, values))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _single_quoted(array: str) -> object:
    try:
        return orjson.loads(array.replace("'", '"'))
    except orjson.JSONDecodeError:
        raise QueryError(
            "Invalid JSON. A comma character ',' was expected in scope 'Array'. Every two elements in an array and "
            "properties of an object must be separated by commas."
        ) from None


def _literal(token: Token, text: str) -> Literal:
    match token.kind:
        case "text":
            return Literal(token.text[1:-1].replace("''", "'"), Kind.TEXT)
        case "number":
            whole = token.text.lstrip("-").isdigit() and len(token.text) < _MAX_DIGITS
            return Literal(int(token.text) if whole else float(token.text), Kind.NUMBER)
        case "guid":
            return Literal(token.text, Kind.GUID)
        case "time":
            return Literal(token.text, Kind.TIME)
        case "enum":
            return Literal(token.text.split("'")[1], Kind.ENUM)
        case "name" if token.text in _KEYWORDS:
            return _KEYWORDS[token.text]
    raise QueryError(f"Syntax error at position {token.position} in '{text}'.")
