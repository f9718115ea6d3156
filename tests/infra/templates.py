"""The Bicep compiler, and what it says that a parameter set would deploy."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
# Made up, and the same as in scripts/snapshots: names and role assignments are derived from them.
SCOPE = ["--location=westeurope", "--resource-group=rg-linker-test"]
SCOPE += ["--tenant-id=11111111-1111-1111-1111-111111111111", "--subscription-id=22222222-2222-2222-2222-222222222222"]

type Resource = dict[str, Any]


def bicep(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the compiler; code 127 says that there is none."""
    return subprocess.run([ROOT / "scripts" / "bicep", *arguments], capture_output=True, text=True, check=False)


def complaints(stderr: str) -> list[str]:
    """Return what the compiler has against a template, without what depends on today's date: `make outdated` reports that."""
    return [line for line in stderr.splitlines() if " use-recent-api-versions: " not in line]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The resources that a parameter set would deploy."""

    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of a type, compared without case."""
        return [one for one in self.resources if one["type"].lower() == kind.lower()]

    def one(self, kind: str) -> dict[str, Any]:
        """Return the properties of the only resource of a type."""
        (found,) = self.of(kind)
        return found["properties"]  # type: ignore[no-any-return]

    def named(self, kind: str, end: str) -> Resource:
        """Return the resource of a type whose name ends so."""
        (found,) = (one for one in self.of(kind) if one["name"].endswith(end))
        return found

    @property
    def settings(self) -> dict[str, str]:
        """The app settings by name."""
        return self.named("Microsoft.Web/sites/config", "/appsettings")["properties"]  # type: ignore[no-any-return]


def stored(file: Path) -> Deployment:
    """Return a golden snapshot."""
    return _deployment(file.read_text(encoding="utf-8"))


def main_files() -> list[Path]:
    """Return the files of the deployment itself: what azd has on top is derived from them."""
    return sorted(file for file in INFRA.rglob("*.bicep") if file.parent.name != "azd")


def evaluated(folder: Path, parameters: Mapping[str, Any]) -> Deployment:
    """Return what main.bicep would deploy with these parameters. Raises AssertionError with the compiler's words."""
    file = folder / "set.bicepparam"
    lines = [f"param {name} = {_literal(value)}" for name, value in parameters.items()]
    main = INFRA.relative_to(folder, walk_up=True) / "main.bicep"
    file.write_text("\n".join([f"using '{main.as_posix()}'", *lines, ""]), encoding="utf-8")
    done = bicep("snapshot", file, *SCOPE)
    assert done.returncode == 0, done.stdout + done.stderr
    return _deployment((folder / "set.snapshot.json").read_text(encoding="utf-8"))


def templates(node: Any, name: str = "main") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a compiled template and those of its modules, each with its name."""
    yield name, node
    for key, resource in node["resources"].items() if isinstance(node["resources"], dict) else ():
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"], key)


def _deployment(text: str) -> Deployment:
    found = json.loads(text)
    assert [one for one in found["diagnostics"] if "use-recent-api-versions" not in json.dumps(one)] == []
    return Deployment(tuple(found["predictedResources"]))


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name}: {_literal(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
