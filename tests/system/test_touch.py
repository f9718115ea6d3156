"""The profile touch over the whole app, when Dataverse or the host gets in its way."""

from __future__ import annotations

from sandbox.schema.insights_tables import PROFILES

from .conftest import MakeWorld
from .world import SAMPLE, TABLES, World, until

# Each profile is written with the version that was read, so touches are changes of single rows in a batch.
TOUCH = {"operation": "$batch", "body": "PATCH /api/data/v9.2/msdynci_customerprofiles("}
SHORT_LEASE = {"LINKER_LEASE_SECONDS": "5"}  # a dead host is noticed in seconds


def profiles(world: World) -> int:
    """Return how many profiles have a linked row."""
    return len({profile for table in TABLES for profile in world.links(table).values() if profile})


def test_a_throttle_is_waited_out_and_no_profile_is_written_twice(fresh: World) -> None:
    fresh.sandbox.admin("POST", "faults", TOUCH | {"kind": "requests_limit", "retry_after_s": 2})
    run = fresh.publish()
    assert (run["status"], run["touches"]["touched"]) == ("Successful", profiles(fresh))
    assert fresh.counted("rowsWritten", PROFILES) == profiles(fresh)
    assert len(fresh.sandbox.admin("GET", "faults")["fired"]) == 1


def test_a_host_that_dies_in_the_touch_leaves_it_to_the_next_run(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE), **SHORT_LEASE)
    with world.holding(**TOUCH):
        run = world.app.publish(world.sandbox.last_job())
        until(lambda: world.sandbox.admin("GET", "faults"), lambda faults: bool(faults["fired"]))
        world.kill_host()
    world.start_host()
    killed = world.ended(run)
    assert "interrupted" in killed["statusDetail"]
    after = world.ended(killed["followUp"])
    assert (after["status"], after["counts"]["unchanged"], after["counts"]["linked"]) == ("Successful", 90, 0)
    assert after["touches"]["touched"] == profiles(world)
    once = profiles(world)
    assert world.counted("rowsWritten", PROFILES) in (once, 2 * once)  # the write of the dead host may come late
