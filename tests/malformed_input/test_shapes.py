"""Answers of Dataverse: what is documented is taken as it came, and any other shape is refused before it is used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.dataverse.response_models import LiveLink, guid_in, link_in, page_in, read, rows_in
from linker.core.errors import TransientError
from linker.core.model import Link, Target
from linker.core.odata import LABEL

PROFILE = "0a0b0c0d-0002-4003-8004-0a0b0c0d0e0f"
VALUE, ETAG = "_new_profile_value", 'W/"1"'
TARGET = Target("contact", "contacts", "contactid", "new_Profile", partition_column="pid", lookup="new_profile")
leaves = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=3)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.mark.parametrize("rows", [[], [{"a": 1}], [{"a": 1}, {"b": "\ud800"}]])
@pytest.mark.parametrize("more", [{}, {"@odata.nextLink": None}, {"@odata.nextLink": "https://x"}, {"@odata.count": 5}])
def test_a_page_is_taken_as_it_came(rows: list[Any], more: dict[str, Any]) -> None:
    page = page_in({"value": rows, **more})
    assert (page["value"], page.get("@odata.nextLink")) == (rows, more.get("@odata.nextLink"))


@pytest.mark.parametrize(
    "answer",
    [
        None, 5, "text", [], {}, {"value": None}, {"value": {}}, {"value": "rows"}, {"value": [None]},
        {"value": [{}, "row"]}, {"value": [[]]}, {"value": [], "@odata.nextLink": 5}, {"value": [], "@odata.nextLink": {}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_a_page_is_refused(answer: Any) -> None:
    with pytest.raises(TransientError, match="in another shape than documented"):
        page_in(answer)


@given(documents)
def test_texts_can_all_be_encoded_and_all_else_stays(found: Any) -> None:
    whole = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    assert read(object, found) == whole


def test_what_is_nested_too_deeply_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(TransientError, match="nested too deeply"):
        read(object, nested)


def test_a_row_among_several_is_checked_too() -> None:
    assert rows_in(dict[str, int], {"value": [{"a": 1}]}) == [{"a": 1}]
    with pytest.raises(TransientError):
        rows_in(dict[str, int], {"value": [{"a": 1}, {"a": "x"}]})


@pytest.mark.parametrize(
    ("row", "link", "label"),
    [
        ({}, None, None),
        ({VALUE: None, VALUE + LABEL: None}, None, None),
        ({VALUE: ""}, None, None),
        ({VALUE: PROFILE}, Link(PROFILE), None),
        ({VALUE: PROFILE.upper(), VALUE + LABEL: "c1"}, Link(PROFILE), "c1"),
        ({VALUE: PROFILE, "pid": PROFILE}, Link(PROFILE), None),
        ({VALUE: PROFILE.upper(), "pid": f"{{{PROFILE}}}"}, Link(PROFILE), None),
        ({VALUE: PROFILE, "pid": "eu"}, Link(PROFILE, "eu"), None),
    ],
    ids=str,
)
def test_the_link_of_a_row_is_read(row: dict[str, Any], link: Link | None, label: str | None) -> None:
    assert link_in({**row, "@odata.etag": ETAG}, TARGET) == LiveLink(link, label, ETAG)


@pytest.mark.parametrize("odd", [5, True, [], {}], ids=str)
@pytest.mark.parametrize("member", [VALUE, VALUE + LABEL, "pid", "@odata.etag"])
def test_a_link_in_another_shape_is_refused(member: str, odd: Any) -> None:
    row = {VALUE: PROFILE, "@odata.etag": ETAG, member: odd}
    with pytest.raises(TransientError, match="in another shape than documented"):
        link_in(row, TARGET)


def test_a_row_without_its_version_is_refused() -> None:
    with pytest.raises(TransientError, match="without its version"):
        link_in({VALUE: PROFILE}, TARGET)


@pytest.mark.parametrize("spelled", [PROFILE, PROFILE.upper(), f"{{{PROFILE}}}", PROFILE.replace("-", "")])
def test_a_guid_is_read_in_its_one_spelling(spelled: str) -> None:
    assert guid_in({"id": spelled}, "id") == PROFILE


@pytest.mark.parametrize("odd", [None, 5, "", "text", PROFILE[:-1], [PROFILE]], ids=str)
def test_what_is_not_a_guid_is_refused(odd: Any) -> None:
    with pytest.raises(TransientError, match="a row without its key"):
        guid_in({"id": odd}, "id")
