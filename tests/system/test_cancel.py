"""A run that is stopped stops within one page, leaves a state that is right, and the next run continues from there."""

import httpx
import pytest

from .conftest import MakeWorld
from .world import TABLES, World, until

SIZES = {"contact": 15_000, "lead": 100, "new_member": 100}  # four shards and one and one
LOADED = [text for name, rows in SIZES.items() for text in (f"--{name.removeprefix('new_')}s", str(rows))]


@pytest.fixture
def world(make: MakeWorld) -> World:
    """Six shards, one after the other."""
    return make(*LOADED, LINKER_WIDTH="1")


def test_a_run_stops_with_the_pages_in_flight_and_the_next_one_writes_exactly_the_rest(world: World) -> None:
    with world.holding(operation="UpdateMultiple", table="contact", skip=6):
        run = world.app.publish(world.sandbox.last_job())
        until(lambda: world.app.run(run["id"])["progress"] or {}, lambda progress: progress.get("pagesDone", 0) >= 1)
        assert world.app.cancel(run["id"])["status"] == "Refreshing"
    canceled = world.ended(run)

    assert canceled["status"] == "Canceled"
    assert "next run" in canceled["statusDetail"]
    assert {table["status"] for table in canceled["tables"]} == {"Canceled"}
    written = {table: world.counted("rowsWritten", table) for table in SIZES}
    assert 0 < written["contact"] < SIZES["contact"]
    assert {table["table"]: table["counts"]["linked"] for table in canceled["tables"]} == written
    assert canceled["counts"]["linked"] == sum(written.values())
    truth, links = world.truth("contact"), world.links("contact")
    linked = {row: link for row, link in links.items() if link}
    assert (len(linked), linked.items() <= truth.items()) == (written["contact"], True)

    assert world.publish()["status"] == "Successful"
    assert {table: world.links(table) for table in SIZES} == {table: world.truth(table) for table in SIZES}
    assert {table: world.counted("rowsWritten", table) for table in SIZES} == SIZES, "no row is written twice"


def test_a_run_stops_in_the_midst_of_unlinking_and_the_next_one_clears_the_rest(world: World) -> None:
    assert world.publish()["status"] == "Successful"
    job = world.unify(drop=0.05)["jobId"]
    with world.holding(operation="UpdateMultiple", table="contact", skip=1):
        run = world.app.publish(job)
        until(lambda: world.counted("rowsWritten", "contact"), bool)
        world.app.cancel(run["id"])
    canceled = world.ended(run)

    truth, links = world.truth("contact"), world.links("contact")
    departed = {row for row in links if truth.get(row) is None}
    left = {row for row in departed if links[row]}
    assert canceled["status"] == "Canceled"
    assert 0 < len(left) < len(departed)
    assert canceled["counts"]["unlinked"] == len(departed) - len(left)

    following = world.publish(job)
    assert (following["status"], following["statusDetail"]) == ("Successful", "")
    assert {row for row, link in world.links("contact").items() if link} == links.keys() - departed


def test_a_run_that_is_over_cannot_be_stopped_any_more(fresh: World) -> None:
    run = fresh.ended(fresh.app.request(dryRun=True))
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        fresh.app.cancel(run["id"])
    assert fresh.app.run(run["id"])["status"] == "Successful"


def test_who_waits_behind_a_stopped_run_is_served_by_the_next_one(fresh: World) -> None:
    with fresh.holding(operation="UpdateMultiple"):
        running = fresh.app.publish(fresh.sandbox.last_job())
        waiting = fresh.app.request(mode="incremental")
        fresh.app.cancel(running["id"])
    assert fresh.ended(running)["status"] == "Canceled"
    assert fresh.ended(waiting)["status"] == "Successful"
    assert {table: fresh.links(table) for table in TABLES} == {table: fresh.truth(table) for table in TABLES}
