"""Every query of the workbook and of the alert rules, and the names of the app's own that it relies on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.infra.templates import INFRA

MONITORING = INFRA / "monitoring"
_PROPERTY = re.compile(r'Properties(?:\.(\w+)|\["([\w.]+)"\])|Properties has "([\w.]+)"')
_VALUES = re.compile(r"\b(Message|Name) (?:==|in) (\([^)]*\)|\"[^\"]*\")")


@dataclass(frozen=True, slots=True)
class Query:
    """A query by its name; thresholds of alert rules are filled in."""

    name: str
    text: str

    @property
    def table(self) -> str:
        """The table that it reads."""
        return next(line for line in self.text.splitlines() if not line.startswith("//"))

    @property
    def properties(self) -> set[str]:
        """The members of Properties that it reads."""
        return {"".join(groups) for groups in _PROPERTY.findall(self.text)}

    @property
    def names(self) -> set[str]:
        """The messages or metrics that it reads."""
        return {name for _, values in _VALUES.findall(self.text) for name in re.findall(r'"([^"]+)"', values)}


def queries() -> list[Query]:
    """Return every query there is."""
    return [*_rules(), *_workbook()]


def _rules() -> list[Query]:
    return [Query(file.stem, _filled(file)) for file in sorted((MONITORING / "queries").glob("*.kql"))]


def _filled(file: Path) -> str:
    text = file.read_text(encoding="utf-8").replace("RUN_HOURS", "6h").replace("STATUS_PAGE", "https://example.com")
    return re.sub(r"\b(REJECTED_ROWS|ROWS_PERCENT)\b", "6", text)


def _workbook() -> list[Query]:
    items = json.loads((MONITORING / "workbook.json").read_text(encoding="utf-8"))["items"]
    return [Query(item["name"], item["content"]["query"]) for item in items if item["type"] == 3]
