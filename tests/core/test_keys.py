"""Keys: every spelling that can mean one guid only is that key, every other text is rejected with advice that fits it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.keys import key_fault, key_text, row_key, spellings
from linker.core.records import invalid_key

TEXT = "0123abcd-4567-89ab-cdef-0123456789ab"
KEY = bytes.fromhex(TEXT.replace("-", ""))
DIGITS = TEXT.replace("-", "")

ACCEPTED = {
    "canonical": TEXT,
    "upper case": TEXT.upper(),
    "braces": f"{{{TEXT}}}",
    "parentheses": f"({TEXT})",
    "digits alone": DIGITS,
    "digits in braces": f"{{{DIGITS}}}",
    "urn": f"urn:uuid:{TEXT}",
    "urn in capitals": f"URN:UUID:{TEXT.upper()}",
    "outer spaces": f"  {TEXT} ",
    "line ends": f"\r\n{TEXT}\r\n",
    "line separator": f"{TEXT}\u2028",
    "no-break spaces": f"\u00a0{TEXT}\u202f",
    "ideographic space": f"{TEXT}\u3000",
    "zero-width space": f"\u200b{TEXT}\u200b",
    "byte order mark": f"\ufeff{TEXT}",
    "marks between blanks": f" \ufeff \u200b{TEXT}",
    "blanks in braces": f"{{ {TEXT}\t}}",
    "all at once": f"\ufeff\u00a0{{{TEXT.upper()}}} \n",
    "as long as a canonical one": f"  {DIGITS}  ",
}
REJECTED = {
    "empty": ("", "no key"),
    "blank": (" \u00a0\u200b", "no key"),
    "another kind of key": ("cntid_1078", "not a guid"),
    "number": ("1078", "a number"),
    "long number": ("1" * 32 + "0", "a number"),
    "negative number": ("-12,5", "a number"),
    "email": ("someone@contoso.com", "an email address"),
    "a digit too many": (TEXT + "0", "33 hexadecimal digits"),
    "a digit too few": (TEXT[:-1], "31 hexadecimal digits"),
    "no hex digit": (TEXT.replace("a", "g"), "not a guid"),
    "Arabic digits": (TEXT.replace("0", "\u0660"), "another script"),
    "wide digits": (TEXT.replace("1", "\uff11"), "another script"),
    "superscript digit": (TEXT.replace("1", "\u00b9"), "another script"),
    "en dashes": (TEXT.replace("-", "\u2013"), "another script"),
    "no-break hyphens": (f"{{{TEXT}}}".replace("-", "\u2011"), "another script"),
    "underscores": (TEXT.replace("-", "_"), "not a guid"),
    "underscore between digits": ("0123_abcd" + TEXT[8:], "not a guid"),
    "something behind it": (f"{TEXT}; drop", "not a guid"),
    "two keys": (f"{TEXT},{TEXT}", "not a guid"),
    "half of the braces": (f"{{{TEXT}", "other places"),
    "different brackets": (f"{{{TEXT})", "other places"),
    "braces in braces": (f"{{{{{TEXT}}}}}", "other places"),
    "some hyphens": (TEXT.replace("-", "", 2), "other places"),
    "hyphens elsewhere": (f"{DIGITS[:6]}-{DIGITS[6:]}", "other places"),
    "blank inside": (f"{TEXT[:9]} {TEXT[9:]}", "other places"),
    "program code": ("{0x0123abcd,0x4567,0x89ab,{0xcd,0xef,0x01,0x23,0x45,0x67,0x89,0xab}}", "program code"),
    "prefix of a number": ("0x0123abcd", "program code"),
    "half of a character": ("\ud800" + TEXT, "not a guid"),
}
uuids = st.uuids()
blanks = st.text(" \t\r\n\u00a0\u2028\u200b\ufeff", max_size=3)


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_spelling_of_one_guid_is_its_key(text: str) -> None:
    assert row_key(text) == KEY


@pytest.mark.parametrize(("text", "why"), REJECTED.values(), ids=REJECTED.keys())
def test_any_other_text_is_rejected_with_advice_that_fits(text: str, why: str) -> None:
    assert row_key(text) is None
    reason, advice = key_fault(text)
    assert why in reason
    assert ("primary key in Data > Unify" in advice) == (why in ("a number", "an email address", "not a guid"))
    assert invalid_key("contact", text).reason == reason


def test_a_row_without_customer_is_not_blamed_on_its_key() -> None:
    found = invalid_key("contact", TEXT)
    assert "CustomerId" in found.reason
    assert "primary key" not in found.advice


@given(uuids)
def test_every_key_has_one_canonical_text(found: UUID) -> None:
    assert key_text(found.bytes) == str(found)
    assert {row_key(text) for text in spellings(found.bytes)} == {found.bytes}
    assert [text == str(found) for text in spellings(found.bytes)] == [True, False, False, False, False]


@given(uuids, st.integers(0, 4), st.sampled_from([str, str.upper, str.title]), blanks, blanks)
def test_what_is_sent_is_canonical(
    found: UUID, form: int, spelled: Callable[[str], str], before: str, after: str
) -> None:
    text = before + spelled(spellings(found.bytes)[form]) + after
    key = row_key(text)
    assert key == found.bytes
    assert key_text(key) == str(found)


@given(st.text(max_size=60))
def test_no_text_is_guessed_at(text: str) -> None:
    key = row_key(text)
    if key is not None:
        assert key.hex() in text.lower().replace("-", "")
    elif text.isprintable():
        assert all(key_fault(text))


@given(st.lists(uuids, max_size=20))
def test_texts_order_as_their_bytes(found: list[UUID]) -> None:
    assert [row_key(text) for text in sorted(map(str, found))] == sorted(one.bytes for one in found)
