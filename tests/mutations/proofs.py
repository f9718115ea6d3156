"""docs/dev/proofs.md as values: which tests prove what."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dev" / "proofs.md"
_ROW = re.compile(r"^\| ([DG]\d+) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")

type Test = tuple[str, str]
"""File below tests/, and name."""


def read(page: str) -> dict[str, list[Test]]:
    """Return the tests of each demand (D1, D2 ...) and guarantee (G1, G2 ...) in the text of the page."""
    return {name: _TEST.findall(tests) for name, _, tests in _ROW.findall(page)}


def proofs() -> dict[str, list[Test]]:
    """Return what the page says."""
    return read(PAGE.read_text(encoding="utf-8"))


def exists(test: Test) -> bool:
    """Whether there is such a test."""
    return test[1] in _names(ROOT / "tests" / test[0])


@cache
def _names(path: Path) -> frozenset[str]:
    """Return the test functions of a file. Parsing is enough: importing every test module takes seconds."""
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
