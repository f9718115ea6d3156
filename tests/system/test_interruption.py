"""The host dies in the middle of a run and a new one starts: nothing is lost, nothing is wrong, nothing is done twice.

It dies at the worst moment: two pages are saved, and the write of the third is held until its sender is gone.
"""

import pytest

from .conftest import MakeWorld
from .world import World, until

SIZES = {"contact": 150, "lead": 150, "new_member": 150}  # one page each
LOADED = [text for name, rows in SIZES.items() for text in (f"--{name.removeprefix('new_')}s", str(rows))]
SHORT_LEASE = {"LINKER_LEASE_SECONDS": "5"}  # a dead host is noticed in seconds
# What the dead host had in hand is free in seconds; its own writes wait for as long as the test holds them.
IMPATIENT = {"LINKER_ATTEMPT_SECONDS": "10", "LINKER_WRITE_TIMEOUT_SECONDS": "6"}


@pytest.fixture
def world(make: MakeWorld) -> World:
    """Three tables of one page each."""
    return make(*LOADED, **SHORT_LEASE)


def test_a_new_host_links_the_rest_and_writes_no_row_again(world: World) -> None:
    killed = kill_in_mid_write(world, world.sandbox.last_job())
    world.start_host(**IMPATIENT)
    ended = world.ended(killed)
    assert ended["status"] == "Failed (permanent)"
    assert "interrupted" in ended["statusDetail"]
    run = world.ended(ended["followUp"])
    assert (run["status"], run["counts"]["rowsRead"]) == ("Successful", 450)
    assert {table: world.links(table) for table in SIZES} == {table: world.truth(table) for table in SIZES}
    assert {table: world.counted("rowsWritten", table) for table in SIZES} == SIZES


def test_a_unification_that_goes_back_meanwhile_leaves_no_wrong_link(world: World) -> None:
    assert world.publish()["status"] == "Successful"
    moved = world.unify(move=0.5, snapshot="before")
    killed = kill_in_mid_write(world, moved["jobId"])
    assert world.counted("rowsChanged") == moved["moved"]  # whether a host knows of it or not

    back = world.sandbox.unify(restore="before")
    world.start_host(**IMPATIENT)
    world.ended(killed)
    assert world.publish(back["jobId"])["status"] == "Successful"
    assert {table: world.links(table) for table in SIZES} == {table: world.truth(table) for table in SIZES}
    assert world.counted("rowsChanged") == moved["moved"] * 2  # there and back


def kill_in_mid_write(world: World, job: str) -> str:
    """Start a run, kill the host when all pages but one are saved, and wait until the write of that one has committed."""
    with world.holding(table="lead", operation="UpdateMultiple"):
        run = str(world.app.publish(job)["id"])
        until(lambda: world.app.run(run)["progress"] or {}, lambda progress: progress.get("pagesDone") == 2)
        world.kill_host()
        assert not world.counted("rowsWritten", "lead")
    until(lambda: world.counted("rowsWritten", "lead"), bool)
    return run
