import pytest

from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import InvalidConfigError


def test_a_change_keeps_every_other_switch() -> None:
    before = SandboxConfig(ms_per_row=2)
    after = changed(before, {"limit_requests": 8000, "string_order": "ordinal"})
    assert (after.ms_per_row, after.limit_requests, after.string_order) == (2, 8000, "ordinal")
    assert before.limit_requests == 6000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"ms_per_rwo": 1}, "ms_per_rwo", id="unknown switch"),
        pytest.param({"servers": 0}, "servers", id="no server at all"),
        pytest.param({"string_order": "random"}, "string_order", id="unknown order"),
        pytest.param({"ms_per_row": -1}, "ms_per_row", id="negative cost"),
    ],
)
def test_a_refused_change_names_the_switch(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidConfigError, match=named):
        changed(SandboxConfig(), changes)
