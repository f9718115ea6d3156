"""A recursive-descent parser for the part of OData's `$filter` and `$orderby` that Dataverse documents."""

from collections.abc import Mapping
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

_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_TEXT_FUNCTIONS: Final = frozenset({"contains", "startswith", "endswith"})
_KEYWORDS: Final = {
    "null": Literal(None, Kind.NULL),
    "true": Literal(True, Kind.FLAG),
    "false": Literal(False, Kind.FLAG),
}
_NAMESPACE: Final = "Microsoft.Dynamics.CRM."


@lru_cache(maxsize=512)
def _parsed(text: str, aliases: tuple[tuple[str, str], ...]) -> Condition:
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
    name, _, direction = term.partition(" ")
    direction = direction.strip() or "asc"
    if not name or direction not in {"asc", "desc"}:
        raise QueryError(f"Syntax error in $orderby at '{term}'.")
    return Order(Path(tuple(aliases.get(name, name).strip("'").split("/"))), direction == "desc")


class _Parser:
    """Holds the place in the tokens; one method per rule of the grammar, loosest binding first."""

    def __init__(self, text: str, aliases: Mapping[str, str]) -> None:
        self._text = text
        self._aliases = aliases
        self._tokens = list(tokens(text))
        self._next = 0

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
            return Not(self.term())
        if self.accept("mark", "("):
            inner = self.disjunction()
            self.expect("mark", ")")
            return inner
        if self.token.kind == "name" and self._tokens[self._next + 1].text == "(":
            return self.function()
        return self.comparison()

    def function(self) -> Condition:
        name = self.take().text
        self.expect("mark", "(")
        if name in _TEXT_FUNCTIONS:
            return self.text_function(name)
        if name.startswith(_NAMESPACE):
            return self.crm_function(name.removeprefix(_NAMESPACE))
        raise UnsupportedQueryError(f"the filter function '{name}'")

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
        operator = self.expect("name").text
        if operator not in _COMPARISONS:
            raise UnsupportedQueryError(f"the filter operator '{operator}'")
        right = self.operand()
        if isinstance(right, Quantified):
            raise QueryError("'any' and 'all' cannot be compared.")
        return Compare(operator, left, right)

    def operand(self) -> Path | Literal | Quantified:
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
        condition = self.disjunction()
        self.expect("mark", ")")
        return Quantified(word, path, variable, condition)

    def literal(self) -> Literal:
        token = self.take()
        if token.kind == "alias":
            return _Parser(self._alias(token.text), {}).literal()
        return _literal(token, self._text)

    def _alias(self, name: str) -> str:
        if name not in self._aliases:
            raise QueryError(f"The parameter alias '{name}' has no value.")
        return self._aliases[name]


def _values(arguments: Mapping[str, str]) -> tuple[str, ...]:
    if "PropertyValue" in arguments:
        return (arguments["PropertyValue"].strip("'"),)
    array = arguments.get("PropertyValues", "[]")
    try:
        values = orjson.loads(array)
    except orjson.JSONDecodeError:
        values = _single_quoted(array)
    return tuple(map(str, values))


def _single_quoted(array: str) -> list[object]:
    try:
        values: list[object] = orjson.loads(array.replace("'", '"'))
    except orjson.JSONDecodeError:
        raise QueryError(f"PropertyValues is no array: {array}") from None
    return values


def _literal(token: Token, text: str) -> Literal:
    match token.kind:
        case "text":
            return Literal(token.text[1:-1].replace("''", "'"), Kind.TEXT)
        case "number":
            return Literal(int(token.text) if token.text.lstrip("-").isdigit() else float(token.text), Kind.NUMBER)
        case "guid":
            return Literal(token.text, Kind.GUID)
        case "time":
            return Literal(token.text, Kind.TIME)
        case "enum":
            return Literal(token.text.split("'")[1], Kind.ENUM)
        case "name" if token.text in _KEYWORDS:
            return _KEYWORDS[token.text]
    raise QueryError(f"Syntax error at position {token.position} in '{text}'.")
