"""How SQL Server orders and compares what Dataverse stores: guids and strings.

Guids are kept as 16 bytes in SQL Server's order of significance, so that comparing the bytes is comparing the guids
(docs/reference/dataverse.md 6.3). Strings are compared by a sort key: equal keys are equal strings, and keys
order as the strings do.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

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

    Raises ValueError if the text is not a guid.
    """
    t = text if len(text) == 36 else text.strip("{}")
    try:
        key = bytes.fromhex(f"{t[24:]}{t[19:23]}{t[16:18]}{t[14:16]}{t[11:13]}{t[9:11]}{t[6:8]}{t[4:6]}{t[2:4]}{t[:2]}")
    except ValueError:
        raise ValueError(f"'{text}' is not a guid") from None
    if len(key) != 16 or len(t) != 36 or not t[8] == t[13] == t[18] == t[23] == "-":
        raise ValueError(f"'{text}' is not a guid")
    return key


def guid_text(key: bytes) -> str:
    """Return the lower-case text of a guid kept by `guid_key`."""
    h = key.hex()
    return f"{h[30:]}{h[28:30]}{h[26:28]}{h[24:26]}-{h[22:24]}{h[20:22]}-{h[18:20]}{h[16:18]}-{h[12:16]}-{h[:12]}"


def _lower(key: bytes | None) -> str | None:
    return None if key is None else guid_text(key)


def _upper(key: bytes | None) -> str | None:
    return None if key is None else guid_text(key).upper()


PARTITIONS: Final[dict[str, Callable[[bytes | None], str | None]]] = {
    "lower": _lower,
    "upper": _upper,
    "null": lambda _key: None,
}
"""How the default partition of a row, which is its own key, is written."""


def guid_texts(keys: Sequence[bytes]) -> list[str]:
    """Return `guid_text` of many keys in less than half the time: a page of 5,000 rows has 5,000 to 15,000 of them."""
    digits = b"".join(keys).hex().encode()
    texts = bytearray(b"-" * (36 * len(keys)))
    for place, digit in _DIGITS:
        texts[place::36] = digits[digit::32]
    joined = texts.decode()
    return [joined[start : start + 36] for start in range(0, len(joined), 36)]


def _digit_places() -> list[tuple[int, int]]:
    """Return (place in the text, place in the hex digits of the key) of each of the 32 digits."""
    shown = guid_text(bytes(range(16)))
    places = [place for place, character in enumerate(shown) if character != "-"]
    digits = [2 * byte + half for byte in bytes.fromhex(shown.replace("-", "")) for half in (0, 1)]
    return list(zip(places, digits, strict=True))


_DIGITS: Final = _digit_places()


def _weights() -> bytes:
    """Return a table of 256 weights for `bytes.translate`; characters without a place sort below all others."""
    table = bytearray([_FIRST_WEIGHT]) * 256
    for weight, character in enumerate(_ORDER, start=_FIRST_WEIGHT + 1):
        table[ord(character)] = table[ord(character.upper())] = weight
    return bytes(table)


_WEIGHTS: Final = _weights()
_SEPARATE_WEIGHTS: Final = b"\0" + _WEIGHTS[1:]  # NUL, which weighs as much as a mark in a text, separates texts
_OTHER_LETTERS: Final = bytes([_FIRST_WEIGHT + len(_ORDER) + 1])


def word_key(text: str | None) -> bytes | None:
    """Return the sort key of the case- and accent-insensitive word order (Latin1_General_CI_AI, simplified).

    Hyphens and apostrophes decide only between strings that are otherwise equal; trailing blanks never count.
    """
    if text is None:
        return None
    if text.isascii():
        raw = text.encode().rstrip(b" ")
        if b"-" in raw or b"'" in raw:
            return raw.translate(_WEIGHTS, _MINOR) + _minor_marks(raw)
        return raw.translate(_WEIGHTS)
    return _unicode_word_key(_folded(text).rstrip(" "))


def word_keys(texts: Sequence[str | None]) -> list[bytes | None]:
    """Return `word_key` of many texts, in less time where they are plain ASCII, as keys of rows and names of tables are."""
    joined = "\0".join(text or "" for text in texts)
    raw = joined.encode() if joined.isascii() else b""
    plain = len(raw) == len(joined) and joined.count("\0") == len(texts) - 1 and None not in texts
    if not plain or b"'" in raw or b" \0" in raw or raw.endswith(b" "):
        return [word_key(text) for text in texts]
    keys = raw.translate(_SEPARATE_WEIGHTS, _MINOR).split(b"\0")
    if b"-" not in raw:
        return list(keys)
    return [key + _minor_marks(one) if b"-" in one else key for key, one in zip(keys, raw.split(b"\0"), strict=True)]


def _minor_marks(raw: bytes) -> bytes:
    """Return the lowest level of a key: where the hyphens and apostrophes are, as lengths between them."""
    if b"'" not in raw and len(raw) < 256:  # nearly always, and several times faster than the general form
        return _SHORT_MARKS + bytes(map(len, raw.split(b"-")))
    marks = (mark.start() << 1 | (mark[0] == b"-") for mark in _MINOR_MARK.finditer(raw))
    return _LONG_MARKS + b"".join(mark.to_bytes(3) for mark in marks)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_WRITTEN_OUT))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _unicode_word_key(folded: str) -> bytes:
    primary = b"".join(map(_weight, folded))
    raw = folded.encode("ascii", "replace")
    return primary + (_minor_marks(raw) if b"-" in raw or b"'" in raw else b"")


def _weight(character: str) -> bytes:
    if character.isascii():
        return character.encode().translate(_WEIGHTS, _MINOR)
    return _OTHER_LETTERS + character.encode("utf-32-be")


def ordinal_key(text: str | None) -> bytes | None:
    """Return the sort key of an order by code points that still ignores case, accents and trailing blanks."""
    if text is None:
        return None
    return _folded(text).rstrip(" ").encode("utf-8", "surrogatepass")


def fold_key(text: str | None) -> bytes | None:
    """Return the sort key of an order by code points in which only case does not count."""
    return None if text is None else text.casefold().encode("utf-8", "surrogatepass")


def exact_key(text: str | None) -> str | None:
    """Return a text itself: SQLite orders texts by code points, as a store does that compares them exactly."""
    return text


type SortKey = Callable[[str | None], str | bytes | None]

SORT_KEYS: Final[dict[str, SortKey]] = {
    "word": word_key,
    "ordinal": ordinal_key,
    "fold": fold_key,
    "exact": exact_key,
}


_WILDCARD: Final = re.compile(r"[%_\[]")
_LITERAL_CLASS: Final = re.compile(r"\[([^\]^])\]")


def exact_text(pattern: str) -> str | None:
    """Return the one text that a pattern matches, None if it has wildcards (docs/reference/dataverse.md 6.2).

    A wildcard in brackets of its own, `[_]`, is the character itself.
    """
    if _WILDCARD.search(pattern) is None:
        return pattern
    bare = _LITERAL_CLASS.sub("", pattern)
    return None if _WILDCARD.search(bare) else _LITERAL_CLASS.sub(r"\1", pattern)


def _literal_prefix(pattern: str) -> str:
    """Return the text before the first wildcard."""
    found = _WILDCARD.search(pattern)
    return pattern[: found.start()] if found else pattern


def word_prefix(pattern: str) -> bytes:
    """Return what the key of every text that matches the pattern begins with, in word order."""
    return b"".join(map(_weight, _folded(_literal_prefix(pattern)).rstrip(" ")))


def ordinal_prefix(pattern: str) -> bytes:
    """Return what the key of every text that matches the pattern begins with, in ordinal order."""
    return _folded(_literal_prefix(pattern)).rstrip(" ").encode("utf-8", "surrogatepass")


def fold_prefix(pattern: str) -> bytes:
    """Return what the key of every text that matches the pattern begins with, in the order that ignores case."""
    return _literal_prefix(pattern).casefold().encode("utf-8", "surrogatepass")


def bounds(order: str, pattern: str) -> tuple[str | bytes, str | bytes]:
    """Return the keys between which those of all texts lie that match the pattern: from, and below which."""
    if order == "exact":
        prefix = _literal_prefix(pattern)
        return prefix, f"{prefix}{_LAST_CHARACTER}"
    low = _PREFIX_KEYS[order](pattern)
    return low, low + _AFTER_ALL


_LAST_CHARACTER: Final = "\U0010ffff"
_AFTER_ALL: Final = b"\xff"  # above every weight of a sort key
_PREFIX_KEYS: Final[dict[str, Callable[[str], bytes]]] = {
    "word": word_prefix,
    "ordinal": ordinal_prefix,
    "fold": fold_prefix,
}


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression for a LIKE pattern: % _ [abc] [a-z] [^abc]."""
    parts = re.split(r"(%|_|\[[^\]]+\])", pattern)
    return re.compile("".join(map(_pattern_part, parts)), re.DOTALL)


def _pattern_part(part: str) -> str:
    if part == "%":
        return ".*"
    if part == "_":
        return "."
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        negated = "^" if part[1] == "^" and len(part) > 3 else ""
        return f"[{negated}{re.escape(part[1 + len(negated) : -1]).replace(r'\-', '-')}]"
    return re.escape(part)


def text_like(pattern: str, text: str | None) -> bool | None:
    """Return whether a text matches a LIKE pattern, ignoring case, accents and trailing blanks; None for null."""
    return None if text is None else _pattern(_folded(pattern)).fullmatch(_folded(text).rstrip(" ")) is not None


def exact_like(pattern: str, text: str | None) -> bool | None:
    """Return whether a text matches a LIKE pattern to the letter; None for null."""
    return None if text is None else _pattern(pattern).fullmatch(text) is not None


def fold_like(pattern: str, text: str | None) -> bool | None:
    """Return whether a text matches a LIKE pattern, ignoring case; None for null."""
    return None if text is None else _pattern(pattern.casefold()).fullmatch(text.casefold()) is not None


LIKES: Final[dict[str, Callable[[str, str | None], bool | None]]] = {
    "word": text_like,
    "ordinal": text_like,
    "fold": fold_like,
    "exact": exact_like,
}


def escaped(text: str) -> str:
    """Return a pattern that matches a text whose wildcards are letters."""
    return "".join(f"[{character}]" if character in "%_[" else character for character in text)
