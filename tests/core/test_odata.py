"""Text of requests: what is escaped, what is refused, how ranges and lists are written."""

import json
from urllib.parse import parse_qs, quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core import odata
from linker.core.errors import ConfigurationError
from linker.core.linking.mapping_scan import KeySpan, cut_spans
from linker.core.model import Source
from linker.core.odata import MappingColumns
from tests.fakes.requests import matcher

COLUMNS = MappingColumns("msdynci_tablename")
CRM = Source("crm", "contact")


@pytest.mark.parametrize("name", ["contact", "new_member", "_private", "A1", "x" * 128])
def test_names_are_let_through_unchanged(name: str) -> None:
    assert odata.name(name) == name


@pytest.mark.parametrize(
    "text", ["", "1a", "a b", "a'", "a eq 1", "a/b", "a)", "ä", "x" * 129, "contact\n", "a-b", "a;drop", "a%27"]
)
def test_what_could_be_more_than_a_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was written"):
        odata.name(text)


@given(st.text())
def test_a_literal_ends_where_it_should(text: str) -> None:
    literal = odata.literal(text)
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "").count("'") == 0
    assert literal[1:-1].replace("''", "'") == text


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_an_option_cannot_reach_beyond_itself(text: str) -> None:
    query = odata.query(filter=f"a eq {odata.literal(text)}", top=1)
    assert query.count("&") == 1
    assert "#" not in query
    assert "+" not in query
    assert unquote(parse_qs(query[1:], keep_blank_values=True, separator="&")["$filter"][0]).startswith("a eq '")


@given(st.text(st.characters(codec="utf-8"), max_size=30) | st.text('"[]% +&#\\é', max_size=10))
def test_an_option_is_encoded_as_the_standard_library_encodes_it(text: str) -> None:
    assert odata.query(filter=text) == (f"?$filter={quote(text, safe=",()'/$=;@")}" if text else "")


def test_a_query_leaves_out_what_is_empty() -> None:
    assert odata.query(select="a", filter="", top=1) == "?$select=a&$top=1"
    assert odata.query(filter="") == ""


def test_in_lists_its_values_as_json() -> None:
    assert odata.is_in("contactid", ["a", 'b"c', "d'e"]) == (
        """Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues=["a","b\\"c","d'e"])"""
    )


def test_in_refuses_a_column_that_is_not_a_name() -> None:
    with pytest.raises(ConfigurationError):
        odata.is_in("a') or (1 eq 1", ["x"])


@given(st.lists(st.text(), max_size=5))
def test_the_values_of_in_come_back_from_its_json(values: list[str]) -> None:
    assert json.loads(odata.is_in("c", values).partition("PropertyValues=")[2][:-1]) == values


@pytest.mark.parametrize(("text", "expected"), [("contact", False), ("new_member", True), ("50%", True), ("[x]", True)])
def test_names_with_wildcards_may_match_more_than_themselves(text: str, expected: bool) -> None:
    assert odata.may_be_pattern(text) is expected


@pytest.mark.parametrize(
    ("name", "matches", "exactly"),
    [
        ("contact", "c eq 'contact'", "c eq 'contact'"),
        ("new_member", "c eq 'new_member'", "c ge 'new_member' and c le 'new_member'"),
        ("x[1]", "c ge 'x[1]' and c le 'x[1]'", "c ge 'x[1]' and c le 'x[1]'"),
    ],
)
def test_a_name_with_wildcards_is_excluded_as_a_range_and_found_by_what_finds_it(
    name: str, matches: str, exactly: str
) -> None:
    assert (odata.matches("c", name), odata.is_exactly("c", name)) == (matches, exactly)


KEY = "msdynci_alternatevalue"


@pytest.mark.parametrize(
    ("span", "since", "parts"),
    [
        pytest.param(KeySpan(), "", [], id="all"),
        pytest.param(KeySpan("4"), "", [f"{KEY} ge '4'"], id="from"),
        pytest.param(KeySpan(None, "8"), "", [f"({KEY} lt '8' or {KEY} eq null)"], id="to, and rows without a key"),
        pytest.param(KeySpan("4", "8"), "", [f"{KEY} ge '4'", f"{KEY} lt '8'"], id="both"),
        pytest.param(KeySpan(), "2026-11-23T20:15:00Z", ["modifiedon ge 2026-11-23T20:15:00Z"], id="changed since"),
    ],
)
def test_a_stream_is_half_open_and_within_its_source(span: KeySpan, since: str, parts: list[str]) -> None:
    source = "msdynci_datasourcename eq 'crm' and msdynci_tablename eq 'contact'"
    assert COLUMNS.in_stream(CRM, span, since) == " and ".join([source, *parts])


@given(st.integers(1, 16), st.none() | st.text(st.characters(codec="ascii", exclude_characters="'"), max_size=4))
def test_every_row_is_in_exactly_one_stream_of_a_source(streams: int, key: str | None) -> None:
    row = {"msdynci_datasourcename": "crm", "msdynci_tablename": "contact", KEY: key}
    found = [matcher(COLUMNS.in_stream(CRM, span))(row) for span in cut_spans(streams)]
    assert sum(found) == 1


def test_a_source_with_quotes_is_escaped_in_every_place() -> None:
    text = COLUMNS.in_stream(Source("o'brien", "it's"), KeySpan("a'", "b'"))
    assert text.count("''") == 4


@pytest.mark.parametrize(
    ("has_in", "terms", "requests"),
    [
        pytest.param(True, odata.IN_VALUES, 1, id="In takes many"),
        pytest.param(True, odata.IN_VALUES + 1, 2, id="and no more"),
        pytest.param(False, odata.EQ_TERMS, 1, id="a chain takes few"),
        pytest.param(False, odata.EQ_TERMS + 1, 2, id="and no more of them"),
        pytest.param(False, 0, 0, id="nothing to ask"),
    ],
)
def test_a_list_of_values_is_asked_in_as_few_requests_as_the_table_can_take(
    has_in: bool, terms: int, requests: int
) -> None:
    values = [f"v{number}" for number in range(terms)]
    expressions = odata.any_of("c", values, has_in=has_in)
    assert len(expressions) == requests
    found = {value for value in values if any(matcher(one)({"c": value}) for one in expressions)}
    assert found == set(values)
    assert not any(matcher(one)({"c": "w"}) for one in expressions)


def test_guids_stand_in_chains_without_quotes() -> None:
    first, second = "00000001-0000-4000-8000-000000000000", "00000002-0000-4000-8000-000000000000"
    assert odata.any_guid("c", [first, second], has_in=False) == [f"c eq {first} or c eq {second}"]
    assert odata.any_guid("c", [first], has_in=True) == [odata.is_in("c", [first])]


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        pytest.param("", "/profiles(0f)", id="its default partition: by id alone"),
        pytest.param("eu", "/profiles(profileid=0f,partitionid='eu')", id="another one: by both"),
        pytest.param("o'b/1 ä", "/profiles(profileid=0f,partitionid='o%27%27b%2F1%20%C3%A4')", id="escaped"),
    ],
)
def test_a_profile_is_addressed_by_its_id_and_its_partition(partition: str, expected: str) -> None:
    assert odata.address("profiles", "profileid", "0f", partition) == expected


def test_sources_found_so_far_and_rows_that_name_none_are_left_out() -> None:
    named = "msdynci_datasourcename ne null and msdynci_tablename ne null"
    assert COLUMNS.outside([]) == named
    assert COLUMNS.outside([CRM, Source("erp", "lead")]) == (
        f"{named} and not (msdynci_datasourcename eq 'crm' and msdynci_tablename eq 'contact')"
        " and not (msdynci_datasourcename eq 'erp' and msdynci_tablename eq 'lead')"
    )


def test_the_older_name_of_the_table_column_is_used_where_the_tenant_has_it() -> None:
    assert "msdynci_entityname eq 'contact'" in MappingColumns("msdynci_entityname").of_source(CRM)
