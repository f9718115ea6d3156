"""List the licences of what the deployment package is built from: python scripts/licences.py > docs/licences.md"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, distribution
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
# What packages wrote before there was a field for SPDX expressions.
SPDX = {
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# All let us use packages and hand them on unchanged; MPL-2.0 asks for the source of changed files, and none is changed.
ALLOWED = frozenset({"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"})
HEAD = """# Licences of the packages in the deployment package

Written by `make licences` from the metadata of the packages in `requirements.lock`. A test holds it against them, and against
the licences that `scripts/licences.py` allows. *BSD* is written where a package does not name the variant.

| Package | Version | Licence |
|---|---|---|"""


def locked() -> list[tuple[str, str]]:
    """Return name and version of each package in the lock."""
    return re.findall(r"^([\w.-]+)==(\S+) ", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def licence_of(name: str) -> str:
    """Return the licence of an installed package as an SPDX expression, or in its own words without one."""
    facts = distribution(name).metadata
    told = facts.get("License-Expression") or next(_classified(facts), "") or facts.get("License") or ""
    return SPDX.get(told, told).partition("\n")[0]


def is_allowed(expression: str) -> bool:
    """Whether each licence that an expression names is an allowed one."""
    return set(re.findall(r"[\w.-]+", expression)) - {"AND", "OR"} <= ALLOWED and bool(expression)


def document() -> str:
    """Return the list as Markdown."""
    return "\n".join([HEAD, *(f"| {name} | {version} | {licence_of(name)} |" for name, version in locked()), ""])


def _classified(facts: PackageMetadata) -> Iterator[str]:
    for classifier in facts.get_all("Classifier") or []:
        if classifier.startswith("License :: OSI Approved :: "):
            yield classifier.rpartition(" :: ")[2]


if __name__ == "__main__":
    print(document(), end="")
