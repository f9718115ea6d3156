"""Signals in every environment that the sandbox can be: whatever the optional services do, the timer finds the unification."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import pytest

from linker.adapters.storage import TaskState
from linker.core.model import Ticket
from linker.core.runs.signals import Signal, SignalKind
from linker.services import run_requests
from sandbox.switches.config import SandboxConfig
from sandbox.switches.registry import registry
from tests.requirements.made import Made, running

VALUES = {name: entry.values for name, entry in registry(SandboxConfig).items()}
NOTES = {
    "answers": "",
    "401": "(401)",
    "403": "(403)",
    "404": "(404)",
    "410": "(410)",
    "redirect": "is not followed",
    "no_address": "could not be",
}
SAYS_NOTHING = {"filled": "", "empty": "no unification of the last two days", "absent": "Dataverse has no table"}


@pytest.mark.parametrize(
    ("api", "tables", "words"),
    list(product(VALUES["insights_api"], VALUES["workflow_tables"], VALUES["workflow_words"])),
    ids=str,
)
async def test_the_timer_starts_one_run_and_says_what_each_signal_said(api: str, tables: str, words: str) -> None:
    switches = {"insights_api": api, "workflow_tables": tables, "workflow_words": words}
    with running(Made(switches=switches)) as (made, _, _):
        deps = replace(made, clock=time.time)
        started: list[Ticket] = []

        async def start(ticket: Ticket) -> None:
            started.append(ticket)

        async def complete(task: TaskState) -> TaskState:
            return replace(task, completed=time.time())

        await deps.runs.change_task(complete)
        run = await run_requests.poll(deps, start)
        signals: dict[SignalKind, Signal] = {signal.kind: signal for signal in await deps.signals.all()}
    (ticket,) = started
    assert ticket.run == run
    assert bool(ticket.request.jobs) is (api == "answers" or tables == "filled")
    for kind, note in ((SignalKind.INSIGHTS, NOTES[api]), (SignalKind.WORKFLOW, SAYS_NOTHING[tables])):
        assert note in signals[kind].note
        assert (signals[kind].received_at is None) is bool(note)
