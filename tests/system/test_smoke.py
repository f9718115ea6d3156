"""scripts/smoke against the real app: it goes all the way, by preflight and dry run, and nothing is written."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

from tests.infra.azure import stand_ins

from .world import ROOT, World


def test_the_smoke_test_passes_where_the_app_works(linked: World, tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    azure = stand_ins(tmp_path / "azure")
    functions = linked.host.ready["functions"]
    azure.knows(functions)
    package = tmp_path / "linker.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("functions.json", json.dumps({"functions": functions, "when": {}}))
    versions = linked.versions("contact")
    command = [ROOT / "scripts" / "smoke", "g", "a", "--package", package, "--url", linked.host.ready["url"]]
    done = subprocess.run(command, capture_output=True, text=True, env=azure.environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "dry run    Successful" in done.stdout
    assert linked.versions("contact") == versions
