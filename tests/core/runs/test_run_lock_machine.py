"""Any order of requests, renewals, ends, deaths, takeovers, cancellations and pauses keeps the promises of the run lock."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linker.core.model import Mode, RunRequest, Ticket, UnlinkAllowance
from linker.core.runs import lock_state, run_lock
from linker.core.runs.lock_state import LockState, Pause
from linker.core.runs.run_lock import Cancellation
from linker.core.serialization import iso

LEASE_S = 100.0
REQUESTS = st.builds(
    RunRequest,
    mode=st.sampled_from([Mode.INCREMENTAL, Mode.INCREMENTAL, Mode.INCREMENTAL, Mode.VERIFY, Mode.FULL]),
    dry_run=st.sampled_from([False, False, True]),
    tables=st.sampled_from([(), (), (), ("contact",), ("lead",)]),
    jobs=st.sampled_from([(), ("j1",), ("j2",), ("j1", "j2")]),
    nameless_job=st.sampled_from([False, False, True]),
    unlink_allowed=st.sampled_from(
        [
            (),
            (),
            (),
            (UnlinkAllowance("contact", 5),),
            (UnlinkAllowance("contact", 9),),
            (UnlinkAllowance("contact", 7, empty_mapping=True),),
            (UnlinkAllowance("contact", 8, orphans=True),),
        ]
    ),
)


@dataclass
class World:
    """What requesters and runs know, without looking into the lock."""

    started: dict[str, RunRequest] = field(default_factory=dict)
    running: str = ""
    completed: set[str] = field(default_factory=set)
    stopping: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)  # canceled before they started
    promises: list[tuple[str, RunRequest]] = field(default_factory=list)

    def start(self, ticket: Ticket) -> None:
        """A run begins; no other run may be running, and none begins twice."""
        assert not self.running
        assert ticket.run not in self.started
        self.started[ticket.run] = ticket.request
        self.running = ticket.run


def does(run: RunRequest, wanted: RunRequest) -> bool:
    """Whether `run` does what is wanted; in words of its own, not in those of the code under test."""
    ranks = {Mode.INCREMENTAL: 0, Mode.VERIFY: 1, Mode.FULL: 2}
    everywhere = not run.tables or bool(wanted.tables and set(wanted.tables) <= set(run.tables))
    enough = ranks[run.mode] >= ranks[wanted.mode] and set(run.jobs) >= set(wanted.jobs)
    allowed = all(any(is_within(one, given) for given in run.unlink_allowed) for one in wanted.unlink_allowed)
    waits = run.nameless_job or not wanted.nameless_job
    return run.dry_run == wanted.dry_run and everywhere and enough and allowed and waits


def is_within(one: UnlinkAllowance, other: UnlinkAllowance) -> bool:
    """Whether another allowance allows all that this one does."""
    same = (one.table, one.orphans) == (other.table, other.orphans)
    return same and one.most_rows <= other.most_rows and one.empty_mapping <= other.empty_mapping


def unallowed(request: RunRequest) -> RunRequest:
    """What is left of the work of a run that died."""
    return replace(request, unlink_allowed=())


class LockMachine(RuleBasedStateMachine):
    """Drives the lock and remembers what was promised."""

    @initialize(wanted=REQUESTS)
    def begin(self, wanted: RunRequest) -> None:
        self.state, self.world, self.now, self.ids = LockState(), World(), 0.0, 0
        self.request(wanted)

    @rule(wanted=REQUESTS)
    def request(self, wanted: RunRequest) -> None:
        before = self.state
        self.state, grant = run_lock.request(before, wanted, run_id=self.new_id(), now=self.now, lease_s=LEASE_S)
        if grant.served:
            self.check_served(grant.run, wanted)
            return
        if before.holder is None:
            assert grant.unstarted == self.state.holder
            assert grant.paused == (self.state.holder is None)
            self.check_next(self.state.holder)
        elif grant.run == self.world.running:
            assert self.now < self.state.expires
            assert grant.run not in self.world.stopping
            assert not wanted.nameless_job
        self.world.promises.append((grant.run, wanted))
        self.check_parked(before, grant.run, wanted)

    def check_served(self, run: str, wanted: RunRequest) -> None:
        done = [self.world.started[one] for one in self.world.completed]
        assert run in self.world.completed
        assert all(any(does(one, replace(wanted, jobs=(job,))) for one in done) for job in wanted.jobs)

    def check_parked(self, before: LockState, run: str, wanted: RunRequest) -> None:
        if before.parked is not None and not wanted.dry_run:
            assert self.state.parked is None
            assert before.parked.run in {one.resumes for one in (self.state.holder, self.state.pending) if one}
            self.world.promises.append((run, before.parked.request))
        else:
            assert self.state.parked == before.parked

    @precondition(lambda self: self.world.running)
    @rule(passed_s=st.sampled_from([1.0, 50.0, 150.0]), page=st.booleans())
    def work(self, passed_s: float, page: bool) -> None:
        self.now += passed_s
        run = self.world.running
        self.state, renewal = run_lock.renew(self.state, run, now=self.now, lease_s=LEASE_S)
        assert renewal == run_lock.Renewal(held=True, cancel=run in self.world.stopping)
        assert self.state.expires >= self.now + 0.9 * LEASE_S
        if page:
            self.state = run_lock.note_progress(self.state, run)

    @precondition(lambda self: self.world.running)
    @rule(completed=st.sampled_from([True, True, False]), times=st.integers(1, 2))
    def finish(self, completed: bool, times: int) -> None:
        run, self.world.running = self.world.running, ""
        if completed:
            self.world.completed.add(run)
        answers = [self.finish_once(run, completed=completed) for _ in range(times)]
        assert answers == answers[:1] * times
        self.check_next(answers[0])

    def finish_once(self, run: str, *, completed: bool) -> Ticket | None:
        self.state, following = run_lock.finish(self.state, run, completed=completed, now=self.now, lease_s=LEASE_S)
        return following

    @precondition(lambda self: self.world.running)
    @rule()
    def die(self) -> None:
        self.now = max(self.now, self.state.expires)
        dead, self.world.running = self.world.running, ""
        self.state, taken = self.take_over()
        assert taken.ended.run == dead
        assert taken.canceled == (dead in self.world.stopping)
        if taken.successor:
            assert not taken.canceled
            self.world.promises.append((taken.successor, unallowed(taken.ended.request)))
        elif not (taken.canceled or taken.ended.request.dry_run):
            assert self.state.parked == replace(taken.ended, request=unallowed(taken.ended.request))
        self.check_next(taken.next)
        assert self.finish_once(dead, completed=True) is None

    @precondition(lambda self: len(self.world.started) > bool(self.world.running))
    @rule(data=st.data(), completed=st.booleans())
    def wake_up(self, data: st.DataObject, completed: bool) -> None:
        """A host that was stopped continues a run that ended, or was taken over, long ago: it has nothing to say."""
        run = data.draw(st.sampled_from([run for run in self.world.started if run != self.world.running]))
        before = self.state
        following = self.finish_once(run, completed=completed)
        assert following == (before.holder if before.previous == run else None)
        self.state, renewal = run_lock.renew(self.state, run, now=self.now, lease_s=LEASE_S)
        assert not renewal.held
        assert run_lock.note_progress(self.state, run) == before
        assert run_lock.cancel(self.state, run) == (before, Cancellation.UNKNOWN)

    @precondition(lambda self: self.world.running)
    @rule(passed_s=st.sampled_from([LEASE_S - 1, LEASE_S, 3 * LEASE_S]))
    def pause(self, passed_s: float) -> None:
        """The host of the running run is stopped for so long; no other host need take over."""
        self.now += passed_s

    @rule(lasts_s=st.sampled_from([1.0, 60.0, 1_000.0]))
    def pause_runs(self, lasts_s: float) -> None:
        """An operator lets no run begin for some time."""
        self.state = replace(self.state, pause=Pause(iso(self.now + lasts_s), iso(self.now), "ada"))

    @precondition(lambda self: self.state.pause)
    @rule()
    def resume_runs(self) -> None:
        self.state, following = run_lock.resume(self.state, now=self.now, lease_s=LEASE_S)
        assert self.state.pause is None
        self.check_next(following)

    @rule(passed_s=st.sampled_from([0.0, 30.0, 2_000.0]))
    def look_for_the_end_of_the_pause(self, passed_s: float) -> None:
        self.now += passed_s if not self.world.running else 0.0
        before = self.state
        self.state, following = run_lock.begin_waiting(before, now=self.now, lease_s=LEASE_S)
        assert following is not None or self.state == before
        assert following is not None or before.holder or self.is_paused() or not self.waiting()
        self.check_next(following)

    def is_paused(self) -> bool:
        return bool(self.state.pause and iso(self.now) < self.state.pause.until)

    def waiting(self) -> dict[str, RunRequest]:
        return {ticket.run: ticket.request for ticket in (self.state.pending, self.state.pending_dry) if ticket}

    @rule()
    def look_too_early(self) -> None:
        if self.now < self.state.expires or not self.world.running:
            assert self.take_over() == (self.state, None)

    def take_over(self) -> tuple[LockState, lock_state.TakeOver | None]:
        return run_lock.take_over(self.state, run_id=self.new_id(), now=self.now, lease_s=LEASE_S)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from([run for run, _ in self.world.promises]))
        self.state, found = run_lock.cancel(self.state, run)
        assert (found is Cancellation.RUNNING) == (run == self.world.running)
        assert (found is Cancellation.PENDING) == (run not in self.world.started | dict.fromkeys(self.world.dropped))
        if found is Cancellation.RUNNING:
            self.world.stopping.add(run)
        if found is Cancellation.PENDING:
            self.world.dropped.add(run)

    def check_next(self, following: Ticket | None) -> None:
        if following is None:
            return
        assert not self.is_paused()
        self.world.start(following)
        assert self.state.expires == self.now + LEASE_S
        assert not following.request.dry_run or self.state.pending is None

    def new_id(self) -> str:
        self.ids += 1
        return f"run{self.ids}"

    @invariant()
    def the_lock_knows_who_runs(self) -> None:
        assert (self.state.holder.run if self.state.holder else "") == self.world.running

    @invariant()
    def a_run_waits_only_while_one_runs_or_runs_are_paused(self) -> None:
        assert self.state.holder or self.state.pause or not self.waiting()

    @invariant()
    def every_promised_run_started_or_waits_and_does_what_was_wanted(self) -> None:
        known = self.world.started | self.waiting()
        assert all(does(known[run], wanted) for run, wanted in self.world.promises if run not in self.world.dropped)

    @invariant()
    def a_run_is_allowed_what_those_asked_for_who_were_promised_it_and_no_more(self) -> None:
        for run, request in (self.world.started | self.waiting()).items():
            asked = {
                one for promised, wanted in self.world.promises if promised == run for one in wanted.unlink_allowed
            }
            assert set(request.unlink_allowed) <= asked

    @invariant()
    def only_completed_real_runs_serve_jobs(self) -> None:
        for job, run in self.state.served:
            assert run in self.world.completed
            assert not self.world.started[run].dry_run
            assert job in self.world.started[run].jobs

    @invariant()
    def interruptions_stay_below_the_limit(self) -> None:
        tickets = (self.state.holder, self.state.pending, self.state.pending_dry)
        assert all(ticket.interruptions < run_lock.MAX_INTERRUPTIONS for ticket in tickets if ticket)

    def teardown(self) -> None:
        """Let every run finish: then every promised run has started, but for the canceled ones."""
        if self.state.pause:
            self.resume_runs()
        while self.world.running:
            self.finish(completed=True, times=1)
        assert {run for run, _ in self.world.promises} <= self.world.started.keys() | self.world.dropped


LockMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLockMachine = LockMachine.TestCase
