"""What the run lock does with the work of a dead run."""

import pytest

from linker.core.model import Mode, RunRequest, Ticket
from linker.core.runs.lock_state import LockState, TakeOver
from linker.core.runs.run_lock import note_progress
from tests.core.runs.locks import ALLOWED, ANY, DRY, FREE, JOB, LEASE_S, MORE, Led, asked, finished, running, taken_over


@pytest.mark.parametrize("state", [FREE, running(Ticket("r", ANY))], ids=["free", "alive"])
def test_there_is_nothing_to_take_over(state: LockState) -> None:
    assert taken_over(state, now=LEASE_S - 1) == (state, None)


def test_the_work_of_a_dead_run_starts_again() -> None:
    dead = Ticket("r", JOB)
    state, taken = taken_over(running(dead))
    again = Ticket("again", JOB, interruptions=1)
    assert taken is not None
    assert (taken.ended, taken.canceled, taken.successor, taken.next) == (dead, False, "again", again)
    kept = TakeOver(Ticket("r", ANY), canceled=False, successor="again")
    assert state == LockState(holder=again, expires=2 * LEASE_S, taken=kept, unstarted="again")


@pytest.mark.parametrize(
    ("state", "work"),
    [
        pytest.param(running(Ticket("r", ALLOWED)), ANY, id="alone"),
        pytest.param(running(Ticket("r", ALLOWED), pending=Ticket("p", JOB)), JOB, id="with a run that waits"),
        pytest.param(
            running(Ticket("r", ALLOWED), pending=Ticket("p", RunRequest(unlink_allowed=(MORE,)))),
            RunRequest(unlink_allowed=(MORE,)),
            id="beside another allowance",
        ),
    ],
)
def test_what_was_allowed_for_a_run_ends_with_it(state: LockState, work: RunRequest) -> None:
    after, taken = taken_over(state)
    assert taken.ended.request == ALLOWED
    assert after.holder.request == work


def test_a_parked_run_has_no_allowance_left() -> None:
    state, _ = taken_over(running(Ticket("r", ALLOWED, interruptions=2)))
    assert state.parked.request == ANY


def test_a_follower_of_an_allowed_run_has_no_allowance() -> None:
    state, _ = asked(running(Ticket("r", ALLOWED)), ANY)
    assert finished(state, "r")[1].request == ANY


def test_the_work_of_a_dead_run_joins_a_waiting_run_under_its_promised_id() -> None:
    state, taken = taken_over(running(Ticket("r", JOB), pending=Ticket("p", RunRequest(mode=Mode.FULL))))
    assert taken is not None
    assert taken.successor == "p"
    assert taken.next == state.holder == Ticket("p", RunRequest(mode=Mode.FULL, jobs=("job",)), interruptions=1)


def test_the_work_of_a_dead_dry_run_waits_for_the_real_run() -> None:
    real = Ticket("p", ANY)
    state, taken = taken_over(running(Ticket("r", DRY), pending=real))
    assert taken is not None
    assert (taken.successor, taken.next) == ("again", real)
    assert state.pending_dry == Ticket("again", DRY, interruptions=1)


def test_a_dead_run_that_was_canceled_just_ends() -> None:
    waiting = Ticket("p", ANY)
    state, taken = taken_over(running(Ticket("r", JOB), pending=waiting, cancel="r"))
    assert taken is not None
    assert (taken.canceled, taken.successor, taken.next) == (True, "", waiting)
    assert (state.holder, state.cancel, state.served) == (waiting, "", ())


def test_after_three_interruptions_the_work_is_parked_until_a_real_request_takes_it_along() -> None:
    dead = Ticket("r", JOB, interruptions=2)
    state, taken = taken_over(running(dead))
    assert taken is not None
    assert (taken.successor, taken.next, state.holder, state.parked) == ("", None, None, dead)
    state, grants = asked(state, DRY)
    assert (grants, state.parked) == ([Led("new1")], dead)
    state, _ = asked(state, RunRequest(mode=Mode.VERIFY))
    assert state.parked is None
    assert state.pending == Ticket("new1", RunRequest(mode=Mode.VERIFY, jobs=("job",)), resumes="r")


def test_after_three_interruptions_the_work_joins_a_waiting_run_which_starts_afresh() -> None:
    state, taken = taken_over(running(Ticket("r", JOB, interruptions=2), pending=Ticket("p", ANY)))
    assert taken is not None
    assert taken.next == state.holder == Ticket("p", JOB)
    assert state.parked is None


def test_after_three_interruptions_a_dry_run_is_given_up() -> None:
    state, taken = taken_over(running(Ticket("r", DRY, interruptions=2)))
    assert taken is not None
    assert (taken.successor, taken.next, state.holder, state.parked) == ("", None, None, None)


def test_a_saved_page_makes_interruptions_count_from_zero() -> None:
    state = note_progress(running(Ticket("r", JOB, interruptions=2)), "r")
    state, taken = taken_over(state)
    assert taken is not None
    assert state.holder == Ticket("again", JOB, interruptions=1)
