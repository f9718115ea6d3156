"""Figures in prose are those of the code."""

from pathlib import Path

import pytest

from linker.durable.writes import FAULT_WAITS_S
from linker.services.fact_gathering import SAMPLE
from linker.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
TOUCHED = Settings.model_fields["touch_max_profiles"].default


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("dev/at-least-once.md", f"sends the same values again for {sum(FAULT_WAITS_S):.0f} seconds"),
        ("requirements.md", f"up to {SAMPLE} sampled keys of each source"),
        ("profile-touch.md", f"`LINKER_TOUCH_MAX_PROFILES` ({TOUCHED:,})"),
    ],
)
def test_a_figure_in_prose_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in (DOCS / page).read_text(encoding="utf-8")
