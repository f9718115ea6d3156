"""Unexpected rows of the mapping: rejected with a reason or without effect, and the others are linked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.dataverse import Connection
from linker.adapters.dataverse.response_models import claim_row
from linker.core.keys import key_text
from linker.core.linking.segments import Segment, SliceSegments
from linker.core.linking.shards import decide_claims
from linker.core.model import Run, Status
from linker.core.odata import MappingColumns
from linker.core.records import RowIssue
from tests.fakes.app import FakeApp
from tests.fakes.requests import URL
from tests.fakes.world import contact_id
from tests.malformed_input import QUICK
from tests.malformed_input.damage import Damaging

COLUMNS = MappingColumns("msdynci_tablename")
MAPPING = "GET msdynci_alternatekeys msdynci_alternatevalue"
LONE = contact_id(4)  # a contact that the mapping names in the odd row alone

NO_KEYS = {
    "null": None,
    "a number": 5,
    "a flag": True,
    "a list": [LONE],
    "an object": {"id": LONE},
    "empty": "",
    "spaces": "  \t",
    "a megabyte": "4" * 1_000_000,
    "half a character": "\ud800",
    "a NUL": LONE[:-1] + "\0",
    "full-width digits": LONE.replace("4", "\uff14"),
    "a wildcard": "%",
    "a quote": "'; drop table contact --",
    "a path": "../../etc/passwd",
    "a right-to-left mark": "\u202e" + LONE,
}
NO_CUSTOMERS = {
    "null": None,
    "a number": 5,
    "a list": ["c1"],
    "an object": {"a": "c1"},
    "empty": "",
    "spaces": " \n",
    "a megabyte": "c" * 1_000_000,
    "half a character": "c1\udfff",
}
UNKNOWN_CUSTOMERS = {
    "a wildcard": "%",
    "a set": "[c]1",
    "any one character": "c_",
    "a quote": "c1' or '1' eq '1",
    "a combining accent": "c1\u0301",
    "a NUL": "c1\0",
    "another alphabet": "\u0441" + "1",
    "a line end": "c\r\n1",
    "as long as it may be": "c" * 100,
}


def run_with(make_app: Callable[..., FakeApp], key: Any, customer: Any) -> tuple[FakeApp, Run, list[RowIssue]]:
    """Run over three contacts in order, a fourth, and one odd row of the mapping."""
    app = make_app()
    app.world.contact(4)
    odd = {COLUMNS.key: key, COLUMNS.customer: customer}
    damaging = Damaging(app.world.dataverse, MAPPING, lambda found: found | {"value": [*found["value"], odd]})
    client = httpx.AsyncClient(transport=httpx.MockTransport(damaging))
    app.world.deps = replace(app.world.deps, connection=Connection(URL, client, app.world.tokens))
    run = app.run()
    return app, run, [*app.do(app.world.issues(run.id)).values()]


@pytest.mark.parametrize("name", NO_KEYS)
def test_a_row_whose_key_is_none_is_rejected(make_app: Callable[..., FakeApp], name: str) -> None:
    app, run, issues = run_with(make_app, NO_KEYS[name], "c1")
    assert ([issue.code for issue in issues], run.counts.rejected) == (["InvalidMappingRow"], 1)
    assert (run.status, run.counts.rows_read, run.counts.linked) == (Status.WARNINGS, 4, 3)
    assert app.world.is_right()


@pytest.mark.parametrize("name", NO_CUSTOMERS)
def test_a_row_whose_customer_is_none_is_rejected(make_app: Callable[..., FakeApp], name: str) -> None:
    app, run, issues = run_with(make_app, LONE, NO_CUSTOMERS[name])
    assert [(issue.code, issue.row) for issue in issues] == [("InvalidMappingRow", LONE)]
    assert (run.status, run.counts.rows_read, run.counts.linked) == (Status.WARNINGS, 4, 3)
    assert app.world.is_right()


@pytest.mark.parametrize("name", UNKNOWN_CUSTOMERS)
def test_a_customer_that_only_looks_like_another_is_not_that_one(make_app: Callable[..., FakeApp], name: str) -> None:
    app, _, issues = run_with(make_app, LONE, UNKNOWN_CUSTOMERS[name])
    assert [(issue.code, issue.row) for issue in issues] == [("ProfileMissing", LONE)]
    assert app.world.is_right()


@pytest.mark.parametrize("spelled", [LONE.upper(), f"{{{LONE}}}", f" {LONE} "], ids=["capitals", "braces", "spaces"])
def test_a_key_in_another_spelling_is_the_same_row(make_app: Callable[..., FakeApp], spelled: str) -> None:
    app, run, issues = run_with(make_app, spelled, "C1 ")
    assert (issues, run.counts.linked) == ([], 4)
    assert app.world.links()[LONE] == "c1"


values = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=60) | st.lists(st.text(), max_size=2)
)
keys = values | st.sampled_from([LONE, LONE.upper(), f"{{{LONE}}}", contact_id(5)])
customers = values | st.sampled_from(["c1", "C1", " c2", "c" * 100, "c" * 101])


profiles = values | st.sampled_from([LONE, LONE.upper(), "0" * 32])
OPTIONAL = {
    COLUMNS.key: keys,
    COLUMNS.customer: customers,
    COLUMNS.id: values | st.uuids().map(str),
    f"_{COLUMNS.lookup}_value": profiles,
    f"{COLUMNS.lookup}pid": profiles,
}


@QUICK
@given(st.lists(st.fixed_dictionaries({}, optional=OPTIONAL), max_size=12))
def test_every_row_of_the_mapping_is_a_wish_or_rejected_and_is_staged_as_it_was_read(
    rows: list[dict[str, Any]],
) -> None:
    read = [claim_row(row, COLUMNS) for row in rows]
    wanted = decide_claims(read)
    assert {key_text(key) for key in wanted.claims} <= {LONE, contact_id(5)}
    assert wanted.claims.keys() == {row.key for row in read if row.key is not None}
    assert bool(wanted.invalid) == any(row.key is None for row in read)
    assert all(text.encode() is not None and len(text) <= 200 for text in wanted.invalid)
    staged = SliceSegments(0)
    for row in read:
        staged.add(row, 7)
    stored = [Segment.read(0, properties) for _, _, properties in staged]
    assert decide_claims(row for segment in stored for row, _ in segment.rows()) == wanted
