"""The documents say what the code has: a setting, route, status or package that is not described fails here."""

import json
import re
from pathlib import Path

import pytest

from linker import settings
from linker.core.model import Counts, Finding, Mode, Progress, Run, Status, TableRun, Verdict
from linker.core.serialization import to_json
from linker.entrypoints.api.lists import RunsQuery
from linker.entrypoints.operations import names_of
from tests.mutations.proofs import exists

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
    return [f"{method} /{route.lstrip('/')}" for route, method in found]


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
    table = re.findall(r"^\| ([A-Za-z0-9_., -]+) \|", text(ROOT / "docs" / "dev" / "dependencies.md"), re.MULTILINE)
    reasons = {name.strip() for cell in table for name in cell.split(",")}
    assert named <= reasons


ON_GITHUB = "../../actions/"  # pages of the repository on GitHub, from its first page


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them; repeated ones are numbered."""
    seen: dict[str, int] = {}
    found = set()
    for heading in re.findall(
        r"^#{1,6} (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    ):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = seen[name] = seen.get(name, -1) + 1
        found.add(f"{name}-{number}" if number else name)
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', page))


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_its_heading(doc: Path) -> None:
    links = re.findall(r"\]\(([^):\s]+)\)", text(doc)) + re.findall(r'(?:src|href)="([^":]+)"', text(doc))
    wrong = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = (doc.parent / name) if name else doc
        if link.startswith(ON_GITHUB):
            continue
        if not target.exists() or (anchor and anchor not in anchors(text(target))):
            wrong.append(link)
    assert wrong == []


def test_the_index_names_every_page_once() -> None:
    index = ROOT / "docs" / "README.md"
    named = re.findall(r"\]\(((?:dev/)?[a-z-]+\.md)\)", text(index))
    pages = [*index.parent.glob("*.md"), *index.parent.glob("dev/*.md")]
    assert sorted(named) == sorted(str(page.relative_to(index.parent)) for page in pages if page != index)


def test_the_index_sorts_pages_by_reader() -> None:
    """A page below `dev` is for developers, every other page for administrators or integration engineers."""
    *others, developers = text(ROOT / "docs" / "README.md").split("\n## For ")[1:]
    assert re.findall(r"\]\(dev/", "".join(others)) == []
    assert re.findall(r"\]\([a-z-]+\.md\)", developers) == []


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) < 150


def test_the_first_screen_of_the_readme_says_what_decides() -> None:
    first = "\n".join(text(ROOT / "README.md").splitlines()[:50])
    for needed in ("not yet run against a real tenant", "LICENSE", "check.yml", "Built-in linking", "make demo KEEP=1"):
        assert needed in first
    for system in ("Linux", "macOS", "Windows", "WSL", "dev container", "/api/portal"):
        assert system in first


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"((?:\w+/)+test_\w+\.py)::(test_\w+)", text(page))
    assert [one for one in named if not exists((one[0].removeprefix("tests/"), one[1]))] == []


def test_what_is_not_proved_yet_begins_with_elastic_tables() -> None:
    listed = text(ROOT / "README.md").split("\n## Not proved yet\n")[1]
    assert listed.startswith("- Elastic tables: ")
