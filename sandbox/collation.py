"""How SQL Server orders and compares what Dataverse stores: guids and strings.

Guids are kept as 16 bytes in SQL Server's order of significance, so that comparing the bytes is comparing the guids
(dataverse.md 6.3). Strings are compared by a sort key: equal keys are equal strings, and keys order as the strings do.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

# Windows sorts punctuation before digits before letters, and these two characters only when all else is equal.
_ORDER: Final = ' !"#$%&()*,./:;?@[\\]^_`{|}~+<=>0123456789abcdefghijklmnopqrstuvwxyz'
_MINOR: Final = b"-'"
_MINOR_MARK: Final = re.compile(rb"[-']")
_SHORT_MARKS: Final = b"\x01\x01"  # begins below every primary weight, so a prefix sorts before what it begins
_LONG_MARKS: Final = b"\x01\x02"
_FIRST_WEIGHT: Final = 2

# Letters that the Latin collation writes out although Unicode does not decompose them.
_WRITTEN_OUT: Final = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th"})


def guid_key(text: str) -> bytes:
    """Return 16 bytes whose order is SQL Server's uniqueidentifier order. Braces and upper case are accepted.

    Raises ValueError if the text is no guid.
    """
    plain = text.strip("{}").lower()
    if _GUID.fullmatch(plain) is None:
        raise ValueError(f"'{text}' is no guid")
    return guid_key_of_canonical(plain)


def guid_key_of_canonical(text: str) -> bytes:
    """Return the key of a guid that is known to be 36 characters with hyphens (bulk loading)."""
    low, mid, high = text[:8], text[9:13], text[14:18]
    little_endian = f"{high[2:]}{high[:2]}{mid[2:]}{mid[:2]}{low[6:]}{low[4:6]}{low[2:4]}{low[:2]}"
    return bytes.fromhex(f"{text[24:]}{text[19:23]}{little_endian}")


def guid_text(key: bytes) -> str:
    """Return the lower-case text of a guid kept by `guid_key`."""
    h = key.hex()
    return f"{h[30:]}{h[28:30]}{h[26:28]}{h[24:26]}-{h[22:24]}{h[20:22]}-{h[18:20]}{h[16:18]}-{h[12:16]}-{h[:12]}"


def _weights() -> bytes:
    """Return a table of 256 weights for `bytes.translate`; characters without a place sort below all others."""
    table = bytearray([_FIRST_WEIGHT]) * 256
    for weight, character in enumerate(_ORDER, start=_FIRST_WEIGHT + 1):
        table[ord(character)] = table[ord(character.upper())] = weight
    return bytes(table)


_WEIGHTS: Final = _weights()
_OTHER_LETTERS: Final = bytes([_FIRST_WEIGHT + len(_ORDER) + 1])


def word_key(text: str | None) -> bytes | None:
    """Return the sort key of the case- and accent-insensitive word order (Latin1_General_CI_AI, simplified).

    Hyphens and apostrophes decide only between strings that are otherwise equal; trailing blanks never count.
    """
    if text is None:
        return None
    if text.isascii():
        raw = text.encode().rstrip(b" ")
        return raw.translate(_WEIGHTS, _MINOR) + _minor_marks(raw)
    return _unicode_word_key(_folded(text).rstrip(" "))


def _minor_marks(raw: bytes) -> bytes:
    """Return the lowest level of a key: where the hyphens and apostrophes stand, as lengths between them."""
    if b"'" not in raw:
        if b"-" not in raw:
            return b""
        gaps = [len(part) for part in raw.split(b"-")]
        if max(gaps) < 256:  # nearly always, and several times faster than the general form
            return _SHORT_MARKS + bytes(gaps)
    marks = (mark.start() << 1 | (mark[0] == b"-") for mark in _MINOR_MARK.finditer(raw))
    return _LONG_MARKS + b"".join(mark.to_bytes(3) for mark in marks)


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_WRITTEN_OUT))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _unicode_word_key(folded: str) -> bytes:
    primary = b"".join(map(_weight, folded))
    return primary + _minor_marks(folded.encode("ascii", "replace"))


def _weight(character: str) -> bytes:
    if character.isascii():
        return character.encode().translate(_WEIGHTS, _MINOR)
    return _OTHER_LETTERS + character.encode("utf-32-be")


def ordinal_key(text: str | None) -> bytes | None:
    """Return the sort key of an order by code points that still ignores case, accents and trailing blanks."""
    if text is None:
        return None
    folded = text.lower() if text.isascii() else _folded(text)
    return folded.rstrip(" ").encode("utf-8", "surrogatepass")


SORT_KEYS: Final[dict[str, Callable[[str | None], bytes | None]]] = {"word": word_key, "ordinal": ordinal_key}
