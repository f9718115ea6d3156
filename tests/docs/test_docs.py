"""The documents say what the code has: a setting, route, status or package that is not described fails here."""

import json
import re
from pathlib import Path

import pytest

from linker import settings
from linker.core.model import Counts, Finding, Mode, Progress, Run, Status, TableRun, Verdict
from linker.core.serialization import to_json
from linker.entrypoints.api.run_list import RunsQuery
from linker.entrypoints.http.validation import names_of

ROOT = Path(__file__).parents[2]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
API = text(ROOT / "docs" / "api.md")
SETTINGS = text(ROOT / "docs" / "settings.md")
SAMPLE = json.loads(text(ROOT / "local.settings.sample.json"))["Values"]


@pytest.mark.parametrize("name", settings.names())
def test_every_setting_is_described_with_its_default(name: str) -> None:
    (shown,) = re.findall(rf"^\| `{name}` \|(.*?)\|", SETTINGS, re.MULTILINE)
    needed = "needed" if name == "LINKER_DATAVERSE_URL" else ""
    assert shown.strip().strip("`") == (spelled(settings.default_of(name)) or needed)


def test_no_setting_is_described_that_does_not_exist() -> None:
    known = {*settings.names(), *settings.access_names()}
    assert set(re.findall(r"\bLINKER_[A-Za-z_]+", "".join(text(doc) for doc in DOCS))) <= known


@pytest.mark.parametrize("name", settings.access_names())
def test_every_setting_of_the_command_line_is_described(name: str) -> None:
    assert f"| `{name}` |" in SETTINGS


def test_the_sample_lists_every_setting_and_none_else() -> None:
    assert {name for name in SAMPLE if name.startswith(settings.PREFIX)} == set(settings.names())


def test_the_sample_is_accepted_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SAMPLE.items():
        monkeypatch.setenv(name, value)
    settings.check()


def test_every_schedule_stands_in_the_sample() -> None:
    """The host reads it from there; it starts no timer without, although the linker knows the default."""
    assert [name for name in settings.names() if name.endswith("_SCHEDULE") and not SAMPLE[name]] == []


def test_the_sample_shows_the_defaults() -> None:
    shown = {name: value for name, value in SAMPLE.items() if name in settings.names() and value}
    del shown["LINKER_DATAVERSE_URL"]
    assert shown == {name: spelled(settings.default_of(name)) for name in shown}


def spelled(default: str | None) -> str:
    """Return a default as people write it."""
    return (default or "").lower() if default in ("True", "False") else (default or "").replace("()", "")


def routes() -> list[str]:
    """Read what is decorated: indexing the app works once in a process."""
    found = re.findall(r'route="([^"]+)", methods=\["([A-Z]+)"(?:, "HEAD")?\]', text(ROOT / "function_app.py"))
    return [f"{method} /api/{route}" for route, method in found]


def test_every_route_is_found() -> None:
    assert len(routes()) == text(ROOT / "function_app.py").count("@app.route(")


@pytest.mark.parametrize("route", routes())
def test_every_route_is_described(route: str) -> None:
    assert f"`{route}`" in API


def test_no_route_is_described_that_does_not_exist() -> None:
    described = set(re.findall(r"`((?:GET|POST) /api/[^`]*)`", "".join(text(doc) for doc in DOCS)))
    assert described <= set(routes())


@pytest.mark.parametrize("status", Status)
def test_every_status_is_described(status: Status) -> None:
    assert re.search(rf"^\| `{re.escape(status)}` \|", API, re.MULTILINE)


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_described(mode: Mode) -> None:
    assert f"`{mode}`" in API


@pytest.mark.parametrize(
    "member",
    sorted(
        {
            name
            for value in (
                Run("1", Mode.FULL, Status.QUEUED),
                TableRun("t", "d", Status.QUEUED),
                Counts(),
                Progress(),
                Finding("R1", Verdict.MET, ""),
            )
            for name in to_json(value)
        }
    ),
)
def test_every_member_of_a_run_is_shown(member: str) -> None:
    assert f'"{member}"' in API or f"`{member}`" in API


@pytest.mark.parametrize("name", names_of(RunsQuery))
def test_every_filter_of_runs_is_described(name: str) -> None:
    section = API[API.index("## The last runs") : API.index("## Row errors")]
    assert f"`{name}`" in section


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_has_a_reason(file: str) -> None:
    named = set(re.findall(r"^([A-Za-z0-9_.-]+?)[<>=~]", text(ROOT / file), re.MULTILINE))
    table = re.findall(r"^\| ([A-Za-z0-9_., -]+) \|", text(ROOT / "docs" / "dependencies.md"), re.MULTILINE)
    reasons = {name.strip() for cell in table for name in cell.split(",")}
    assert named <= reasons


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_every_link_leads_to_a_file(doc: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text(doc)) + re.findall(r'(?:src|href)="([^":]+)"', text(doc))
    assert [link for link in links if not (doc.parent / link).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) < 150
