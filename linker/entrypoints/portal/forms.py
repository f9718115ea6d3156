"""Forms that a browser posts, as typed values, and the operation of the API that each asks for.

Each carries the token that its page was given (session.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_origin
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError

from linker.entrypoints.http.messages import ProblemError
from linker.entrypoints.http.operations import MAX_BODY_BYTES, Call, Operation
from linker.entrypoints.http.serving import admit, serve_operation

TOKEN: Final = "token"  # noqa: S105 - the name of the field that holds it
MAX_FIELDS: Final = 1_000


def parse_form[T: BaseModel](kind: type[T], body: bytes) -> T:
    """Return the typed form; a field that the browser left out is absent. Raises ProblemError 400 or 413."""
    given = fields(body)
    known = {name: field.annotation for name, field in kind.model_fields.items() if name in given}
    chosen = {
        name: given[name] if get_origin(is_a) in (list, tuple) else given[name][-1] for name, is_a in known.items()
    }
    try:
        return kind.model_validate(chosen)
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors() if fault["loc"]))
        raise _misfit(f"Look at {wrong or 'what was chosen'}.") from None


def fields(body: bytes) -> dict[str, list[str]]:
    """Return the values of each field of a form. Raises ProblemError 400 or 413."""
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError(413, "Too large", f"A form has at most {MAX_BODY_BYTES:,} bytes. Nothing was done.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _misfit("The form does not belong to this page.") from None


def _misfit(what: str) -> ProblemError:
    return ProblemError(400, "This form does not fit", f"{what} Nothing was done.")


async def act(call: Call[Any, Any], wanted: Operation, body: BaseModel | None = None, **parameters: str) -> Any:
    """Do what an operation of the API does, audited as such, and return its answer as a JSON value.

    Raises ProblemError as the operation is refused.
    """
    admit(call.caller, wanted.role)
    reply = await serve_operation(wanted, replace(call, body=body, query=None, parameters=parameters, origin="portal"))
    if reply.status >= 400:
        raise ProblemError(reply.status, reply.body["title"], reply.body["detail"])
    return reply.body
