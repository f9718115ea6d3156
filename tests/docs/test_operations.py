"""docs/operations.md says what to do about each status, alert, row code and metric (docs/dev/proofs.md D26)."""

import re
from pathlib import Path

from linker.adapters import telemetry
from linker.adapters.dataverse.http import BUSY_WAITS, TABLE_WAIT_S
from linker.adapters.write_limiter import SHORT_WAIT_S
from linker.core.model import Status
from linker.core.records import REASONS
from linker.durable.orchestrators import generation, scanning
from linker.durable.orchestrators.activity_calls import MAX_TRIES
from linker.durable.orchestrators.run import PREPARE_TRIES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = (ROOT / "linker" / "adapters" / "telemetry.py").read_text(encoding="utf-8")
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


def test_every_page_that_a_script_names_has_what_it_names() -> None:
    """A message that leads nowhere costs an administrator the most when something is broken."""
    named = [
        found
        for script in ("publish", "smoke.py")
        for text in [(ROOT / "scripts" / script).read_text(encoding="utf-8")]
        for found in re.findall(r"'([A-Z][^'\n]+)' in (docs/\w+\.md)|(docs/\w+\.md), '([A-Z][^'\n]+)'", text)
    ]
    assert named
    for before, first, second, after in named:
        assert (before or after) in (ROOT / (first or second)).read_text(encoding="utf-8")


def test_each_known_fault_of_the_platform_has_a_remedy() -> None:
    section = PAGE[PAGE.index("## When the platform is at fault") : PAGE.index("## Row errors")]
    rows = re.findall(r"^\| (.+) \| (.*) \| (.+) \|$", section, re.MULTILINE)[1:]
    threads = {thread for _, cell, _ in rows for thread in re.findall(r"#(\d+)", cell)}
    assert {"10169", "11828", "11787", "11796", "3230", "390", "2635", "11769"} <= threads
    assert [symptom for symptom, _, remedy in rows if len(remedy.split()) < 5] == []


def test_upgrade_rollback_and_uninstall_have_a_page_each() -> None:
    deploy = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for name in ("upgrade", "rollback", "uninstall"):
        assert (ROOT / "docs" / f"{name}.md").exists()
        assert f"({name}.md)" in deploy


def test_the_tries_that_the_page_of_triggers_names_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8")
    steps = "a read that a busy elastic table|a step of a run|making a table ready|a slice of the mapping|a shard"
    told = dict(re.findall(rf"^\| ({steps})\b[^|]*\| (.*) \|$", page, re.M))
    assert told["a read that a busy elastic table"].startswith(f"{BUSY_WAITS + 1},")
    assert (TABLE_WAIT_S, SHORT_WAIT_S) == (2.0, 5.0)
    assert told["a step of a run"].startswith(f"{MAX_TRIES},")
    assert told["making a table ready"] == f"{PREPARE_TRIES}"
    assert told["a slice of the mapping"].startswith(f"{scanning.PATIENCE};")
    assert re.findall(r"\d+", told["a shard"]) == [f"{generation.FAULT_PATIENCE}", f"{generation.PATIENCE}"]
