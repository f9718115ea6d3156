"""Programs that stand in for the Azure CLI and curl, and behave as the real services were seen to.

- `az functionapp function list` shows "WarmUp" alone until the triggers were synchronized, sometimes more than once
  (Azure/azure-functions-host#10169).
- A deployment goes through its states, and is forgotten when the worker that did it is recycled: then its address is a 404
  (waitForDeployment in azure-dev; _check_zip_deployment_status_flex in azure-cli).
- The host's state comes through ARM with `properties` (Azure/azure-functions-host#4570, #10226).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AZ = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["STAND_IN"])
words = sys.argv[1:]
line = " ".join(words)
with (folder / "calls").open("a") as calls:
    calls.write("az " + line + "\\n")
facts = json.loads((folder / "facts.json").read_text())
synced = (folder / "syncs").read_text().count("\\n") if (folder / "syncs").exists() else 0
def answer(value):
    print(value if "tsv" in words else json.dumps(value))
if line.startswith("resource show"):
    resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/a"
    answer("linker.scm.example.com" if "tsv" in words else [resource, "a.example.com"])
elif line.startswith("account get-access-token"):
    answer("a-token")
elif line.startswith("functionapp config appsettings list"):
    answer(facts["settings"])
elif line.startswith("functionapp keys list"):
    answer("a-key")
elif line.startswith("functionapp function list"):
    if facts["list_fails"]:
        sys.exit("Encountered an error (ServiceUnavailable) from host runtime.")
    answer(["a/" + name for name in (facts["functions"] if synced >= facts["syncs_needed"] else ["WarmUp"])])
elif "host/default/sync?" in line:
    with (folder / "syncs").open("a") as syncs:
        syncs.write("sync\\n")
    if synced < facts["sync_fails"]:
        sys.exit("Encountered an error (BadRequest) from host runtime.")
elif "host/default/properties/status?" in line:
    answer({{"properties": facts["host"]}})
else:
    sys.exit("the stand-in does not know: az " + line)
"""
CURL = """#!{python}
import os, pathlib, sys
folder = pathlib.Path(os.environ["STAND_IN"])
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write("curl " + " ".join(words) + "\\nstdin " + sys.stdin.read().strip() + "\\n")
output = pathlib.Path(words[words.index("--output") + 1])
if "/api/publish" in words[-1]:
    output.write_text((folder / "taken").read_text())
    sys.exit(int((folder / "taken-code").read_text()))
states = (folder / "states").read_text().splitlines()
state = states[0] if states else "down"
if len(states) > 1 or state != "404":
    (folder / "states").write_text("".join(one + "\\n" for one in states[1:]))
if state == "down":
    sys.exit(7)
code = "404" if state == "404" else "503" if state == "503" else "200" if state == "4" else "202"
known = '{{"id": "a-deployment", "status": %s, "status_text": "", "complete": false}}' % state
output.write_text(known if code[0] == "2" else "Not Found")
print(code, end="")
"""


QUICK = {"PUBLISH_LOOKS": "12", "PUBLISH_SYNC_WAIT": "0"}


@dataclass(frozen=True, slots=True)
class Azure:
    """A folder with the stand-ins on a PATH, and what they were called with."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a script that is to find the stand-ins first."""
        return {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "STAND_IN": str(self.folder),
        } | QUICK

    def knows(self, functions: Sequence[str] = (), **facts: Any) -> None:
        """Say what the service knows of the app."""
        known = {
            "functions": list(functions), "settings": [], "syncs_needed": 0, "sync_fails": 0, "list_fails": False,
            "host": {"state": "Running", "version": "4.1048.200", "extensionBundle": {"id": "b", "version": "4.45.1"}},
        }  # fmt: skip
        (self.folder / "facts.json").write_text(json.dumps(known | facts), encoding="utf-8")

    def deploys(self, *states: str, answer: str = '"a-deployment"', code: int = 0) -> None:
        """Say what a deployment goes through; `code` is how curl ends when the package is sent."""
        (self.folder / "states").write_text("".join(f"{state}\n" for state in states), encoding="utf-8")
        (self.folder / "taken").write_text(answer, encoding="utf-8")
        (self.folder / "taken-code").write_text(str(code), encoding="utf-8")

    @property
    def calls(self) -> list[str]:
        """Every call, with what came on standard input on a line of its own."""
        return (self.folder / "calls").read_text(encoding="utf-8").splitlines()


def stand_ins(folder: Path) -> Azure:
    """Return stand-ins in a folder: az, curl, and a sleep that takes no time."""
    (folder / "bin").mkdir()
    sleep = "#!/bin/sh\necho sleep $1 >> $STAND_IN/calls\n"
    for name, text in {"az": AZ, "curl": CURL}.items():
        (folder / "bin" / name).write_text(text.format(python=sys.executable), encoding="utf-8")
    (folder / "bin" / "sleep").write_text(sleep, encoding="utf-8")
    for file in (folder / "bin").iterdir():
        file.chmod(0o755)
    return Azure(folder)
