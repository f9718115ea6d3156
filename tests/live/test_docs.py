"""docs/live.md says what is asked."""

from pathlib import Path

from tests.live.proof import CHECKS
from tests.live.report import listed

PAGE = Path(__file__).parents[2] / "docs" / "live.md"


def test_the_page_lists_every_check_as_it_is() -> None:
    assert listed(CHECKS) in PAGE.read_text(encoding="utf-8")
