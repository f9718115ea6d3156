"""Takes members of one type out of a JSON body; whatever is of another type is a payload error, never a crash."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sandbox.webapi.protocol.errors import ApiError, payload_error

type Json = Mapping[str, Any]

_LARGEST: Final = 2**31 - 1


def object_in(document: Json, name: str) -> Json:
    """Return an object, an empty one if it is missing or null. Raises the 400 answer."""
    value = document.get(name)
    if value is not None and not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value or {}


def objects_in(document: Json, name: str) -> Sequence[Json]:
    """Return an array of objects, an empty one if it is missing or null. Raises the 400 answer."""
    return [one if isinstance(one, dict) else _refuse(name) for one in _array_in(document, name)]


def texts_in(document: Json, name: str) -> tuple[str, ...]:
    """Return an array of texts, an empty one if it is missing or null. Raises the 400 answer."""
    return tuple(one if isinstance(one, str) else _refuse(name) for one in _array_in(document, name))


def whole_in(document: Json, name: str, default: int | None = None) -> int:
    """Return a whole number of 32 bits, the default if it is missing or null. Raises the 400 answer."""
    value = document.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise _wrong(name, "a whole number")
    return value


def flag_in(document: Json, name: str, default: bool) -> bool:
    """Return a yes or no, the default if it is missing or null. Raises the 400 answer."""
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return default if value is None else value


def _array_in(document: Json, name: str) -> Sequence[Any]:
    value = document.get(name)
    if value is not None and not isinstance(value, list):
        raise _wrong(name, "an array")
    return value or []


def _refuse(name: str) -> Any:
    raise _wrong(name, "an array of values of one type")


def _wrong(name: str, wanted: str) -> ApiError:
    return payload_error(f"Microsoft.OData.ODataException: '{name}' must be {wanted}.")
