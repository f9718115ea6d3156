"""The customer profile linker: links Dataverse source rows to their customer profiles after each unification.

Here is what this package knows of itself: its version, its commit, and where the documentation of that commit is.
scripts/package.py writes the file of the latter two. Code that runs from a clone has none: it may be of no commit at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

VERSION = "0.1.0"  # stated here only: packaging, the API, and the command line read it
FILE: Final = Path(__file__).with_name("build.json")


@dataclass(frozen=True, slots=True)
class Build:
    """`commit` ends with -dirty if files were changed since. `docs` is the address of the folder docs, with a last slash."""

    commit: str = ""
    docs: str = ""


@cache
def build() -> Build:
    """Return what is known of this package."""
    return Build(**json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else Build()


def docs_url(place: str) -> str:
    """Return the address of a place in the documentation of this version, such as docs/requirements.md#r5.

    Empty where the package does not know it.
    """
    base = build().docs
    return base + place.removeprefix("docs/") if base else ""
