"""docs/dev/live.md says what is asked."""

import re
from pathlib import Path

from tests.live.probes import facts
from tests.live.probes.asking import READING
from tests.live.proof import CHECKS, WRITING
from tests.live.report import listed, listed_probes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dev" / "live.md"


def test_the_page_lists_every_check_and_probe_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert listed(CHECKS) in text
    assert listed_probes((*READING, *WRITING)) in text


def test_every_point_names_a_section_of_the_reference() -> None:
    headings = re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", (ROOT / facts.PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    assert {point.fact for probes in (READING, WRITING) for probe in probes for point in probe.points} <= set(headings)
