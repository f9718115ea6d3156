"""The rules of the run lock, one a test."""

from dataclasses import replace

import pytest

from linker.core.model import Mode, RunRequest, Ticket
from linker.core.runs.lock_state import MAX_SERVED, MAX_TABLES, LockState, covers, merge_requests
from linker.core.runs.run_lock import MAX_ASKED, Cancellation, Renewal, cancel, note_progress, renew, request
from tests.core.runs.locks import (
    ALLOWED,
    ANY,
    DRY,
    FREE,
    JOB,
    LEASE_S,
    MORE,
    SOME,
    Led,
    asked,
    finished,
    running,
)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        pytest.param(ANY, RunRequest(mode=Mode.FULL), RunRequest(mode=Mode.FULL), id="the stronger mode"),
        pytest.param(
            RunRequest(mode=Mode.VERIFY), ANY, RunRequest(mode=Mode.VERIFY), id="verify is stronger than incremental"
        ),
        pytest.param(
            RunRequest(tables=("a", "b")),
            RunRequest(tables=("b", "c")),
            RunRequest(tables=("a", "b", "c")),
            id="tables",
        ),
        pytest.param(RunRequest(tables=("a",)), ANY, ANY, id="all tables"),
        pytest.param(
            RunRequest(jobs=("1", "2")), RunRequest(jobs=("2", "3")), RunRequest(jobs=("1", "2", "3")), id="jobs"
        ),
        pytest.param(
            RunRequest(trigger="event"), RunRequest(trigger="timer"), RunRequest(trigger="event"), id="trigger"
        ),
        pytest.param(
            ANY, RunRequest(nameless_job=True), RunRequest(nameless_job=True), id="a unification without a name"
        ),
        pytest.param(ANY, ALLOWED, ALLOWED, id="an allowance"),
        pytest.param(
            ALLOWED,
            RunRequest(unlink_allowed=(MORE, SOME)),
            RunRequest(unlink_allowed=(MORE,)),
            id="of allowances for one table the largest",
        ),
    ],
)
def test_merging(first: RunRequest, second: RunRequest, both: RunRequest) -> None:
    assert merge_requests(first, second) == both
    assert covers(both, first)
    assert covers(both, second)


@pytest.mark.parametrize(
    ("done", "wanted"),
    [
        pytest.param(ANY, RunRequest(mode=Mode.FULL), id="weaker mode"),
        pytest.param(RunRequest(tables=("a",)), ANY, id="fewer tables"),
        pytest.param(RunRequest(tables=("a",)), RunRequest(tables=("b",)), id="other table"),
        pytest.param(ANY, JOB, id="without the job"),
        pytest.param(DRY, ANY, id="dry"),
        pytest.param(ANY, DRY, id="real instead of dry"),
        pytest.param(ANY, ALLOWED, id="without the allowance"),
        pytest.param(ALLOWED, RunRequest(unlink_allowed=(MORE,)), id="for fewer rows than allowed"),
    ],
)
def test_what_does_not_cover(done: RunRequest, wanted: RunRequest) -> None:
    assert not covers(done, wanted)


def test_of_very_many_jobs_that_wait_the_newest_are_kept() -> None:
    jobs = [f"job{number}" for number in range(MAX_SERVED + 5)]
    state, _ = asked(running(Ticket("r", ANY)), *(RunRequest(jobs=(job,)) for job in jobs))
    assert state.pending is not None
    assert state.pending.request.jobs == tuple(jobs[5:])


def test_who_asks_for_very_many_tables_gets_all() -> None:
    names = [f"t{number}" for number in range(MAX_TABLES + 1)]
    most, one_more = RunRequest(tables=tuple(names[1:])), RunRequest(tables=(names[0],))
    assert merge_requests(most, one_more) == ANY
    assert covers(merge_requests(most, one_more), most)
    state, _ = asked(FREE, RunRequest(tables=tuple(names)))
    assert state.holder is not None
    assert state.holder.request.tables == ()


def test_a_request_takes_the_free_lock() -> None:
    state, grants = asked(FREE, JOB, now=5.0)
    assert grants == [Led("new1")]
    assert state == LockState(holder=Ticket("new1", JOB), expires=5.0 + LEASE_S, unstarted="new1")


def test_requests_to_a_held_lock_wait_as_one_run() -> None:
    state, grants = asked(running(Ticket("r", ANY)), RunRequest(mode=Mode.FULL, tables=("a",)), ANY, JOB)
    assert grants == [Led("new1", waits=True)] * 3
    assert state.pending == Ticket("new1", RunRequest(mode=Mode.FULL, jobs=("job",)))


def keyed(state: LockState, key: str, run_id: str, wanted: RunRequest = ANY) -> tuple[LockState, Led]:
    state, grant = request(state, wanted, run_id=run_id, now=1.0, lease_s=LEASE_S, key=key)
    return state, Led(grant.run, grant.waits, grant.served)


def test_the_same_request_sent_twice_leads_to_the_same_run() -> None:
    state, first = keyed(FREE, "key", "new1", ALLOWED)
    assert first == Led("new1")
    assert keyed(state, "key", "new2", ALLOWED) == (state, Led("new1"))
    over, _ = finished(state, "new1")
    assert keyed(over, "key", "new2", ALLOWED) == (over, Led("new1"))


def test_a_repeated_request_that_was_merged_leads_to_the_run_it_waits_for() -> None:
    state, first = keyed(running(Ticket("r", ANY), pending=Ticket("p", ANY)), "key", "new1")
    over, _ = finished(state, "r")
    assert (first, keyed(over, "key", "new2")) == (Led("p", waits=True), (over, Led("p")))


def test_requests_with_other_keys_or_none_are_other_requests() -> None:
    state, _ = keyed(FREE, "key", "new1")
    assert keyed(state, "other", "new2")[1] == keyed(state, "", "new2")[1] == Led("new2", waits=True)


def test_the_newest_keys_are_remembered() -> None:
    state = FREE
    for number in range(MAX_ASKED + 1):
        state, _ = keyed(state, f"key{number}", "new")
    assert [key for key, _ in state.asked] == [f"key{number}" for number in range(1, MAX_ASKED + 1)]


def test_dry_and_real_requests_wait_apart() -> None:
    state, grants = asked(running(Ticket("r", ANY)), DRY, ANY, DRY)
    assert grants == [Led("new1", waits=True), Led("new2", waits=True), Led("new1", waits=True)]
    assert (state.pending, state.pending_dry) == (Ticket("new2", ANY), Ticket("new1", DRY))


@pytest.mark.parametrize(
    ("state", "run"),
    [
        pytest.param(running(Ticket("r", JOB)), "r", id="job runs"),
        pytest.param(running(Ticket("r", ANY), pending=Ticket("p", JOB)), "p", id="job waits"),
        pytest.param(running(Ticket("r", JOB), cancel="r"), "new1", id="job's run is stopping"),
        pytest.param(running(Ticket("r", JOB), expires=1.0), "new1", id="job's run is dead"),
        pytest.param(running(Ticket("r", replace(JOB, dry_run=True))), "new1", id="job's run is dry"),
        pytest.param(running(Ticket("r", replace(JOB, tables=("a",)))), "new1", id="job's run is over one table"),
        pytest.param(running(Ticket("r", ANY)), "new1", id="another run"),
    ],
)
def test_a_job_makes_one_run(state: LockState, run: str) -> None:
    after, grants = asked(state, JOB)
    assert grants == [Led(run, waits=run != "r")]
    assert (after == state) == (run != "new1")


def test_a_request_without_job_never_counts_as_served_by_the_running_run() -> None:
    _, grants = asked(running(Ticket("r", JOB)), ANY)
    assert grants == [Led("new1", waits=True)]


@pytest.mark.parametrize(
    "state", [running(Ticket("r", replace(JOB, nameless_job=True))), LockState(served=(("job", "r"),))]
)
def test_a_unification_without_a_name_may_be_another_one_and_makes_a_run(state: LockState) -> None:
    _, grants = asked(state, replace(JOB, nameless_job=True))
    assert [grant.run for grant in grants] == ["new1"]


@pytest.mark.parametrize(
    "state", [LockState(served=(("job", "done"),)), running(Ticket("r", ANY), served=(("job", "done"),))]
)
def test_a_served_job_makes_no_run(state: LockState) -> None:
    after, grants = asked(state, JOB)
    assert grants == [Led("done", served=True)]
    assert after == state


@pytest.mark.parametrize(
    "more", [{"mode": Mode.FULL}, {"dry_run": True}, {"jobs": ("job", "other")}, {"unlink_allowed": (SOME,)}]
)
def test_a_request_that_asks_for_more_than_a_served_job_makes_a_run(more: dict[str, object]) -> None:
    _, grants = asked(LockState(served=(("job", "done"),)), replace(JOB, **more))  # type: ignore[arg-type]
    assert grants == [Led("new1")]


def test_a_request_does_not_replace_a_dead_run() -> None:
    state, grants = asked(running(Ticket("r", ANY)), ANY, now=LEASE_S + 1)
    assert grants == [Led("new1", waits=True)]
    assert state.holder == Ticket("r", ANY)


@pytest.mark.parametrize("now", [50.0, 150.0], ids=["in time", "late but not taken over"])
def test_the_holder_renews(now: float) -> None:
    state, renewal = renew(running(Ticket("r", ANY)), "r", now=now, lease_s=LEASE_S)
    assert renewal == Renewal(held=True, cancel=False)
    assert state.expires == now + LEASE_S


def test_a_fresh_lease_is_left_alone() -> None:
    state = running(Ticket("r", ANY))
    assert renew(state, "r", now=9.0, lease_s=LEASE_S) == (state, Renewal(held=True, cancel=False))


@pytest.mark.parametrize("state", [FREE, running(Ticket("other", ANY))], ids=["free", "taken"])
def test_who_does_not_hold_the_lock_cannot_change_it(state: LockState) -> None:
    assert renew(state, "r", now=50.0, lease_s=LEASE_S) == (state, Renewal(held=False, cancel=False))
    assert finished(state, "r") == (state, None)
    assert note_progress(state, "r") == state


def test_finishing_frees_the_lock() -> None:
    state, following = finished(running(Ticket("r", ANY), cancel="r"), "r")
    assert following is None
    assert (state.holder, state.cancel) == (None, "")


def test_finishing_hands_over_to_the_real_run_then_to_the_dry_one() -> None:
    real, dry = Ticket("p", ANY), Ticket("d", DRY)
    state, following = finished(running(Ticket("r", ANY), pending=real, pending_dry=dry), "r")
    assert (following, state.holder, state.pending, state.pending_dry) == (real, real, None, dry)
    assert state.expires == 2.0 + LEASE_S
    state, following = finished(state, "p")
    assert (following, state.holder, state.pending_dry) == (dry, dry, None)


def test_finishing_again_gives_the_same_answer_until_the_next_run_renews() -> None:
    state, following = finished(running(Ticket("r", ANY), pending=Ticket("p", ANY)), "r")
    assert finished(state, "r") == (state, following)
    renewed, _ = renew(state, "p", now=3.0, lease_s=LEASE_S)
    assert finished(renewed, "r") == (renewed, None)


def test_a_repeated_finish_does_not_start_who_took_the_free_lock() -> None:
    state, _ = finished(running(Ticket("r", ANY)), "r")
    state, _ = asked(state, ANY)
    assert finished(state, "r") == (state, None)


@pytest.mark.parametrize(
    ("wanted", "completed", "served"),
    [
        pytest.param(JOB, True, (("job", "r"),), id="completed"),
        pytest.param(JOB, False, (), id="failed"),
        pytest.param(replace(JOB, dry_run=True), True, (), id="dry"),
        pytest.param(replace(JOB, tables=("a",)), True, (), id="over one table"),
    ],
)
def test_only_a_completed_real_run_over_all_tables_serves_its_jobs(
    wanted: RunRequest, completed: bool, served: tuple[tuple[str, str], ...]
) -> None:
    state, _ = finished(running(Ticket("r", wanted)), "r", completed=completed)
    assert state.served == served


def test_the_newest_served_jobs_are_remembered() -> None:
    served = tuple((f"job{number}", "old") for number in range(MAX_SERVED))
    state, _ = finished(running(Ticket("r", RunRequest(jobs=("job1", "new"))), served=served), "r")
    assert len(state.served) == MAX_SERVED
    assert state.served[:2] == (("job2", "old"), ("job3", "old"))
    assert state.served[-2:] == (("job1", "r"), ("new", "r"))


def test_canceling_the_running_run_shows_at_its_renewal() -> None:
    state, found = cancel(running(Ticket("r", ANY)), "r")
    assert found is Cancellation.RUNNING
    assert renew(state, "r", now=1.0, lease_s=LEASE_S)[1] == Renewal(held=True, cancel=True)


def test_canceling_does_not_reach_the_next_run() -> None:
    state, _ = cancel(running(Ticket("r", ANY), pending=Ticket("p", ANY)), "r")
    state, _ = finished(state, "r", completed=False)
    assert renew(state, "p", now=3.0, lease_s=LEASE_S)[1] == Renewal(held=True, cancel=False)


def test_canceling_a_waiting_run_removes_it() -> None:
    state = running(Ticket("r", ANY), pending=Ticket("p", ANY), pending_dry=Ticket("d", DRY))
    assert cancel(state, "p") == (replace(state, pending=None, dropped=("p",)), Cancellation.PENDING)
    assert cancel(state, "d") == (replace(state, pending_dry=None, dropped=("d",)), Cancellation.PENDING)


def test_canceling_an_unknown_run_changes_nothing() -> None:
    state = running(Ticket("r", ANY))
    assert cancel(state, "x") == (state, Cancellation.UNKNOWN)
