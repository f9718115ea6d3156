"""docs/operations.md says what each status, alert, row code and metric asks of somebody (demand D26)."""

import re
from pathlib import Path

from linker import telemetry
from linker.model import Status
from linker.reasons import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = (ROOT / "linker" / "telemetry.py").read_text(encoding="utf-8")
ALERTS = sorted(file.stem for file in (ROOT / "infra" / "monitoring" / "queries").glob("*.kql"))


def first_cells(heading: str) -> set[str]:
    """Return the first cell of each line of the tables below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_every_status_and_no_other_is_explained() -> None:
    assert first_cells("Statuses") == set(Status)


def test_every_alert_and_no_other_is_explained() -> None:
    assert first_cells("Alerts") == set(ALERTS)


def test_every_row_code_and_no_other_is_explained() -> None:
    assert first_cells("Row errors") == set(REASONS)


def test_every_metric_and_message_and_no_other_is_explained() -> None:
    metrics = set(re.findall(r'_METER\.create_\w+\(\s*"([^"]+)"', CODE))
    messages = {telemetry.BEGAN, telemetry.TABLE_ENDED, telemetry.RUN_ENDED, telemetry.HEARTBEAT}
    assert first_cells("What the app sends to Application Insights") == metrics | messages
