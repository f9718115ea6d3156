"""Decision records are one series without gaps, each with status and date, and the index lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
HEADER = re.compile(r"# (\d{4})\. (.+)\n\n- Status: (.+)\n- Date: (20\d\d-\d\d-\d\d)\n\n")
STATUS = re.compile(r"(Proposed|Accepted|Rejected|Superseded by \[\d{4}\]\([\w-]+\.md\))(, (replaces|changes) \[.+)?")
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_numbers_have_no_gap_and_none_is_given_twice() -> None:
    assert [path.name[:4] for path in RECORDS] == [f"{number:04d}" for number in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in RECORDS])
def test_a_record_states_number_status_and_date_and_the_index_repeats_them(path: Path) -> None:
    found = HEADER.match(path.read_text(encoding="utf-8"))
    assert found, "a record begins with '# 0001. Title', then '- Status: ...' and '- Date: ...'"
    number, title, status, date = found.groups()
    assert path.name.startswith(f"{number}-")
    assert STATUS.fullmatch(status)
    assert f"| [{number}]({path.name}) | {title} | {status} | {date} |" in INDEX


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in RECORDS])
def test_a_superseded_record_and_the_one_that_replaces_it_name_each_other(path: Path) -> None:
    replaced = re.search(r"- Status: Superseded by \[\d{4}\]\(([\w-]+\.md)\)", path.read_text(encoding="utf-8"))
    if replaced:
        assert f"({path.name})" in (FOLDER / replaced[1]).read_text(encoding="utf-8")
