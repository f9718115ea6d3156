"""Style sheet and script: part of the package, named by their contents, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from linker.entrypoints.http.messages import Reply, not_found

FOLDER: Final = Path(__file__).with_name("assets")
MEDIA_TYPES: Final = {"portal.css": "text/css", "portal.js": "text/javascript"}


def asset(name: str) -> Reply:
    """Return one asset. Raises ProblemError 404."""
    if name not in MEDIA_TYPES:
        raise not_found("asset of this name")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Reply(200, _text(name), headers, MEDIA_TYPES[name])


@cache
def version(name: str) -> str:
    """Return what changes with the contents of an asset."""
    return hashlib.sha256(_text(name).encode()).hexdigest()[:12]


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
