"""Turns a filter into a SQL condition over one table, joined to the parents that its paths reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.database import ddl
from sandbox.database.collation import SORT_KEYS, escaped, exact_text
from sandbox.database.dialect import Dialect, Place
from sandbox.database.joins import collection, join_works
from sandbox.database.literals import comparable, incompatible
from sandbox.database.patterns import like, values_like
from sandbox.database.values import ColumnValueError, Stored, lenient
from sandbox.query.syntax import (
    Compare,
    Condition,
    CrmFunction,
    Junction,
    Kind,
    Literal,
    Not,
    Path,
    Quantified,
    QueryError,
    SecuredColumnError,
    TextMatch,
    TooManyConditionsError,
    UnknownPropertyError,
    UnsupportedQueryError,
)
from sandbox.query.vocabulary import DATAVERSE_FUNCTIONS
from sandbox.schema.column_types import GUID_TYPES, TEXT_TYPES, Column, ColumnType
from sandbox.schema.model import Schema, Table

MAX_CONDITIONS: Final = 500
_SQL: Final = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_MIRRORED: Final = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


@dataclass(slots=True)
class Compiler:
    """Collects joins and parameters of one statement while conditions are turned into SQL.

    Raises QueryError for unknown properties, wrong types and more than 500 conditions.
    """

    schema: Schema
    root: Place
    dialect: Dialect
    parameters: list[Stored] = field(default_factory=list)
    conditions: int = 0
    _joins: dict[tuple[str, str], tuple[Place, str]] = field(default_factory=dict)
    _variables: dict[str, Place] = field(default_factory=dict)
    _aliases: int = 0

    @property
    def joins(self) -> str:
        """The LEFT JOINs that the conditions so far need; they come before WHERE and hold no parameters."""
        return "".join(join for _, join in self._joins.values())

    def condition(self, condition: Condition) -> str:
        """Return the SQL of a condition; its parameters are appended to `parameters` in order."""
        match condition:
            case Junction():
                return "(" + f" {condition.word.upper()} ".join(map(self.condition, condition.parts)) + ")"
            case Not():
                return f"(NOT {self.condition(condition.condition)})"
            case Quantified():
                return self._quantified(condition)
        self._count()
        match condition:
            case Compare():
                return self._compare(condition)
            case TextMatch():
                return self._text_match(condition)
            case CrmFunction():
                return self._crm_function(condition)

    def column(self, path: Path) -> tuple[Place, Column]:
        """Return where a path leads. Raises UnknownPropertyError."""
        place = self._variables.get(path.names[0], self.root)
        names = path.names[1:] if path.names[0] in self._variables else path.names
        if names[-1] == "Value" and len(names) > 1:
            names = names[:-1]  # a managed property is an object with a Value
        for navigation in names[:-1]:
            place = self._join(place, navigation)
        column = place.table.column_of(names[-1])
        if column is None:
            raise self._no_column(place.table.logical_name, names[-1])
        if not self.dialect.readable(place.table, column):
            raise SecuredColumnError(column.logical_name)
        if column.type is ColumnType.LOOKUP and place.table.virtual:
            raise QueryError(
                f"The lookup '{column.logical_name}' of a virtual table can be neither filtered nor sorted."
            )
        if not self.dialect.lookup_filters and self._leads_between_elastic_rows(place.table, column):
            raise QueryError(f"Filtering by the lookup column '{column.logical_name}' is not supported.")
        return place, column

    def _leads_between_elastic_rows(self, table: Table, column: Column) -> bool:
        return table.elastic and any(
            target in self.schema.tables and self.schema.tables[target].elastic for target in column.targets
        )

    def _no_column(self, table: str, name: str) -> QueryError:
        if any(relationship.lookup_navigation == name for relationship in self.schema.lookups(table)):
            return UnsupportedQueryError(f"a condition on the navigation property '{name}' itself; use its _..._value")
        return UnknownPropertyError(name, table)

    def _count(self) -> None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise TooManyConditionsError("Number of conditions in query exceeded maximum limit.")

    def _new_alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _join(self, place: Place, navigation: str) -> Place:
        known = self._joins.get((place.alias, navigation))
        if known:
            return known[0]
        for relationship in self.schema.lookups(place.table.logical_name):
            if relationship.lookup_navigation == navigation:
                parent = self.schema.tables[relationship.referenced_entity]
                target = Place(parent, self._new_alias())
                lookup = place.table.columns[relationship.referencing_attribute]
                same = f"{target.sql(parent.primary_key)} = {place.sql(lookup)}"
                test = same if join_works(self.dialect.joins, place.table, parent) else "0"
                join = f" LEFT JOIN {ddl.rows_from(parent)} AS {target.alias} ON {test}"
                self._joins[place.alias, navigation] = (target, join)
                return target
        raise UnknownPropertyError(navigation, place.table.logical_name)

    def _bind(self, value: Stored) -> str:
        self.parameters.append(value)
        return "?"

    # -- comparisons

    def _compare(self, compare: Compare) -> str:
        left, right, operator = compare.left, compare.right, compare.operator
        if isinstance(left, Literal):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        if isinstance(left, Literal):
            raise QueryError("A comparison needs a property on at least one side.")
        place, column = self.column(left)
        if isinstance(right, Path):
            return self._compare_columns(operator, place, column, right)
        if right.kind is Kind.NULL:
            return _null_test(operator, self.dialect.shown(place, column))
        self._check_range(operator, place, column)
        if column.type in TEXT_TYPES:
            return self._compare_text(operator, place, column, right)
        operator, value = comparable(operator, column, right)
        if column.type in GUID_TYPES and operator in _MIRRORED:
            key = self._bind(self.dialect.sort_key(place, column, value))
            return f"{self.dialect.sort_expression(place, column)} {_SQL[operator]} {key}"
        return f"{place.sql(column)} {_SQL[operator]} {self._bind(value)}"

    def _compare_columns(self, operator: str, place: Place, column: Column, right: Path) -> str:
        other_place, other = self.column(right)
        if other_place.alias != place.alias or other.type is not column.type:
            raise QueryError("Columns can only be compared within the same table and type.")
        if not place.table.standard:
            raise QueryError(f"Columns of '{place.table.logical_name}' cannot be compared with each other.")
        self._check_range(operator, place, column)
        mine, others = self.dialect.sort_expression(place, column), self.dialect.sort_expression(place, other)
        return f"{mine} {_SQL[operator]} {others}"

    def _check_range(self, operator: str, place: Place, column: Column) -> None:
        if (
            operator in _MIRRORED
            and column.type in TEXT_TYPES
            and not (place.table.standard or self.dialect.text_ranges)
        ):
            raise QueryError(f"The operator '{operator}' is not supported for '{column.logical_name}'.")
        if operator in _MIRRORED and column.type in GUID_TYPES and not self.dialect.guid_ranges:
            raise QueryError(
                f"The operator '{operator}' is not valid for the uniqueidentifier attribute "
                f"'{column.logical_name}'. Ranges of guids are not documented for Dataverse."
            )

    def _compare_text(self, operator: str, place: Place, column: Column, literal: Literal) -> str:
        if not isinstance(literal.value, str):
            raise incompatible(column, literal)
        exact = literal.value if column.collation else exact_text(literal.value)
        if operator in {"eq", "ne"} and exact is None:
            matched = self._pattern_test(place, column, literal.value)
            return matched if operator == "eq" else f"(NOT {matched})"
        text = literal.value if operator in _MIRRORED or exact is None else exact
        key = self._bind(self.dialect.sort_key(place, column, text))
        return f"{self.dialect.sort_expression(place, column)} {_SQL[operator]} {key}"

    def _pattern_test(self, place: Place, column: Column, pattern: str) -> str:
        expression, order = self.dialect.sort_expression(place, column), ddl.order_of(column, self.dialect.string_order)
        if not column.repeats:
            return like(expression, self.dialect.shown(place, column), pattern, order, self._bind)
        among = values_like(place.table, column, pattern, order, self._bind)
        return f"{expression} IN ({among})"

    def _compare_pattern(self, place: Place, column: Column, pattern: str) -> str:
        """Return a match against a pattern of FetchXML; one without wildcards is a comparison."""
        exact = exact_text(pattern)
        if exact is None:
            return self._pattern_test(place, column, pattern)
        return (
            f"{self.dialect.sort_expression(place, column)} = {self._bind(self.dialect.sort_key(place, column, exact))}"
        )

    def _text_match(self, match: TextMatch) -> str:
        place, column = self.column(match.path)
        if column.type not in TEXT_TYPES:
            raise QueryError(f"The function '{match.function}' needs a string, and '{match.path}' is not one.")
        if match.function == "like":
            return self._compare_pattern(place, column, match.text)
        before = "" if match.function == "startswith" else "%"
        after = "" if match.function == "endswith" else "%"
        text = escaped(match.text) if column.collation else match.text
        return self._pattern_test(place, column, f"{before}{text}{after}")

    # -- Dataverse query functions

    def _crm_function(self, function: CrmFunction) -> str:
        place, column = self._column_by_logical_name(function.path) or self.column(function.path)
        known: dict[str, Callable[[Place, Column, tuple[str, ...]], str]] = {
            "In": self._in,
            "NotIn": lambda *given: f"(NOT {self._in(*given)})",
            "Between": self._between,
            "NotBetween": lambda *given: f"(NOT {self._between(*given)})",
            "EqualUserId": lambda p, c, _: f"{p.sql(c)} = {self._bind(self.dialect.user)}",
            "NotEqualUserId": lambda p, c, _: f"{p.sql(c)} <> {self._bind(self.dialect.user)}",
        }
        if function.name not in known and function.name in DATAVERSE_FUNCTIONS:
            raise UnsupportedQueryError(f"the query function Microsoft.Dynamics.CRM.{function.name}")
        if function.name not in known:
            raise QueryError(f"An unknown function with name 'Microsoft.Dynamics.CRM.{function.name}' was found.")
        return known[function.name](place, column, function.values)

    def _column_by_logical_name(self, path: Path) -> tuple[Place, Column] | None:
        """Query functions name a lookup by its column (`ownerid`), comparisons by its property (`_ownerid_value`)."""
        column = self.root.table.columns.get(path.names[0])
        return (self.root, column) if column and len(path.names) == 1 else None

    def _in(self, place: Place, column: Column, values: tuple[str, ...]) -> str:
        if not values:
            raise QueryError("PropertyValues must hold at least one value.")
        text = column.type in TEXT_TYPES
        if text and not (place.table.standard or self.dialect.text_in):
            raise QueryError(f"The function 'In' is not supported for '{column.logical_name}'.")
        marks = ", ".join(self._bind(self._key_of(column, value)) for value in values)
        return f"{self.dialect.sort_expression(place, column) if text else place.sql(column)} IN ({marks})"

    def _between(self, place: Place, column: Column, values: tuple[str, ...]) -> str:
        if len(values) != 2 or column.type in GUID_TYPES | TEXT_TYPES:
            raise QueryError("Between needs two values and a number or time.")
        low, high = (self._bind(self._key_of(column, value)) for value in values)
        return f"{place.sql(column)} BETWEEN {low} AND {high}"

    def _key_of(self, column: Column, value: str) -> Stored:
        if column.type in TEXT_TYPES:
            return SORT_KEYS[ddl.order_of(column, self.dialect.string_order)](value)
        try:
            return lenient(column, value)
        except ColumnValueError as error:
            raise QueryError(str(error)) from None

    # -- any and all

    def _quantified(self, condition: Quantified) -> str:
        """Return EXISTS over the rows of a collection-valued navigation property."""
        *before, navigation = condition.path.names
        place = self.root
        if before and before[0] in self._variables:
            place = self._variables[before.pop(0)]
        for name in before:
            place = self._join(place, name)
        child, link = collection(self.schema, place.table, navigation)
        inner = Place(child, self._new_alias())
        joined = link.format(inner=inner.alias, outer=place.alias)
        return self._exists(condition, inner, joined if join_works(self.dialect.joins, place.table, child) else "0")

    def _exists(self, condition: Quantified, inner: Place, link: str) -> str:
        source = f"SELECT 1 FROM {ddl.rows_from(inner.table)} AS {inner.alias} WHERE {link}"  # noqa: S608
        if condition.condition is None:
            return f"EXISTS ({source})"
        joins_before = len(self._joins)
        self._variables[condition.variable] = inner
        test = self.condition(condition.condition)
        del self._variables[condition.variable]
        if len(self._joins) > joins_before:
            raise UnsupportedQueryError("navigation to a parent inside any or all")
        return f"EXISTS ({source} AND {test})" if condition.word == "any" else f"NOT EXISTS ({source} AND NOT {test})"


def _null_test(operator: str, name: str) -> str:
    if operator not in {"eq", "ne"}:
        raise QueryError(f"The operator '{operator}' cannot be used with null.")
    return f"{name} IS {'' if operator == 'eq' else 'NOT '}NULL"
