"""The first run where Dataverse is slow with its own definitions (docs/reference/dataverse.md 8.2 and 8.4)."""

from collections.abc import Callable

import pytest

from .conftest import MakeWorld
from .world import SAMPLE, TABLES, World, until


def nothing(world: World) -> None:
    """Let the run meet what the switch does."""


def until_it_waits(world: World) -> None:
    """Let the other customisation end once the run has met it."""
    until(world.sandbox.counters, lambda counted: counted["requests"].get("429", 0) > 0)
    world.sandbox.admin("POST", "config", {"customizing": False})


@pytest.mark.parametrize(
    ("switch", "meanwhile"),
    [
        pytest.param("metadata_lag_s=2", nothing, id="a new column is not known everywhere at once"),
        pytest.param("customizing=true", until_it_waits, id="a solution is being imported"),
    ],
)
def test_the_first_run_waits_for_its_column_and_then_links_every_row(
    make: MakeWorld, switch: str, meanwhile: Callable[[World], None]
) -> None:
    world = make("--load", str(SAMPLE), "--switch", switch)
    asked = world.app.publish(world.sandbox.last_job())
    meanwhile(world)
    run = world.ended(asked)
    assert (run["status"], run["counts"]["linked"], run["counts"]["rejected"]) == ("Successful", 90, 0)
    assert {table["column"] for table in run["tables"]} == {"created"}
    assert {table: world.links(table) for table in TABLES} == {table: world.truth(table) for table in TABLES}
