"""Run locks and requests for the tests of their rules."""

from dataclasses import replace
from typing import NamedTuple

from linker.core.model import RunRequest, Ticket, UnlinkAllowance
from linker.core.runs.lock_state import LockState
from linker.core.runs.run_lock import finish, request, take_over

LEASE_S = 100.0
FREE = LockState()
ANY = RunRequest()
JOB = RunRequest(jobs=("job",))
DRY = RunRequest(dry_run=True)
SOME, MORE = UnlinkAllowance("contact", 5), UnlinkAllowance("contact", 9)
ALLOWED = RunRequest(unlink_allowed=(SOME,))


def running(ticket: Ticket, **values: object) -> LockState:
    """A lock that `ticket` took at time 0."""
    return replace(LockState(holder=ticket, expires=LEASE_S), **values)  # type: ignore[arg-type]


class Led(NamedTuple):
    """Where a request led."""

    run: str
    waits: bool = False
    served: bool = False


def asked(state: LockState, *wanted: RunRequest, now: float = 1.0) -> tuple[LockState, list[Led]]:
    """Requests one after the other; their new runs are named new1, new2 ..."""
    grants = []
    for number, one in enumerate(wanted, 1):
        state, grant = request(state, one, run_id=f"new{number}", now=now, lease_s=LEASE_S)
        grants.append(Led(grant.run, grant.waits, grant.served))
    return state, grants


def finished(state: LockState, run: str, *, completed: bool = True) -> tuple[LockState, Ticket | None]:
    """Return the state after a run ended at time 2, and who comes next."""
    return finish(state, run, completed=completed, now=2.0, lease_s=LEASE_S)


def taken_over(state: LockState, *, now: float = LEASE_S):
    """Return the state after the watchdog looked at `now`, and what it took over."""
    return take_over(state, run_id="again", now=now, lease_s=LEASE_S)
