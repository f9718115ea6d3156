"""What `$filter`, `$orderby`, `$select` and `$expand` mean, as immutable values."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_LINKS: Final = 15
"""Tables that a query may join: `$expand` options, link-entity elements."""


class QueryError(ValueError):
    """The query cannot be understood or names something unknown. The message is the one the server answers."""


class UnknownPropertyError(QueryError):
    """A query names a property that the table does not have (docs/reference/dataverse.md 5.4)."""

    def __init__(self, name: str, table: str) -> None:
        super().__init__(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'.")


class SecuredColumnError(QueryError):
    """A query compares or sorts by a secured column that the caller may not read."""

    def __init__(self, column: str) -> None:
        super().__init__(
            f"The user does not have read permissions to the secured field '{column}'. The requested operation could not be "
            "completed."
        )


class TooManyConditionsError(QueryError):
    """More than 500 conditions (docs/reference/dataverse.md 6.4)."""


class TooManyLinksError(QueryError):
    """More than 15 joined tables."""

    def __init__(self) -> None:
        super().__init__("Number of link entities in query exceeded maximum limit.")


class RefusedJoinError(QueryError):
    """A query joins a table that is elastic or virtual."""

    def __init__(self) -> None:
        super().__init__("Link entities are not supported")


class UnsupportedQueryError(QueryError):
    """Dataverse knows this, the sandbox does not: the answer is 501. The message names the feature."""


class Kind(Enum):
    """How a literal was written; a guid may also come as a quoted text."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    GUID = auto()
    TIME = auto()
    ENUM = auto()
    NULL = auto()


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. Texts, guids, times and enum members are str."""

    value: str | int | float | bool | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Path:
    """A property, reached over single-valued navigation properties: `primarycontactid/lastname`."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.names)


@dataclass(frozen=True, slots=True)
class Compare:
    """`left eq right`; operators are eq ne gt ge lt le."""

    operator: str
    left: Path | Literal
    right: Path | Literal


@dataclass(frozen=True, slots=True)
class TextMatch:
    """`contains|startswith|endswith(path, 'text')`; `like` of FetchXML, whose text is a pattern."""

    function: str
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class CrmFunction:
    """A Dataverse query function such as `Microsoft.Dynamics.CRM.In`; `name` is without the namespace."""

    name: str
    path: Path
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Junction:
    """All (`and`) or at least one (`or`) of the parts."""

    word: str
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Quantified:
    """`path/any(v:condition)` or `path/all(v:condition)`; the condition's paths begin with the variable."""

    word: str
    path: Path
    variable: str
    condition: "Condition | None"


type Condition = Compare | TextMatch | CrmFunction | Not | Junction | Quantified


@dataclass(frozen=True, slots=True)
class Order:
    """One term of `$orderby`."""

    path: Path
    descending: bool = False
