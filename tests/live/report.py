"""A proof as a table on the screen, as JSON, and as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tests.live.check import Check, Finding, Verdict
from tests.live.probes import facts
from tests.live.probes.binding import WritingProbe
from tests.live.probes.facts import describe_setting, settled_and_open
from tests.live.probes.points import Probe
from tests.live.proof import WRITING, Place, Report
from tests.live.tables import as_table

_STYLES = {Verdict.SAME: "green", Verdict.DIFFERENT: "red", Verdict.UNANSWERED: "yellow"}


def summary(report: Report) -> str:
    """Return one line: how many points are settled, and how many checks came out how."""
    settled, still_open = settled_and_open(report.asked)
    counts = Counter(map(_verdict, report.findings))
    checks = [f"{len(report.findings)} checks: " + ", ".join(f"{count} {said}" for said, count in counts.items())]
    points = [f"{len(settled)} points settled, {len(still_open)} open"]
    return ". ".join([*(points if report.asked else []), *(checks if report.findings else [])])


def table(report: Report) -> Group:
    """Return every point and check with what was observed, and what to do about checks that differ."""
    title = f"{report.place.name} ({report.place.url}), {report.place.version}"
    parts = [_points(report, title)] if report.asked else []
    parts += [_checks(report, title)] if report.findings else []
    return Group(*parts, *(Text(line) for line in _advice(report)), Text(summary(report)))


def _points(report: Report, title: str) -> Table:
    shown = _columns(title, "Probe", "Question", "Answer", "Evidence", "Sandbox")
    settled, still_open = settled_and_open(report.asked)
    for one, result in (*settled, *still_open):
        answer = Text(result.answer if result.settled else "open", style="green" if result.settled else "yellow")
        where = Text(describe_setting(result).strip("`"))
        shown.add_row(one.probe.name, result.point.question, answer, Text(result.evidence), where)
    return shown


def _checks(report: Report, title: str) -> Table:
    shown = _columns(title, "Check", "Fact", "Observed", "Verdict")
    for finding in report.findings:
        verdict = Text(_verdict(finding), style=_STYLES[finding.verdict])
        shown.add_row(finding.check.name, finding.check.fact, Text(finding.observed), verdict)
    return shown


def _columns(title: str, *names: str) -> Table:
    shown = Table(title=title, title_justify="left")
    for name in names:
        shown.add_column(name, overflow="fold")
    return shown


def document(report: Report) -> str:
    """Return the report as JSON."""
    place = report.place
    head: dict[str, object] = {
        "environment": place.url,
        "name": place.name,
        "version": place.version,
        "type": place.kind,
    }
    head |= {"date": report.day, "good": report.is_good, "wrote": report.wrote}
    parts = {"probes": facts.documents(report.asked), "checks": [_document(finding) for finding in report.findings]}
    return json.dumps({**head, **parts}, indent=2, ensure_ascii=False) + "\n"


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
    """Return the section to paste below the facts, and the checks. It holds no address and no value of any row."""
    parts = [facts.facts(report.asked, _describe(report.place), report.day, () if report.wrote else WRITING)]
    if report.findings:
        parts += ["", "## Checks of standard tables", "", "### Differences from the sandbox"]
        parts += [*_differences(report.of(Verdict.DIFFERENT)), "", "### All checks", *_all(report.findings)]
    return "\n".join([*parts, ""])


def _describe(place: Place) -> str:
    return f"An environment of type {place.kind or 'unknown'}, version {place.version}."


def _all(findings: Iterable[Finding]) -> list[str]:
    names = ("Check", "Fact", "The linker relies on", "Sandbox", "Observed", "Verdict")
    return as_table(names, map(_row, findings))


def listed(checks: Iterable[Check]) -> str:
    """Return what the checks ask as a table in Markdown."""
    rows = ((f"`{check.name}`", check.fact, check.claim, check.expected) for check in checks)
    return "\n".join(as_table(("Check", "Fact", "The linker relies on", "Sandbox"), rows))


def listed_probes(probes: Iterable[Probe | WritingProbe]) -> str:
    """Return what the probes settle as a table in Markdown."""
    rows = (
        (probe.name, f"`{point.name}`", point.fact, point.question, f"`{point.switch}`" if point.switch else "")
        for probe in probes
        for point in probe.points
    )
    return "\n".join(as_table(("Probe", "Point", "Fact", "Question", "Switch of the sandbox"), rows))


def _row(finding: Finding) -> Sequence[str]:
    check = finding.check
    return check.name, check.fact, check.claim, check.expected, finding.observed, _verdict(finding)


def _differences(findings: Iterable[Finding]) -> list[str]:
    rows = ((f.check.name, f.check.expected, f.observed, f.check.advice) for f in findings)
    return as_table(("Check", "Sandbox", "Observed", "What to do"), rows)


def _verdict(finding: Finding) -> str:
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
