"""The Makefile: a target that is not a file is run whenever it is asked for, although a folder may have its name."""

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_target_of_the_help_is_run_whenever_it_is_asked_for() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    shown = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
    assert "infra" in shown
    assert set(phony.split()) == set(shown)
