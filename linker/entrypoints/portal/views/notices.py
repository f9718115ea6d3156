"""What a page says of the action that led to it. An address names one of these and carries no text of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {
    "asked": "The run was asked for. These are its details.",
    "approved": "The first link is allowed, and a run was asked for. These are its details.",
    "canceled": "The run was asked to stop.",
    "over": "The run is over. There was nothing left to stop.",
}
