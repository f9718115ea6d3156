"""Links that vanish or change without us: found, adopted, repaired or guarded (docs/dev/proofs.md G5, G11, G12, G13).

One world for all: each test begins and ends with every link right.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import MakeWorld
from .world import SAMPLE, TABLES, World, world

ROWS = 90


@pytest.fixture(scope="module")
def shared(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tables, tmp_path_factory.mktemp("logs"), "--load", str(SAMPLE), LINKER_UNLINK_MAX_SHARE="1") as made:
        assert made.publish()["status"] == "Successful"
        yield made


@pytest.fixture
def linked(shared: World) -> World:
    """Every link right, counting from zero."""
    assert links(shared) == truth(shared)
    shared.sandbox.reset_counters()
    return shared


def links(world: World) -> dict[str, str | None]:
    return {row: link for table in TABLES for row, link in world.links(table).items()}


def truth(world: World) -> dict[str, str | None]:
    return {row: link for table in TABLES for row, link in world.truth(table).items()}


def incremental(world: World) -> dict[str, int]:
    """Run once more and return what the run counted."""
    return dict(world.ended(world.app.request(mode="incremental"))["counts"])


@pytest.mark.parametrize("comes_back_with", ["same id", "new id"])
def test_links_to_profiles_that_were_deleted_and_came_back_are_right_again(linked: World, comes_back_with: str) -> None:
    """Nothing empties a link to an elastic profile, so a profile under its old id needs no write."""
    linked.unify(delete_profiles=0.2)
    job = linked.unify(bring_back=comes_back_with)["jobId"]
    right = truth(linked)
    wrong = {row for row, link in links(linked).items() if link != right[row]}
    assert bool(wrong) == (comes_back_with == "new id")
    run = linked.publish(job)
    assert (run["status"], run["counts"]["linked"], run["counts"]["unchanged"]) == (
        "Successful", len(wrong), ROWS - len(wrong),
    )  # fmt: skip
    assert linked.counted("rowsChanged") == len(wrong)
    assert links(linked) == right


def test_rows_that_were_created_again_under_their_ids_are_linked_again(linked: World) -> None:
    done = linked.unify(recreate=0.1)
    run = linked.publish(done["jobId"])
    assert (run["status"], run["counts"]["linked"]) == ("Successful", done["recreated"])
    assert linked.counted("rowsChanged") == done["recreated"] > 0
    assert links(linked) == truth(linked)


def test_a_link_that_a_person_cleared_is_set_again_by_the_next_run(linked: World) -> None:
    row = next(iter(linked.truth("contact")))
    linked.edit_link("contact", row, None)
    assert incremental(linked)["linked"] == 1
    assert links(linked) == truth(linked)


def test_a_link_that_a_person_changed_is_found_in_the_sample_of_a_small_table(linked: World) -> None:
    right = linked.truth("contact")
    row, own = next(iter(right.items()))
    other = next(profile for profile in right.values() if profile not in (own, None))
    linked.edit_link("contact", row, other)
    assert incremental(linked)["linked"] == 1  # the sample of confirmed rows covers a table of this size
    assert links(linked) == truth(linked)
    run = linked.ended(linked.app.request(mode="verify"))
    assert (run["status"], run["counts"]["linked"]) == ("Successful", 0)
    assert links(linked) == truth(linked)


def test_a_table_that_leaves_unification_keeps_its_links_and_is_adopted_when_it_comes_back(linked: World) -> None:
    before = links(linked)
    done = linked.unify(snapshot="before", take_out=["lead"])
    run = linked.publish(done["jobId"])
    assert run["status"] == "Completed with warnings"
    (lead,) = (table for table in run["tables"] if table["table"] == "lead")
    assert (lead["counts"]["deferred"], lead["counts"]["unlinked"]) == (30, 0)
    assert "no row of the table is left in the mapping" in lead["detail"]
    assert (linked.counted("rowsWritten"), links(linked)) == (0, before)
    back = linked.publish(linked.unify(restore="before")["jobId"])
    assert (back["status"], back["counts"]["unchanged"], linked.counted("rowsWritten")) == ("Successful", ROWS, 0)


def test_two_writers_of_the_same_links_do_not_disturb_each_other(linked: World) -> None:
    linked.sandbox.admin("POST", "second-writer", {"enabled": True})
    try:
        run = linked.publish(linked.unify(move=0.1)["jobId"])
    finally:
        linked.sandbox.admin("POST", "second-writer", {"enabled": False})
    assert (run["status"], links(linked)) == ("Successful", truth(linked))
    linked.sandbox.reset_counters()
    verified = linked.ended(linked.app.request(mode="verify"))
    assert (verified["status"], verified["counts"]["unchanged"]) == ("Successful", ROWS)
    assert linked.counted("rowsWritten") == 0


def test_links_that_another_writer_set_before_are_adopted_without_a_write(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE))
    world.sandbox.admin("POST", "second-writer/runs")
    world.sandbox.reset_counters()
    run = world.publish()
    assert (run["status"], run["counts"]["unchanged"], run["touches"]["profiles"]) == ("Successful", ROWS, 0)
    assert world.counted("rowsWritten") == 0
