"""What must not be found in anything that the app leaves behind, and the search for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Words that may stand nowhere, by what they are."""

    words: Mapping[str, frozenset[str]]

    def found_in(self, material: Mapping[str, str]) -> list[str]:
        """Return where something was found and what it is, never the words themselves; tokens are known by their shape."""
        return sorted(
            f"{place}: {kind}" for place, text in material.items() for kind in self._kinds(text.lower(), text)
        )

    def _kinds(self, lower: str, text: str) -> list[str]:
        known = [kind for kind, words in self.words.items() if any(_stands(word.lower(), lower) for word in words)]
        return [*known, "token"] if TOKEN.search(text) else known


def _stands(word: str, text: str) -> bool:
    """Return whether a word is in a text. A number has to stand there by itself: hashes and fractions hold any by chance."""
    if word not in text or not word.isdigit():
        return word in text
    return re.search(rf"(?<![0-9a-z.]){word}(?![0-9a-z])", text) is not None


def spellings(guids: Iterable[str]) -> frozenset[str]:
    """Return ids in the forms in which they are written."""
    return frozenset(text for guid in guids for text in (guid, guid.replace("-", "")))


def account_key(connection: str) -> str:
    """Return the key in a connection string of a storage account."""
    return connection.partition("AccountKey=")[2].partition(";")[0]


def secrets_of(ready: Mapping[str, str]) -> Hidden:
    """Return the secrets of a sandbox and of a storage account, given what was said when they were ready."""
    return Hidden(
        {
            "identity header": frozenset({ready["identityHeader"]}),
            "account key": frozenset({account_key(ready["tables"])}),
        }
    )


def texts_in(folder: Path) -> dict[str, str]:
    """Return every file of a folder by its name."""
    return {
        file.name: file.read_text(encoding="utf-8", errors="replace") for file in folder.iterdir() if file.is_file()
    }
