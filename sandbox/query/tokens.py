"""Cuts a `$filter` into tokens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.query.syntax import QueryError

_GUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<guid>{_GUID})(?![\w-])
    | (?P<time>\d{{4}}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<enum>Microsoft\.Dynamics\.CRM\.\w+'\w*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<array>\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])
    | (?P<alias>@[A-Za-z_]\w*)
    | (?P<name>[A-Za-z_$][\w.]*)
    | (?P<mark>[(),:/=])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter. `kind` is one of the group names above, or `end`."""

    kind: str
    text: str
    position: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens and a last one of kind `end`. Raises QueryError where none fits."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            if text[position:].lstrip().startswith("'"):
                raise QueryError(f"There is an unterminated literal at position {end} in '{text}'.")
            raise QueryError(f"Syntax error at position {position} in '{text}'.")
        yield Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        position = match.end()
    yield Token("end", "", end)
