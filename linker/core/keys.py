"""Primary keys of source rows as the mapping spells them. Only the canonical text is sent to Dataverse or stored.

Customer Insights keeps the text that a data source delivered, so one row may be named in several ways. A spelling counts when
it can mean one guid only. Every other text is rejected with advice that fits it, and never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from linker.core.model import RowKey

DIGITS: Final = 32  # of a guid
_HEX = "[0-9a-fA-F]"  # ASCII alone: digits of other scripts look alike and are not what Dataverse stores
_HYPHENED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_CANONICAL: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BARE: Final = re.compile(f"{_HYPHENED}|{_HEX}{{32}}")
_HEX_ONLY: Final = re.compile(f"{_HEX}+")
_BRACKETS: Final = {"{": "}", "(": ")"}
_PREFIX: Final = re.compile("urn:uuid:", re.IGNORECASE | re.ASCII)
# What does not show at the ends of a text: str.strip() takes white space (no-break spaces and line ends too), but not these
# marks, which word processors and byte order marks leave behind.
_UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_DASHES: Final = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_CODE: Final = re.compile(r"\{?\s*0x", re.IGNORECASE | re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*", re.ASCII)

_CHOOSE_KEY: Final = "Choose the table's primary key in Data > Unify > Customer data, and run unification."
_CORRECT: Final = "in the data source of Customer Insights, refresh it, and run unification."


def row_key(text: str) -> RowKey | None:
    """Return the 16 bytes of the guid that a text spells, None when it spells none.

    Accepted are hexadecimal digits in any case, hyphens at all four places or at none, one pair of braces or parentheses, the
    prefix "urn:uuid:", and white space or invisible marks around each of them.
    """
    if _CANONICAL.fullmatch(text):  # nearly every text
        return bytes.fromhex(text.replace("-", ""))
    bare = _without_brackets(_without_blanks(text))
    return bytes.fromhex(bare.replace("-", "")) if _BARE.fullmatch(bare) else None


def key_text(key: RowKey) -> str:
    """Return the canonical text of a key: lower case, hyphens, no brackets."""
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def row_keys(found: Iterable[object]) -> list[RowKey | None]:
    """Return the key that each value spells, None for one that spells none."""
    return [row_key(one) if isinstance(one, str) else None for one in found]


def key_texts(keys: Iterable[RowKey]) -> list[str]:
    """Return the canonical text of each key."""
    return [key_text(key) for key in keys]


def guid_texts(found: Iterable[object]) -> list[str | None]:
    """Return the canonical text of the guid that each value spells, None for one that spells none."""
    return [_guid_text(one) if isinstance(one, str) else None for one in found]


def _guid_text(text: str) -> str | None:
    if _CANONICAL.fullmatch(text):  # nearly every text
        return text
    key = row_key(text)
    return None if key is None else key_text(key)


def spellings(key: RowKey) -> tuple[str, ...]:
    """Return the texts by which systems commonly write a key, the canonical one first; letter case and blanks aside."""
    text = key_text(key)
    return text, f"{{{text}}}", f"({text})", key.hex(), f"urn:uuid:{text}"


def key_fault(text: str) -> tuple[str, str]:
    """Return why a text is not a key (`row_key` is None), and what to do about it: two sentences for an administrator."""
    seen = _without_blanks(text)
    if not seen:
        return "The mapping row has no key.", f"Remove rows without a primary key {_CORRECT}"
    if _BARE.fullmatch(_as_ascii(seen)):
        return (
            "The key is a guid with characters of another script instead of hyphens or digits.",
            f"Correct the key {_CORRECT}",
        )
    if _CODE.match(seen):
        return "The key is a guid in a form of program code.", f"Write the key as 8-4-4-4-12 digits {_CORRECT}"
    digits = re.sub(r"[-{}()\s]", "", seen)
    if _HEX_ONLY.fullmatch(digits) and len(digits) == DIGITS:
        return "The hyphens or brackets of the key are in other places than in a guid.", f"Correct the key {_CORRECT}"
    if _HEX_ONLY.fullmatch(digits) and len(digits) >= 24 and not _NUMBER.fullmatch(seen):
        return f"The key has {len(digits)} hexadecimal digits; a guid has {DIGITS}.", f"Correct the key {_CORRECT}"
    if "@" in seen:
        return "The key is an email address instead of a guid.", _CHOOSE_KEY
    if _NUMBER.fullmatch(seen):
        return "The key is a number instead of a guid.", _CHOOSE_KEY
    return "The key is not a guid.", _CHOOSE_KEY


def _without_blanks(text: str) -> str:
    before = None
    while text != before:  # a mark may stand between two blanks
        before, text = text, text.strip().strip(_UNSEEN)
    return text


def _without_brackets(text: str) -> str:
    """Return what stands in one pair of brackets or behind the prefix; any other text as it is."""
    if found := _PREFIX.match(text):
        return text[found.end() :]
    if len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]:
        return _without_blanks(text[1:-1])
    return text


def _as_ascii(text: str) -> str:
    """Return a text with look-alikes of hyphens and digits as what they look like."""
    from unicodedata import digit, normalize

    plain = _DASHES.sub("-", normalize("NFKC", text))
    return _without_brackets("".join(str(digit(one, one)) if one.isdigit() else one for one in plain))


def digest_rows(keys: Iterable[RowKey]) -> str:
    """Return 16 hexadecimal digits that stand for a set of rows, in whatever order they come."""
    total = sum(int.from_bytes(blake2b(key, digest_size=8).digest()) for key in keys)
    return f"{total % 2**64:016x}"
