"""Reads OData URLs: segments with keys, and lists within parentheses."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from sandbox.webapi.protocol.errors import ApiError, segment_not_found

ROOT: Final = re.compile(r"^/?api/data/v\d+\.\d+/?", re.IGNORECASE)
_ARGUMENT: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)", re.DOTALL)
_SEGMENT: Final = re.compile(r"([^()]*)(?:\((.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a path between slashes: `contacts(1111...)` has the name `contacts` and the argument text."""

    name: str
    arguments: str | None = None

    @property
    def named_arguments(self) -> Mapping[str, str]:
        """The arguments `name=value` of a key or a function; values as written, with their quotes."""
        matches = (_ARGUMENT.fullmatch(part) for part in split_outside(self.arguments or "", ","))
        return {match[1]: match[2].strip() for match in matches if match}

    @property
    def single_key(self) -> str | None:
        """The key when it is written without a name."""
        if not self.arguments or _ARGUMENT.fullmatch(self.arguments):
            return None
        return self.arguments


def split_outside(text: str, separator: str) -> Iterator[str]:
    """Yield the parts of a text between separators outside parentheses, brackets and quotes."""
    depth, quote, start = 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character == "'" or (character == '"' and depth):  # arrays hold their texts in double quotes
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == separator and depth == 0:
            yield text[start:position]
            start = position + 1
    if text[start:]:
        yield text[start:]


def parse_path(path: str) -> list[Segment]:
    """Return the segments of a path below the service root. Raises the 404 answer for what is not a path."""
    segments = []
    for part in split_outside(unquote(path).strip("/"), "/"):
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise segment_not_found(part)
        segments.append(Segment(match[1], match[2]))
    return segments


def relative(url: str) -> tuple[str, str]:
    """Return path and query below the service root of an absolute, rooted or relative URL. Raises the 400 answer."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ApiError(400, "0x0", f"Invalid URI: {error}") from None
    return ROOT.sub("", parts.path).lstrip("/"), parts.query


def unquoted(value: str) -> str:
    """Return a string literal without its quotes; other literals unchanged."""
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    return value


def argument(segment: Segment, name: str, aliases: Mapping[str, str]) -> str:
    """Return a function's argument, by its alias if it is one. Raises the 400 answer if it is missing."""
    value = segment.named_arguments.get(name)
    value = aliases.get(value, value) if value else None
    if value is None:
        raise ApiError(400, "0x0", f"The parameter '{name}' of the function '{segment.name}' is missing.")
    return unquoted(value)
