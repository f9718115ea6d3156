"""The rules of tests/README.md that a program can check."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
SENDING = {"get", "post", "put", "patch", "delete", "request", "stream", "Client", "AsyncClient"}


def impatient(source: str) -> Iterator[int]:
    """Yield the lines that ask over a socket and take the five seconds of httpx for an answer."""
    for call in ast.walk(ast.parse(source)):
        match call:
            case ast.Call(ast.Attribute(ast.Name("httpx"), name)) if name in SENDING:
                if not {"timeout", "transport"} & {keyword.arg for keyword in call.keywords}:
                    yield call.lineno


def test_no_request_of_a_test_ends_because_a_machine_is_slow() -> None:
    found = {
        path.relative_to(TESTS).as_posix(): [*impatient(path.read_text(encoding="utf-8"))]
        for path in TESTS.rglob("*.py")
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_check_finds_them() -> None:
    assert [
        *impatient("httpx.get(url)\nhttpx.get(url, timeout=120)\nhttpx.AsyncClient(transport=fake)\nhttpx.Client()")
    ] == [1, 4]
