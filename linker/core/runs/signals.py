"""Signals that a unification has finished: what each of them reported last. They make a run start sooner and decide nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from linker.core.model import WIRE


class SignalKind(StrEnum):
    """Where news of a unification comes from."""

    WATERMARKS = "watermarks"
    EVENTS = "events"
    WEBHOOK = "webhook"
    INSIGHTS = "insights"
    WORKFLOW = "workflow"


NAMES: Final = {
    SignalKind.WATERMARKS: "Newest changes of mapping and profiles",
    SignalKind.EVENTS: "Diagnostic events of Customer Insights",
    SignalKind.WEBHOOK: "Webhook",
    SignalKind.INSIGHTS: "Customer Insights API",
    SignalKind.WORKFLOW: "Workflow tables in Dataverse",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """What one signal reported last.

    `received_at` (ISO 8601) is when the app learned of it, None before the first time; `detail` says what it was. `note` says
    why the signal says nothing now, since `noted_at`.
    """

    __pydantic_config__ = WIRE
    kind: SignalKind
    received_at: str | None = None
    detail: str = ""
    note: str = ""
    noted_at: str | None = None

    @property
    def name(self) -> str:
        """The name for people."""
        return NAMES[self.kind]


def received(before: Signal, detail: str, now: str, *, again: bool = False) -> Signal:
    """Return a signal that reported something. The same news counts once, unless it is an `again` that was sent on purpose."""
    same = before.detail == detail and not again and before.received_at is not None
    return Signal(before.kind, before.received_at if same else now, detail)


def silent(before: Signal, note: str, now: str) -> Signal:
    """Return a signal that says nothing now."""
    return before if before.note == note else replace(before, note=note, noted_at=now)
