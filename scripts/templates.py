"""Write what is derived from infra/main.bicep: python scripts/templates.py

- infra/main.bicepparam: every parameter by an environment variable, for pipelines and for azd.
- infra/azd/main.bicep and its parameters: the same a level higher, so that azd makes the resource group, too.
- infra/azuredeploy.json: compiled, for the button "Deploy to Azure".
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INFRA = ROOT / "infra"
NOTE = "// Written by `make templates` from infra/main.bicep. Change that one."
# Names that azd or the app know already; every other variable is the parameter's name in capitals.
VARIABLES = {"location": "AZURE_LOCATION", "dataverseUrl": "LINKER_DATAVERSE_URL", "linkerSettings": "MORE_SETTINGS"}
NO_DEFAULT = {"dataverseUrl"}  # a wrong environment is worse than none
OUTPUTS = {
    "SERVICE_LINKER_NAME": "appName",
    "SERVICE_LINKER_URI": "appUrl",
    "IDENTITY_CLIENT_ID": "identityClientId",
    "IDENTITY_PRINCIPAL_ID": "identityPrincipalId",
    "VAULT_NAME": "vaultName",
    "EVENT_HUBS_NAMESPACE": "eventHubsNamespace",
}
_PARAMETER = re.compile(r"^((?:@.*\n)+)param (\w+) (\S.*?)(?: = (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of main.bicep: decorators unchanged, name, type and default."""

    decorators: str
    name: str
    type: str
    default: str | None

    @property
    def variable(self) -> str:
        """The environment variable that gives it."""
        return VARIABLES.get(self.name) or re.sub(r"([A-Z])", r"_\1", self.name).upper()

    @property
    def declaration(self) -> str:
        """The declaration, for another template."""
        default = "" if self.default is None or self.name == "location" else f" = {self.default}"
        return f"{self.decorators}param {self.name} {self.type}{default}"

    @property
    def assignment(self) -> str:
        """The line of a parameter file that reads the variable."""
        if self.name == "tags":
            own = "{ 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'linker') }"
            return f"param tags = union(json({self._read("'{}'")}), {own})"
        return f"param {self.name} = {self._converted}"

    @property
    def _converted(self) -> str:
        if self.type == "int" and "@allowed" in self.decorators:
            return f"json({self._read(f"'{self.default}'")})"  # int() gives no literal, which such a parameter needs
        if self.type in ("int", "bool"):
            return f"{self.type}({self._read(f"'{self.default}'")})"
        if self.type == "string[]":
            return f"filter(split({self._read("''")}, ','), one => !empty(one))"
        if self.type != "string":
            return f"json({self._read("'{}'")})"
        return self._read("'westeurope'" if self.name == "location" else str(self.default))

    def _read(self, default: str) -> str:
        given = "" if self.name in NO_DEFAULT else f", {default}"
        return f"readEnvironmentVariable('{self.variable}'{given})"


def main() -> None:
    """Write every derived file."""
    (INFRA / "azd").mkdir(exist_ok=True)
    for name, text in derived(parameters()).items():
        (INFRA / name).write_text(text, encoding="utf-8")
    (INFRA / "azuredeploy.json").write_text(compiled(), encoding="utf-8")


def parameters() -> list[Parameter]:
    """Return the parameters of main.bicep."""
    text = (INFRA / "main.bicep").read_text(encoding="utf-8")
    return [Parameter(*match.groups()) for match in _PARAMETER.finditer(text)]


def derived(known: list[Parameter]) -> dict[str, str]:
    """Return the derived Bicep files by name."""
    own = "param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'linker')"
    assignments = [one.assignment for one in known]
    return {
        "main.bicepparam": _lines([NOTE, "using 'main.bicep'", "", *assignments]),
        "azd/main.bicepparam": _lines([NOTE, "using 'main.bicep'", "", own, *assignments]),
        "azd/main.bicep": _template(known),
    }


def compiled() -> str:
    """Return main.bicep as JSON, without the compiler's version: another one may write the same."""
    command = [ROOT / "scripts" / "bicep", "build", INFRA / "main.bicep", "--stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return json.dumps(without_generator(json.loads(done.stdout)), indent=2, ensure_ascii=False) + "\n"


def without_generator(node: Any) -> Any:
    """Return a compiled template without the notes of the compiler that wrote it, at every depth."""
    if isinstance(node, list):
        return [without_generator(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: without_generator(value) for key, value in node.items() if key != "_generator"}


def _template(known: list[Parameter]) -> str:
    passed = [f"    {one.name}: {one.name}" for one in known]
    outputs = [
        f"@description('As {output} of infra/main.bicep.')\noutput {name} string = linker.outputs.{output}\n"
        for name, output in OUTPUTS.items()
    ]
    return (
        _lines(
            [
                f"{NOTE} It adds the resource group, for `azd up`.",
                "targetScope = 'subscription'",
                "",
                "@description('Name of the azd environment; the resource group is rg-<name>.')",
                "param environmentName string",
                "",
                *(f"{one.declaration}\n" for one in known),
                "resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {",
                "  name: 'rg-${environmentName}'",
                "  location: location",
                "  tags: tags",
                "}",
                "",
                "module linker '../main.bicep' = {",
                "  scope: group",
                "  params: {",
                *passed,
                "  }",
                "}",
                "",
                "@description('Resource group of the app.')",
                "output AZURE_RESOURCE_GROUP string = group.name",
                "",
                *outputs,
            ]
        ).rstrip("\n")
        + "\n"
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
