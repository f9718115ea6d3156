"""The registry of switches, read from the annotations of a configuration class: what each field means and accepts.

A field is `name: Annotated[type, Switch("what it does", values=(...))] = default`. It is the only list: command
line, documentation and tests read this one.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

_LISTED: Final = "`python -m sandbox switches` lists all of them."


class InvalidConfigError(ValueError):
    """A switch is unknown or its value does not fit. Nothing was changed; the message names the switch."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What a field says about itself.

    `values` are two or three significant values of a number or text, the default among them; those of a choice or a flag
    follow from the type. `proved` is False where no public source settles what a real environment does; the default
    is then the least favorable behavior that a source supports. `at_start` switches shape the stored tables, so that
    they cannot change while the sandbox runs.
    """

    meaning: str
    values: tuple[object, ...] = ()
    proved: bool = True
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One switch of the registry. `type` is the annotated type of its field."""

    name: str
    type: Any
    default: object
    switch: Switch

    @property
    def values(self) -> tuple[object, ...]:
        """The values worth trying: all of a choice or a flag, else those that the field names."""
        return self.switch.values or _choices(self.type)

    @property
    def document(self) -> dict[str, object]:
        """The JSON of the entry."""
        return {
            "name": self.name,
            "values": list(self.values),
            "default": self.default,
            "meaning": self.switch.meaning,
            "proved": self.switch.proved,
        }


@cache
def registry(config: type) -> Mapping[str, Entry]:
    """Return the switches of a configuration dataclass by name. Raises TypeError for a field without `Switch`."""
    hints = get_type_hints(config, include_extras=True)
    return {field.name: _entry(field.name, hints[field.name], field.default) for field in fields(config)}


def at_start(config: type) -> frozenset[str]:
    """Return the names of the switches that cannot change while the sandbox runs."""
    return frozenset(name for name, entry in registry(config).items() if entry.switch.at_start)


def _entry(name: str, hint: Any, default: object) -> Entry:
    given = get_args(hint) if get_origin(hint) is Annotated else ()
    switch = next((one for one in given if isinstance(one, Switch)), None)
    if switch is None:
        raise TypeError(f"{name} has no Switch in its annotation.")
    return Entry(name, hint, default, switch)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _choices(hint: Any) -> tuple[object, ...]:
    bare = _bare(hint)
    if bare is bool:
        return (True, False)
    return get_args(bare) if get_origin(bare) is Literal else ()


def read_assignments(config: type, texts: Iterable[str]) -> dict[str, object]:
    """Return the values of `NAME=VALUE` texts, each read by the type of its switch; the last of a name counts.

    Raises InvalidConfigError.
    """
    known = registry(config)
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidConfigError(f"'{text}' has no value. Write NAME=VALUE, such as ms_per_row=2.")
        if name not in known:
            raise unknown_switch(config, name)
        found[name] = _read(known[name], value)
    return found


def unknown_switch(config: type, name: str) -> InvalidConfigError:
    """Return the refusal of a name that is not in the registry, with the names that are like it."""
    similar = difflib.get_close_matches(name, registry(config), n=3)
    hint = f"Did you mean {' or '.join(similar)}? " if similar else ""
    return InvalidConfigError(f"Switch '{name}' does not exist. {hint}{_LISTED}")


_NULLS: Final = frozenset({"null", "None"})  # the second is how Python writes what it read from `switches --json`


def _read(entry: Entry, text: str) -> object:
    choices = get_args(_bare(entry.type))
    if text in _NULLS and NoneType in choices:
        return None
    if get_origin(_bare(entry.type)) is Literal:
        chosen = next((choice for choice in choices if str(choice) == text), text)
        if chosen not in choices:
            raise InvalidConfigError(f"{entry.name}: '{text}' is not one of {', '.join(map(str, choices))}.")
        return chosen
    try:
        return TypeAdapter(entry.type).validate_strings(text)
    except ValidationError as error:
        raise InvalidConfigError(f"{entry.name}: {error.errors()[0]['msg']}, not '{text}'.") from error


def value_text(value: object) -> str:
    """Return a value as it is written after `--switch NAME=`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


def markdown_table(config: type) -> str:
    """Return the registry as the table of docs/dev/sandbox-control.md."""
    lines = ["| Switch | Values | Default | Proved | Meaning |", "|---|---|---|---|---|"]
    for entry in registry(config).values():
        values = ", ".join(f"`{value_text(value)}`" for value in entry.values)
        proved = "yes" if entry.switch.proved else "no"
        meaning = f"{entry.switch.meaning}{' Only at the start.' if entry.switch.at_start else ''}"
        lines.append(f"| `{entry.name}` | {values} | `{value_text(entry.default)}` | {proved} | {meaning} |")
    return "\n".join(lines)
