"""What a page says of the action that led to it. An address names one of these and carries no text of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {}
