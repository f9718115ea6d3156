"""docs/capabilities.md and docs/triggers.md say what the app shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from linker.adapters.dataverse.probing import MAX_REQUESTS
from linker.core.capabilities import COSTS, NAMES, Capability
from linker.core.runs.signals import SignalKind

DOCS = Path(__file__).parents[2] / "docs"
CAPABILITIES = (DOCS / "capabilities.md").read_text()
TRIGGERS = (DOCS / "triggers.md").read_text()


@pytest.mark.parametrize("capability", Capability)
def test_every_capability_has_its_line(capability: Capability) -> None:
    assert f"| `{capability}` | {NAMES[capability]} | {COSTS[capability]} |" in CAPABILITIES


@pytest.mark.parametrize("kind", SignalKind)
def test_every_signal_has_its_line(kind: SignalKind) -> None:
    assert f"| `{kind}` |" in TRIGGERS


def test_the_requests_of_a_probe_are_those_of_the_code() -> None:
    assert f"at most {MAX_REQUESTS} requests" in CAPABILITIES
