"""App settings of the local host: environment over local.settings.json over the defaults for one machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from sandbox.host.errors import StartRefusedError

LOCAL_DEFAULTS: dict[str, str] = {
    "AZURE_FUNCTIONS_ENVIRONMENT": "Development",  # as Core Tools sets it
    "LINKER_LEASE_SECONDS": "15",
    "LINKER_ATTEMPT_SECONDS": "30",
    "LINKER_WRITE_TIMEOUT_SECONDS": "20",
    "LINKER_WATCHDOG_SCHEDULE": "*/5 * * * * *",
}
"""Settings that only make sense on one machine."""

_PLACEHOLDER = re.compile(r"%([^%]+)%")

type DefaultOf = Callable[[str], str | None]


def apply_settings(app_dir: Path, environment: MutableMapping[str, str]) -> None:
    """Complete `environment` with the values of local.settings.json, then with the defaults for one machine."""
    for name, value in (LOCAL_DEFAULTS | read_local_settings(app_dir)).items():
        environment.setdefault(name, value)


def read_local_settings(app_dir: Path) -> dict[str, str]:
    """Return "Values" of local.settings.json; no file means no values. Raises StartRefusedError if it is malformed."""
    path = app_dir / "local.settings.json"
    content = read_json(path) if path.exists() else {}
    if content.get("IsEncrypted"):
        raise StartRefusedError(f"{path} is encrypted. Decrypt it with `func settings decrypt`.")
    values = content.get("Values", {})
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise StartRefusedError(f"{path}: the value of {', '.join(wrong)} must be a text in double quotes.")
    return dict(values)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`. Raises StartRefusedError with file, line and column for another content."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise StartRefusedError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise StartRefusedError(f"{path} must hold one JSON object.")
    return content


def resolve_placeholders(text: str, settings: Mapping[str, str], default_of: DefaultOf, *, where: str) -> str:
    """Replace each `%NAME%` of a binding by that setting, as the real host does (docs/reference/azure.md 4.1).

    `where` says whose binding it is. Raises StartRefusedError naming a setting that is neither set nor has a default.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        found = settings.get(name) or default_of(name)
        if found is None:
            raise StartRefusedError(f"Setting {name} is missing, and {where} needs it. {_ADVICE.format(name=name)}")
        return found

    return _PLACEHOLDER.sub(value, text)


_ADVICE = 'Set the environment variable {name}, or add "{name}" to "Values" in local.settings.json.'
