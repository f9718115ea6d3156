"""The pause of runs on a page: what it means, until when, and its end."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from linker.core.roles import Role
from linker.core.runs.lock_state import MAX_DAYS, MAX_REASON, pause_at
from linker.core.serialization import iso
from linker.entrypoints.api.pause import PauseBody, post_pause, post_resume
from linker.entrypoints.api.runs import Moment
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.forms import act
from linker.entrypoints.portal.render import redirect, render
from linker.entrypoints.portal.start_run import KeyForm
from linker.entrypoints.portal.views.actions_view import work_of

DAY_S, MINUTES = 86_400, len("2026-11-23T21:00")


def _in_utc(value: object) -> object:
    """Add the offset that a field for a local time leaves out: the page says that it is UTC."""
    is_local = isinstance(value, str) and "T" in value and not value.endswith("Z") and "+" not in value
    return f"{value}Z" if is_local else value


class PauseForm(KeyForm, PauseBody):
    """The end of a pause, in UTC, and its reason."""

    until: Annotated[Moment, BeforeValidator(_in_utc)]

    def body(self) -> PauseBody:
        """Return it as the API takes it."""
        return PauseBody(until=self.until, reason=self.reason)


@operation("GET", "/portal/pause", role=Role.OPERATOR)
async def show_pause(call: Call) -> Reply:
    """Show what a pause of runs means, with the form that begins one."""
    now, state = call.deps.clock(), await call.deps.lock.peek()
    return await render(
        call,
        "pause.html",
        pause=pause_at(state, now),
        work=work_of(state),
        tomorrow=iso(now + DAY_S)[:MINUTES],
        first=iso(now)[:MINUTES],
        last=iso(now + MAX_DAYS * DAY_S)[:MINUTES],
        most_days=MAX_DAYS,
        most_reason=MAX_REASON,
        key=call.deps.new_id(),
    )


@operation("POST", "/portal/pause", role=Role.OPERATOR, body=PauseForm)
async def begin_pause(call: Call[PauseForm]) -> Reply:
    """Pause runs, and lead to the status page, which shows it."""
    await act(call, post_pause, call.body.body())
    return redirect(notice="paused")


@operation("POST", "/portal/resume", role=Role.OPERATOR, body=KeyForm)
async def end_pause(call: Call[KeyForm]) -> Reply:
    """End the pause, and lead to the status page."""
    await act(call, post_resume)
    return redirect(notice="resumed")
