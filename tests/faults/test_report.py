"""docs/dev/reliability.md says what was tried, what held, what makes no sense and what was not run."""

from __future__ import annotations

from .report import PAGE, written
from .results import load


def test_the_page_is_the_one_that_the_results_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, load()) == page
