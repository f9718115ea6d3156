"""Order of guids and strings as SQL Server has it (docs/reference/dataverse.md 6.2, 6.3)."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.database.collation import (
    exact_text,
    guid_key,
    guid_text,
    guid_texts,
    ordinal_key,
    text_like,
    word_key,
    word_keys,
)


@given(st.uuids())
def test_a_guid_survives_its_key(value: uuid.UUID) -> None:
    assert guid_text(guid_key(str(value))) == str(value)


@given(st.uuids(), st.uuids())
def test_guid_keys_order_by_the_last_group_first(left: uuid.UUID, right: uuid.UUID) -> None:
    order = (10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3)  # SqlGuid compares the stored bytes in this order
    expected = [bytes(value.bytes_le[place] for place in order) for value in (left, right)]
    keys = [guid_key(str(value)) for value in (left, right)]
    assert (keys[0] < keys[1]) == (expected[0] < expected[1])


@pytest.mark.parametrize("text", ["{%s}", "%s"], ids=["braces", "plain"])
def test_guids_are_read_in_upper_case_and_braces(text: str) -> None:
    value = "0A6F9D0C-3A3E-4F8E-9D8B-5A1B6A3B0001"
    assert guid_text(guid_key(text % value)) == value.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0a6f9d0c3a3e4f8e9d8b5a1b6a3b0001",
        "0a6f9d0c-3a3e-4f8e-9d8b-5a1b6a3b000g",
        "0a6f9d0c 3a3e-4f8e-9d8b-5a1b6a3b0001",
    ],
)
def test_what_is_not_a_guid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a guid"):
        guid_key(text)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param("ABC", "abc", id="case"),
        pytest.param("résumé", "RESUME", id="accents"),
        pytest.param("straße", "STRASSE", id="sharp s"),
        pytest.param("Ærø", "aero", id="letters written out"),
        pytest.param("a ", "a", id="trailing blank"),
        pytest.param("é", "é", id="composed and decomposed"),
    ],
)
def test_equal_in_both_orders(left: str, right: str) -> None:
    assert word_key(left) == word_key(right)
    assert ordinal_key(left) == ordinal_key(right)


def _sorted(texts: list[str]) -> list[str]:
    return sorted(set(texts), key=lambda text: word_key(text) or b"")


def test_word_order_puts_punctuation_before_digits_before_letters() -> None:
    ordered = ["a b", "a_b", "a|b", "a+b", "a1", "aa", "aé", "af", "a\u4e2d"]
    assert _sorted(ordered) == ordered


def test_hyphens_and_apostrophes_decide_only_between_equals() -> None:
    ordered = ["coop", "co-op", "coops", "co'ops", "corp"]
    assert _sorted(ordered) == ordered
    assert ordinal_key("co-op") < ordinal_key("coop")  # type: ignore[operator]  # no nulls here


@given(st.text("ab-' é", max_size=300), st.text("ab-' é", max_size=300))
def test_equal_word_keys_mean_equal_texts(left: str, right: str) -> None:
    folded = [text.replace("é", "e").rstrip(" ") for text in (left, right)]
    assert (word_key(left) == word_key(right)) == (folded[0] == folded[1])


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a%", "Apple", True),
        ("%ple", "Apple", True),
        ("_pple", "apple", True),
        ("[a-c]x", "BX", True),
        ("[^a-c]x", "bx", False),
        ("a[%]", "a%", True),
        ("a[%]", "ab", False),
        ("a.c", "abc", False),
        ("a\\b", "a\\b", True),
        ("x", None, None),
    ],
)
def test_like(pattern: str, text: str | None, expected: bool | None) -> None:
    assert text_like(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("new_member", None),
        ("new[_]member", "new_member"),
        ("50[%]", "50%"),
        ("[[]x", "[x"),
        ("[ab]", None),
        ("x", "x"),
    ],
)
def test_a_pattern_whose_wildcards_are_bracketed_is_one_text(pattern: str, text: str | None) -> None:
    assert exact_text(pattern) == text


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_texts_of_many_guids_are_those_of_each(keys: list[bytes]) -> None:
    assert guid_texts(keys) == [guid_text(key) for key in keys]


@given(st.lists(st.none() | st.text(alphabet="aB1-' \0é|", max_size=12), max_size=20))
def test_the_keys_of_many_texts_are_the_keys_of_each(texts: list[str | None]) -> None:
    assert word_keys(texts) == [word_key(text) for text in texts]
