"""A fact that the linker stands on, as a question to an environment, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.live.site import Site


class Unanswered(Exception):  # noqa: N818  # not an error: this environment cannot answer, and the text says why
    """A check that this environment, or this way of asking, gives no answer to."""


class Verdict(StrEnum):
    """How an environment compares with the sandbox."""

    SAME = "same"
    DIFFERENT = "different"
    UNANSWERED = "not answerable"


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `ask` returns what was observed, in words that equal `expected` where the sandbox is right.

    `advice` says what to do about a difference. A `harmless` one needs no action: the linker handles both answers.
    """

    name: str
    fact: str  # where it is written down, e.g. "docs/reference/dataverse.md 6.3"
    claim: str
    expected: str
    advice: str
    harmless: bool
    ask: Callable[[Site], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one environment answered to one check."""

    check: Check
    observed: str
    verdict: Verdict

    @property
    def counts(self) -> bool:
        """Whether it is a difference that needs action."""
        return self.verdict is Verdict.DIFFERENT and not self.check.harmless


def check(
    fact: str, *, claim: str, expected: str, advice: str, harmless: bool = False
) -> Callable[[Callable[[Site], Awaitable[str]]], Check]:
    """Turn a function that asks into a Check of its name."""

    def made(ask: Callable[[Site], Awaitable[str]]) -> Check:
        return Check(ask.__name__.replace("_", "-"), fact, claim, expected, advice, harmless, ask)

    return made
