"""docs/errors.md has every row code with its advice (docs/dev/proofs.md D26)."""

from pathlib import Path

import pytest

from linker.core.records import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


@pytest.mark.parametrize("code", REASONS)
def test_every_row_code_has_its_line_with_outcome_and_advice(code: str) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{code}`"))
    reason = REASONS[code]
    assert line == f"| `{code}` | {reason.outcome} | {reason.text} | {reason.advice} |"
