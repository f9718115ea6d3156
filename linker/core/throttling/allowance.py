"""What service protection lets one process spend in a sliding window, learned from its refusals.

Dataverse counts two things for each user and web server over a window of 300 s: requests (6,000) and the seconds that
requests took (1,200), see docs/reference/dataverse.md 1.1. The numbers differ between environments, the number of web servers
is unknown, and other clients may spend the same user's budget. So this module takes no limit for granted:

- Until the first refusal, nothing limits. An idle account may burst, and an environment that never refuses is never
  slowed down.
- A refusal says two things. The process has spent all that it was allowed, so what it spent is the budget. And the
  window lasts from about the oldest expense to the end of Retry-After, at most the documented 300 s. Only the first
  refusal shows the window: later ones may come from what others spent, which says nothing about our own expenses.
- From then on `left_s` says how much may be spent before the next refusal, and `lanes` turns that into writes at once:
  the rate that can be held for ever, plus a share of what is left beyond a small reserve. What leaves the window is
  spent soon after, and each window is smoother than the one before, until the rate is steady. Dataverse counts a
  request when it ends, so writes under way have to fit into what is left when they end.
- The budget is raised again after some quiet windows, in growing steps, since other clients may have left, unless it
  already sustains all writes that are possible at once. Each refusal doubles the number of quiet windows, so a limit
  that is always there is seldom touched.

Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

WINDOW_S = 300.0  # documented
SLOTS = 48  # an expense joins the one before while both lie within this part of the time since the oldest
FINEST_S = 0.25
ROUNDED_S = 0.01  # times of expenses are rounded
RESERVE = 0.02  # of the budget stays unspent, half of it for certain: the next refusal costs more
LAG = 40  # what is left beyond the reserve is spent within a fortieth of the window
LEAST_REQUEST_S = 0.001
FLOOR, FLOOR_REQUESTS = (
    0.5,
    2.0,
)  # lanes and requests a second at least: a refusal caused by others must not end all writing
FREED = 0.1  # of the expenses has left the window when Retry-After ends, as the sandbox has it; not documented
QUIET, MAX_QUIET = 2, 16  # windows without a refusal before the budget is raised
RAISE, MAX_RAISE = 0.04, 0.5  # of the budget; doubles with each further quiet window

type Kind = Literal["time", "requests", "concurrency"]
type Expense = tuple[float, float, int]
"""When it was last added to, seconds of execution time, requests."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Expenses of the last window, oldest first, and the budgets for one; a budget of 0 is unknown."""

    spent: tuple[Expense, ...] = ()
    window_s: float = WINDOW_S
    execution_s: float = 0.0
    requests: float = 0.0
    quiet: int = QUIET
    step: float = RAISE
    raise_at: float = 0.0
    is_known: bool = False  # a refusal has shown a limit


def spend(
    allowance: Allowance, at_s: float, seconds: float, requests: int = 1, most: float = float("inf")
) -> Allowance:
    """Return the allowance after requests that took so many seconds of execution time. `most` writes are possible at once:
    a budget that sustains them is not raised.
    """
    spent = _since(allowance, at_s - WINDOW_S, at_s)
    grain_s = max(FINEST_S, (at_s - spent[0][0]) / SLOTS) if spent else FINEST_S
    before = spent[-2][0] if len(spent) > 1 else at_s - FINEST_S
    if spent and at_s - before < grain_s:
        _, seconds_before, requests_before = spent.pop()
        seconds, requests = seconds + seconds_before, requests + requests_before
    spent.append((round(at_s, 2), round(seconds, 3), requests))
    allowance = replace(allowance, spent=tuple(spent))
    return _raise_budget(allowance, at_s, most) if allowance.is_known and at_s >= allowance.raise_at else allowance


def learn(allowance: Allowance, at_s: float, wait_s: float, kind: Kind) -> Allowance:
    """Return the allowance after a refusal of `kind` that asked for a pause of `wait_s`."""
    spent = _since(allowance, at_s - WINDOW_S, at_s)
    if not spent:
        return allowance  # others spent it all: the pause is all that there is to learn
    window_s = allowance.window_s if allowance.is_known else min(WINDOW_S, at_s + wait_s - _begin(spent))
    spent = [expense for expense in spent if expense[0] > at_s - window_s]
    seconds, requests = sum(e[1] for e in spent), sum(e[2] for e in spent)
    quiet = min(MAX_QUIET, allowance.quiet * 2 if allowance.is_known else QUIET)
    learned = replace(
        allowance,
        is_known=True,
        window_s=window_s,
        quiet=quiet,
        step=RAISE,
        raise_at=round(at_s + wait_s + quiet * window_s, 2),
    )
    if kind == "requests":
        return replace(learned, requests=max(float(requests), FLOOR_REQUESTS * window_s))
    return replace(learned, execution_s=max(seconds, FLOOR * window_s))


def left_s(allowance: Allowance, at_s: float) -> float:
    """Return the seconds of execution time that may be spent now; below 0 when more was spent than allowed."""
    seconds, requests = _spent(allowance, at_s)
    left = float("inf")
    if allowance.execution_s:
        left = allowance.execution_s - seconds
    if allowance.requests:
        left = min(left, (allowance.requests - requests) * _request_s(allowance))
    return left


def lanes(allowance: Allowance, at_s: float, write_s: float = 0.0) -> int | None:
    """Return how many writes of so many seconds may be under way, None when no limit is known, 0 when nothing may be
    sent yet. What is under way is spent when it ends: until then it fits into what is left and what leaves the window.
    """
    if not allowance.is_known:
        return None
    left, budget = left_s(allowance, at_s), _budget_s(allowance)
    if left <= RESERVE / 2 * budget:
        return 0
    steady = round(sustained(allowance) + (left - RESERVE * budget) / (allowance.window_s / LAG))
    if not write_s:
        return max(1, steady)
    left_then = left_s(allowance, at_s + write_s) - RESERVE / 2 * budget
    return min(max(1, steady), int(left_then / min(write_s, (1 - RESERVE) * budget)))


def sustained(allowance: Allowance) -> float:
    """Return how many writes at once the budget allows for ever; raises ValueError while it is unknown."""
    return _budget_s(allowance) / allowance.window_s


def free_at(allowance: Allowance, at_s: float, write_s: float = 0.0) -> float:
    """Return when a write of so many seconds may be sent again: `at_s` or later."""
    for expense in allowance.spent:
        if lanes(allowance, at_s, write_s) != 0:
            break
        at_s = max(at_s, round(expense[0] + allowance.window_s + 0.01, 2))
    return at_s


def _since(allowance: Allowance, first_s: float, last_s: float) -> list[Expense]:
    """Return the expenses between two times. A clock that was set back leaves some that are still to come: they are dropped."""
    return [expense for expense in allowance.spent if first_s < expense[0] <= last_s + ROUNDED_S]


def _begin(spent: Sequence[Expense]) -> float:
    """Return when the first share of the expenses was spent: it has left the window when Retry-After ends."""
    rest = FREED * sum(seconds for _, seconds, _ in spent)
    for at_s, seconds, _ in spent:
        rest -= seconds
        if rest <= 0:
            return at_s
    return spent[-1][0]


def _raise_budget(allowance: Allowance, at_s: float, most: float) -> Allowance:
    """Return a larger budget, unless it would only lead to the next refusal."""
    if sustained(allowance) >= (1 - RESERVE) * most:
        return allowance
    return replace(
        allowance,
        execution_s=round(allowance.execution_s * (1 + allowance.step), 3),
        requests=round(allowance.requests * (1 + allowance.step), 3),
        step=min(MAX_RAISE, allowance.step * 2),
        raise_at=round(at_s + allowance.window_s, 2),
    )


def _spent(allowance: Allowance, at_s: float) -> tuple[float, int]:
    spent = [expense for expense in allowance.spent if expense[0] > at_s - allowance.window_s]
    return sum(expense[1] for expense in spent), sum(expense[2] for expense in spent)


def _request_s(allowance: Allowance) -> float:
    """Return what a request took on average: a budget of requests is worth so many seconds."""
    seconds, requests = sum(e[1] for e in allowance.spent), sum(e[2] for e in allowance.spent)
    return max(LEAST_REQUEST_S, seconds / max(1, requests))


def _budget_s(allowance: Allowance) -> float:
    budgets = [allowance.execution_s] if allowance.execution_s else []
    if allowance.requests:
        budgets.append(allowance.requests * _request_s(allowance))
    return min(budgets)
