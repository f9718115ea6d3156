"""A proof as a table for the eye, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tests.live.check import Check, Finding, Verdict
from tests.live.proof import Report

_STYLES = {Verdict.SAME: "green", Verdict.DIFFERENT: "red", Verdict.UNANSWERED: "yellow"}


def summary(report: Report) -> str:
    """Return one line: how many checks came out how."""
    counts = Counter(map(_told, report.findings))
    return f"{len(report.findings)} checks: " + ", ".join(f"{count} {told}" for told, count in counts.items())


def table(report: Report) -> Group:
    """Return every check with what was observed, and below it what to do about the others than 'same'."""
    shown = Table(title=f"{report.place.name} ({report.place.url}), {report.place.version}", title_justify="left")
    for name in ("Check", "Fact", "Observed", "Verdict"):
        shown.add_column(name, overflow="fold")
    for finding in report.findings:
        verdict = Text(_told(finding), style=_STYLES[finding.verdict])
        shown.add_row(finding.check.name, finding.check.fact, Text(finding.observed), verdict)
    return Group(shown, *(Text(line) for line in _advice(report)), Text(summary(report)))


def document(report: Report) -> str:
    """Return the report as JSON."""
    place = report.place
    findings = [_document(finding) for finding in report.findings]
    head = {"environment": place.url, "name": place.name, "version": place.version, "type": place.kind}
    return json.dumps({**head, "good": report.is_good, "checks": findings}, indent=2, ensure_ascii=False) + "\n"


def _document(finding: Finding) -> dict[str, object]:
    check = finding.check
    return {
        "check": check.name,
        "fact": check.fact,
        "claim": check.claim,
        "sandbox": check.expected,
        "observed": finding.observed,
        "verdict": finding.verdict,
        "harmless": check.harmless,
        "advice": "" if finding.verdict is Verdict.SAME else check.advice,
    }


def markdown(report: Report) -> str:
    """Return the report as a page: differences from the sandbox first, then everything."""
    place = report.place
    return "\n".join(
        [
            f"# Live proof: {place.name}",
            f"{place.url}, version {place.version}, type {place.kind or 'not told'}. {summary(report)}.",
            "",
            "## Differences from the sandbox",
            *(_differences(report.of(Verdict.DIFFERENT)) or ["None."]),
            "",
            "## All checks",
            *_rows(
                ("Check", "Fact", "The linker relies on", "Sandbox", "Observed", "Verdict"), map(_row, report.findings)
            ),
            "",
        ]
    )


def listed(checks: Iterable[Check]) -> str:
    """Return what the checks ask as a table in Markdown."""
    rows = ((f"`{check.name}`", check.fact, check.claim, check.expected) for check in checks)
    return "\n".join(_rows(("Check", "Fact", "The linker relies on", "Sandbox"), rows))


def _row(finding: Finding) -> Sequence[str]:
    check = finding.check
    return check.name, check.fact, check.claim, check.expected, finding.observed, _told(finding)


def _differences(findings: Sequence[Finding]) -> list[str]:
    rows = [(f.check.name, f.check.expected, f.observed, f.check.advice) for f in findings]
    return _rows(("Check", "Sandbox", "Observed", "What to do"), rows) if rows else []


def _rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = (names, ["---"] * len(names), *rows)
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines]


def _told(finding: Finding) -> str:
    harmless = finding.verdict is Verdict.DIFFERENT and finding.check.harmless
    return f"{finding.verdict} (harmless)" if harmless else str(finding.verdict)


def _advice(report: Report) -> list[str]:
    others = [finding for finding in report.findings if finding.verdict is not Verdict.SAME]
    return [
        f"{finding.check.name}: the sandbox says '{finding.check.expected}'. {finding.check.advice}"
        if finding.verdict is Verdict.DIFFERENT
        else f"{finding.check.name}: {finding.observed}"
        for finding in others
    ]
