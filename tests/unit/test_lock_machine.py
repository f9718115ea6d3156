"""Any order of requests, renewals, ends, deaths and cancellations of runs keeps the promises of the run lock."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linker import lock
from linker.lock import Cancellation, LockState
from linker.model import Mode, RunRequest, Ticket

LEASE_S = 100.0
REQUESTS = st.builds(
    RunRequest,
    mode=st.sampled_from(Mode),
    dry_run=st.booleans(),
    tables=st.sampled_from([(), (), ("contact",), ("lead",), ("contact", "lead")]),
    jobs=st.sampled_from([(), ("j1",), ("j2",), ("j1", "j2")]),
)


@dataclass
class World:
    """What the requesters and runs know, without looking into the lock."""

    started: dict[str, RunRequest] = field(default_factory=dict)
    running: str | None = None
    gone: set[str] = field(default_factory=set)  # canceled before they started
    completed: set[str] = field(default_factory=set)
    promises: list[tuple[str, RunRequest]] = field(default_factory=list)

    def start(self, ticket: Ticket) -> None:
        assert self.running is None, "two holders"
        assert ticket.run not in self.started, "started twice"
        self.started[ticket.run] = ticket.request
        self.running = ticket.run


def does(run: RunRequest, wanted: RunRequest) -> bool:
    """Whether `run` does what is wanted; in words of its own, not in those of the code under test."""
    ranks = {Mode.INCREMENTAL: 0, Mode.VERIFY: 1, Mode.FULL: 2}
    every = {"contact", "lead"}
    return (
        run.dry_run == wanted.dry_run
        and ranks[run.mode] >= ranks[wanted.mode]
        and set(run.tables or every) >= set(wanted.tables or every)
        and set(run.jobs) >= set(wanted.jobs)
        and not (run.tables and not wanted.tables)
    )


class LockMachine(RuleBasedStateMachine):
    """Drives the lock and remembers what was promised."""

    @initialize()
    def begin(self) -> None:
        self.state, self.world = LockState(), World()
        self.now, self.ids = 0.0, 0

    def new_id(self) -> str:
        self.ids += 1
        return f"run{self.ids}"

    @rule(wanted=REQUESTS)
    def request(self, wanted: RunRequest) -> None:
        parked = self.state.parked
        self.state, grant = lock.request(self.state, wanted, run_id=self.new_id(), now=self.now, lease_s=LEASE_S)
        if grant.served:
            self.check_served(grant.run, wanted)
            return
        if grant.starts:
            assert self.state.holder is not None
            assert self.state.holder.run == grant.run
            self.world.start(self.state.holder)
        self.world.promises.append((grant.run, wanted))
        if parked is not None and not wanted.dry_run:
            assert self.state.parked is None
            self.world.promises.append((grant.run, parked.request))

    def check_served(self, run: str, wanted: RunRequest) -> None:
        done = [self.world.started[one] for one in self.world.completed]
        assert run in self.world.completed
        assert all(any(does(one, replace(wanted, jobs=(job,))) for one in done) for job in wanted.jobs)

    @rule(passed_s=st.sampled_from([1.0, 30.0, LEASE_S, 3 * LEASE_S]))
    def wait(self, passed_s: float) -> None:
        self.now += passed_s

    @precondition(lambda self: self.world.running)
    @rule()
    def renew(self) -> None:
        self.state, renewal = lock.renew(self.state, self.world.running, now=self.now, lease_s=LEASE_S)
        assert renewal.held
        assert self.state.expires >= self.now + 0.9 * LEASE_S

    @precondition(lambda self: self.world.running)
    @rule()
    def save_a_page(self) -> None:
        self.state = lock.progressed(self.state, self.world.running)

    @precondition(lambda self: self.world.running)
    @rule(completed=st.booleans(), times=st.integers(1, 2))
    def finish(self, completed: bool, times: int) -> None:
        run, self.world.running = self.world.running, None
        if completed:
            self.world.completed.add(run)
        answers = [self._finish(run, completed) for _ in range(times)]
        assert answers == answers[:1] * times
        if answers[0] is not None:
            self.world.start(answers[0])

    def _finish(self, run: str, completed: bool) -> Ticket | None:
        self.state, following = lock.finish(self.state, run, completed=completed, now=self.now, lease_s=LEASE_S)
        return following

    @precondition(lambda self: self.world.running)
    @rule()
    def finish_of_a_run_that_does_not_hold_the_lock(self) -> None:
        for run in [run for run in self.world.started if run not in (self.world.running, self.state.previous)]:
            before = self.state
            assert self._finish(run, completed=True) is None
            assert self.state == before

    @precondition(lambda self: self.world.promises)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from([run for run, _ in self.world.promises]))
        self.state, found = lock.cancel(self.state, run)
        if found is Cancellation.PENDING:
            self.world.gone.add(run)
        assert (found is Cancellation.RUNNING) == (run == self.world.running)

    @rule()
    def take_over(self) -> None:
        expired = self.world.running is not None and self.now >= self.state.expires
        self.state, taken = lock.take_over(self.state, run_id=self.new_id(), now=self.now, lease_s=LEASE_S)
        assert (taken is not None) == expired
        if taken is None:
            return
        assert taken.ended.run == self.world.running
        self.world.running = None
        if taken.successor:
            self.world.promises.append((taken.successor, taken.ended.request))
        if taken.next is not None:
            self.world.start(taken.next)

    @invariant()
    def the_lock_knows_who_runs(self) -> None:
        assert (self.state.holder.run if self.state.holder else None) == self.world.running

    @invariant()
    def somebody_waits_only_while_somebody_runs(self) -> None:
        assert self.state.holder is not None or (self.state.pending, self.state.pending_dry) == (None, None)

    @invariant()
    def every_promise_is_kept_or_will_be(self) -> None:
        waiting = {ticket.run: ticket.request for ticket in (self.state.pending, self.state.pending_dry) if ticket}
        for run, wanted in self.world.promises:
            if run in self.world.gone:
                continue
            assert does((self.world.started | waiting)[run], wanted)

    @invariant()
    def only_completed_real_runs_serve_jobs(self) -> None:
        for job, run in self.state.served:
            assert run in self.world.completed
            assert not self.world.started[run].dry_run
            assert job in self.world.started[run].jobs

    @invariant()
    def interruptions_stay_below_the_limit(self) -> None:
        waiting = (self.state.holder, self.state.pending, self.state.pending_dry)
        assert all(ticket.interruptions < lock.MOST_INTERRUPTIONS for ticket in waiting if ticket)

    @invariant()
    def parked_work_is_real_and_nobody_runs_it(self) -> None:
        if self.state.parked is not None:
            assert not self.state.parked.request.dry_run
            assert self.state.pending is None

    def teardown(self) -> None:
        """Let everybody finish: then every promised run has started, but for the canceled ones."""
        if not hasattr(self, "world"):
            return
        while self.world.running is not None:
            self.finish(completed=True, times=1)
        assert {run for run, _ in self.world.promises} <= self.world.started.keys() | self.world.gone
        assert (self.state.pending, self.state.pending_dry) == (None, None)


LockMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLockMachine = LockMachine.TestCase
