"""The reference: each section names its source, its date, and how certain it is; each citation leads to a heading."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.mutations.proofs import proofs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
PAGES = ("dataverse.md", "elastic-tables.md", "customer-insights.md", "azure.md")
CERTAINTIES = ("documented", "seen", "relied on", "measured", "inferred", "unproved")
HEADING = re.compile(r"^(#{2,3}) ((\d+(?:\.\d+)?)\.? .+)$", re.MULTILINE)
CITATION = re.compile(
    r"(?<![\w/-])(?:docs/reference/)?(dataverse|elastic-tables|customer-insights|azure)\.md\s+(?:sections? )?(\d[\d., and to]*)"
)
WITHOUT_PATH = re.compile(r"(?<![\w/-])(?:dataverse|elastic-tables|customer-insights|azure)\.md\b")
# The text of a link may be short, because the link itself has the path.
LINK = re.compile(r"\[[^\]]+\]\([^)]+\)")
CITING = {"linker", "function_app.py", "infra", "sandbox", "tests", "bench", "scripts", "docs"}
WIDTH = 120


def read(page: str) -> str:
    return (FOLDER / page).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Return the text below each numbered heading, by number; a section ends at the next heading of any level."""
    found = [*HEADING.finditer(read(page))]
    ends = [*(later.start() for _, later in pairwise(found)), len(read(page))]
    return {one[3]: read(page)[one.end() : end] for one, end in zip(found, ends, strict=True)}


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(map(anchor, re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)))


def leaves() -> Iterator[tuple[str, str, str]]:
    """Yield page, number, and text of each section that holds facts."""
    for page in PAGES:
        for number, text in sections(page).items():
            if text.strip():
                yield page, number, text


@pytest.mark.parametrize(("page", "number", "text"), [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in leaves()])
def test_a_section_names_source_date_and_certainty(page: str, number: str, text: str) -> None:
    head = re.match(r"\s*Source: (.+?)\.\s+Certainty:\s+(.+?)\.\n", text, re.DOTALL)
    assert head, "the section begins with 'Source: ... Certainty: ...'"
    source, certainty = head[1], head[2]
    assert re.search(r"\b20[12]\d\b", source), "the source has a date"
    assert certainty.startswith("as ") or any(certainty.startswith(word) for word in CERTAINTIES)


@pytest.mark.parametrize("page", PAGES)
def test_a_number_has_one_heading_and_numbers_rise(page: str) -> None:
    numbers = [tuple(map(int, found[3].split("."))) for found in HEADING.finditer(read(page))]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("page", PAGES)
def test_every_named_link_is_defined_and_used(page: str) -> None:
    text = read(page)
    assert set(re.findall(r"\]\[([\w-]+)\]", text)) == set(re.findall(r"^\[([\w-]+)\]: https://", text, re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_lines_are_short(page: str) -> None:
    lines = [line for line in read(page).splitlines() if not line.startswith(("|", "["))]
    assert [line for line in lines if len(line) > WIDTH] == []


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.bicep", "*.toml"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def cited() -> Iterator[tuple[str, str, str]]:
    """Yield file, page, and section number of each citation, such as 'dataverse.md 2.1, 2.2 and 4'."""
    for path in tracked():
        for page, numbers in CITATION.findall(path.read_text(encoding="utf-8")):
            for number in re.findall(r"\d+(?:\.\d+)?", re.split(r"[a-z]{2,}", re.sub(r" (and|to) ", ", ", numbers))[0]):
                yield str(path.relative_to(ROOT)), f"{page}.md", number


def test_every_cited_section_has_a_heading() -> None:
    known = {page: sections(page) for page in PAGES}
    citations = list(cited())
    assert len(citations) > 200
    assert [one for one in citations if one[2] not in known[one[1]]] == []


def test_pages_are_cited_by_their_path() -> None:
    """A reader can open 'docs/reference/dataverse.md 7'; 'dataverse.md 7' has to be looked for."""
    citing = [path for path in tracked() if FOLDER not in path.parents and path != Path(__file__)]
    assert {path.relative_to(ROOT).parts[0] for path in citing} >= CITING
    assert [
        (str(path.relative_to(ROOT)), found[0])
        for path in citing
        if (found := WITHOUT_PATH.search(LINK.sub("", path.read_text(encoding="utf-8"))))
    ] == []


def links() -> Iterator[tuple[Path, str, str]]:
    """Yield page, target file, and anchor of each link in docs that leads to a heading."""
    for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        for target, fragment in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", path.read_text(encoding="utf-8")):
            yield path, target, fragment


def test_every_link_to_a_heading_resolves() -> None:
    missing = []
    for path, target, fragment in links():
        page = (path.parent / target).resolve() if target else path
        if page.suffix == ".md" and (not page.is_file() or fragment not in anchors(page)):
            missing.append((str(path.relative_to(ROOT)), target, fragment))
    assert missing == []


def test_no_section_cites_a_stored_copy() -> None:
    assert [page for page in PAGES if re.search(r"\bid \d{6,}", read(page))] == []


RECORDS = {path.name[:4] for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
PROOFS = proofs()
# Names of documents that are not part of this repository.
DANGLING = re.compile(
    r"design decision|design\.md|design section|\bdemands? D\d|\bfacts \d+\.\d|\(decisions? \d", re.IGNORECASE
)


def citations(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield file and what the pattern finds there."""
    for path in tracked():
        if path != Path(__file__):
            for found in re.findall(pattern, path.read_text(encoding="utf-8")):
                yield str(path.relative_to(ROOT)), found


def test_every_cited_decision_has_a_record() -> None:
    found = list(citations(r"(?:decisions/|decision )(\d{4})\b"))
    assert len(found) > 5
    assert [one for one in found if one[1] not in RECORDS] == []


def test_every_cited_proof_has_a_row() -> None:
    cited_rows = list(citations(r"docs/dev/proofs\.md ((?:[DG]\d+(?:, )?)+)"))
    assert len(cited_rows) > 10
    assert [one for one in cited_rows if not set(one[1].strip(", ").split(", ")) <= PROOFS.keys()] == []


def test_nothing_cites_a_document_that_is_not_here() -> None:
    own = Path(__file__)
    assert [
        (str(path.relative_to(ROOT)), found[0])
        for path in tracked()
        if path != own and (found := DANGLING.search(path.read_text(encoding="utf-8")))
    ] == []


def test_every_cited_page_of_docs_is_there() -> None:
    pages = citations(r"(?<![\w./-])(docs/[\w./-]+\.(?:md|svg))\b")
    assert [one for one in pages if not (ROOT / one[1]).is_file()] == []


def test_every_cited_module_is_there() -> None:
    """A path such as 'tests/docs/test_reference.py'; the paths of test_package are samples."""
    modules = list(citations(r"(?<![\w./*-])((?:linker|sandbox|tests|bench|scripts)/[\w/]+\.py)\b"))
    missing = {one for one in modules if not (ROOT / one[1]).is_file()}
    assert len(modules) > 50
    assert {one for one in missing if one[0] != "tests/infra/test_package.py"} == set()
