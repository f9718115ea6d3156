"""The parts of the soak that compute: what changes, what is expected, what grows. Nothing is timed here."""

from dataclasses import replace

import pytest

from bench.machine import Machine
from bench.soak import changes, differences, expected
from bench.soak_figures import Hub, Round, Soak, Stored, goals

ROUNDS = 200


def soak(*, grows: bool = False, **changed: object) -> Soak:
    def one(number: int) -> Round:
        entities = 40 + number if grows else 40
        stored = {"linkerstatus": Stored(entities, 1_000 * entities), "linkerhashes": Stored(3, 70_000)}
        made = Round(number, 500, 500, 480, 0, 4.0, "incremental", "Successful", 120.0, Hub(16, 400, 60_000), stored)
        return replace(made, **changed) if number == ROUNDS else made  # type: ignore[arg-type]

    machine = Machine("2026-01-01 00:00 UTC", "CPU", 2, 8.0, "3.13.0", 1.2)
    return Soak(machine, 50_000, 6, 10, 2, 3_000.0, tuple(one(number) for number in range(1, ROUNDS + 1)))


def missed(found: Soak) -> list[str]:
    return [goal.what for goal in goals(found) if not goal.met]


def test_rows_move_in_every_unification_or_go_back_and_nothing_is_left_for_good() -> None:
    cycle = [changes(number) for number in range(1, 11)]
    assert [("move" in change, "restore" in change) for change in cycle] == [(True, False)] * 4 + [(False, True)] + [
        (True, False)
    ] * 4 + [(False, True)]
    assert {change.get("bring_back") for change in cycle} == {None, "same id", "new id"}


@pytest.mark.parametrize(
    ("before", "mapped", "after"),
    [
        pytest.param("p1", {"row": "p2"}, "p2", id="another profile"),
        pytest.param(None, {"row": "p2"}, "p2", id="a first link"),
        pytest.param("p1", {"row": None}, "p1", id="a missing profile leaves the link alone"),
        pytest.param("p1", {}, None, id="left the mapping"),
    ],
)
def test_expected(before: str | None, mapped: dict[str, str | None], after: str | None) -> None:
    assert expected({"row": before}, mapped) == {"row": after}


def test_a_row_that_was_created_is_a_difference() -> None:
    assert differences({"a": None}, {"a": None, "b": None}) == 1
    assert differences({"a": "p1", "b": None}, {"a": "p2", "b": None}) == 1


def test_what_stays_the_same_meets_every_goal() -> None:
    assert missed(soak()) == []


def test_storage_that_grows_is_missed() -> None:
    assert missed(soak(grows=True)) == ["Table Storage, entities: growth", "Table Storage, bytes: growth"]


@pytest.mark.parametrize(
    ("changed", "goal"),
    [
        ({"wrong": 1}, "Rows without their link after a unification, all together"),
        ({"written": 501}, "Unifications after which other rows were written than moved"),
        ({"mode": "full"}, "Runs that were not incremental"),
    ],
    ids=["a wrong link", "a row written too often", "a full run"],
)
def test_one_unification_is_enough_to_miss_a_goal(changed: dict[str, object], goal: str) -> None:
    assert missed(soak(**changed)) == [goal]
