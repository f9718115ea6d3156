"""A row is never in two requests at once (docs/dev/proofs.md D7): a Dataverse that then deadlocks refuses nothing."""

import json
from pathlib import Path

import httpx

from .conftest import MakeWorld

DEADLOCK = {"kind": "deadlock", "overlapping": True, "times": None}
SIZES = {"--contacts": 6_000, "--leads": 2_000, "--members": 0}
ROWS = sum(SIZES.values())


def test_no_row_is_written_by_two_requests_in_flight(make: MakeWorld, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps(DEADLOCK))
    sizes = [str(part) for size in SIZES.items() for part in size]
    world = make(*sizes, "--faults", str(faults), "--switch", "ms_per_row=1")
    first = world.publish()
    assert (first["status"], first["counts"]["linked"]) == ("Successful", ROWS)
    moved = world.unify(move=0.3)["moved"]
    assert world.publish()["counts"]["linked"] == moved
    shown = httpx.get(f"{world.sandbox.ready['dataverse']}/sandbox/faults", timeout=120).json()
    assert ([one["kind"] for one in shown["armed"]], shown["fired"]) == (["deadlock"], [])
