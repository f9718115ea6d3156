"""What the simulated Dataverse is like, and the best that it allows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from linker.core.throttling.width import LARGEST, SMALLEST, TARGET_S

PRICES = 200  # of a second of the budget, from nothing to all that it can earn
NEIGHBOR_STEP = 0.99  # of a window: the other client spends its share a hundred times in each


@dataclass(frozen=True, slots=True)
class World:
    """One environment. Times in seconds; a row takes `row_s` while at most `knee` writes are under way on all servers."""

    seed: int
    hint: int
    row_s: float
    request_s: float
    knee: int
    growth: float  # of the time of a write, for each one beyond the knee
    noise: float  # standard deviation of a write's time, as a share
    servers: int  # that count by themselves
    window_s: float
    execution_s: float  # for each server and window
    requests: int
    concurrency: int
    neighbor: float  # share of the budget that another client of the same user spends
    others: int  # requests of other users under way
    others_from_s: float
    seconds: float  # how long the run lasts; a much shorter one ends before there is anything to learn
    later_hint: int = 0  # 0: the hint stays
    later_hint_from_s: float = 0.0

    def hint_at(self, now_s: float) -> int:
        """Return the hint on an answer so many seconds after the start."""
        return self.later_hint if self.later_hint and now_s >= self.later_hint_from_s else self.hint

    def crowded(self, under_way: float, now_s: float) -> float:
        """Return how many times as long a write takes while so many of the linker are under way."""
        others = self.others if now_s >= self.others_from_s else 0
        return 1 + self.growth * max(0.0, under_way + others - self.knee)


def world(seed: int) -> World:
    """Return the environment of a seed."""
    chance = random.Random(seed)
    hint = chance.choice((2, 4, 4, 8, 12, 16, 24, 32, 48, 52))
    limits = chance.choice((1.0, 1.0, 1.0, 0.5, 2.0))
    window_s = chance.choice((300.0, 300.0, 300.0, 120.0, 60.0))
    crowds = chance.random() < 0.4
    knee = max(1, int(hint * chance.choice((0.5, 0.75, 1.0)))) if crowds else hint
    made = World(
        seed=seed,
        hint=hint,
        row_s=chance.choice((0.001, 0.002, 0.005, 0.01, 0.02, 0.05)),
        request_s=chance.choice((0.0, 0.05, 0.2)),
        knee=knee,
        # Beyond the knee: still a little more, as much as at the knee, or much less (1 over the knee shares a full server).
        growth=chance.choice((0.3, 1.0, 3.0)) / knee if crowds else 0.0,
        noise=chance.choice((0.0, 0.1, 0.3)),
        servers=chance.choice((1, 1, 1, 2, 4)),
        window_s=window_s,
        execution_s=limits * 4 * window_s,
        requests=int(20 * window_s * limits),
        concurrency=52 if chance.random() < 0.8 else max(4, hint * 3 // 4),
        neighbor=chance.choice((0.0, 0.0, 0.0, 0.25, 0.5)),
        others=chance.choice((0, 0, 0, hint // 4)) if crowds else 0,
        others_from_s=chance.choice((0.0, 60.0)),
        seconds=chance.choice((120.0, 300.0, 600.0, 900.0)),
    )
    if chance.random() < 0.25:  # the hint changes in the middle of the run
        later, share = chance.choice((max(2, hint // 2), min(52, hint * 2))), chance.uniform(0.3, 0.6)
        made = replace(made, later_hint=later, later_hint_from_s=made.seconds * share)
    return made


@dataclass(frozen=True, slots=True)
class Dice:
    """What chance gave a run, and how its writes were. The optimum is for a client with the same."""

    luck: float = 1.0  # seconds that its writes take on average, over those that they took
    longest_s: float = TARGET_S
    largest: int = 0  # rows in a write
    refusals: int = 0
    refused_s: float = 0.0  # seconds of the writes that were under way at a refusal


def optimum(world: World, dice: Dice | None = None) -> float:
    """Return the most rows that a client can write which knows the world, and has the same luck with its writes.

    Nothing can exceed it. While `u` writes are under way, `u / crowded(u)` seconds of work are done in a second, and `u`
    seconds are spent, of which the world allows only so many. For any price of a second spent, the work is at most what
    the budget is worth at that price, and what the best width at each time earns beyond the price (Lagrange). The price
    that gives the least is taken.
    """
    dice = dice or Dice()
    parts = list(_parts(world, dice))
    spent_s = _spent_s(world, dice)

    def work_s(price: float) -> float:
        return price * spent_s + sum(
            seconds * max(lanes / crowd[lanes] - price * lanes for lanes in range(most + 1))
            for seconds, most, crowd in parts
        )

    least_s = min(work_s(number / PRICES) for number in range(PRICES + 1))
    return least_s * dice.luck * _rows_of_a_second(world, dice)


def _parts(world: World, dice: Dice) -> Iterator[tuple[float, int, list[float]]]:
    """Return the times in which hint and crowd stay as they are: seconds, most writes, times that a row takes longer."""
    most = world.concurrency * world.servers
    # What was under way when the hint fell still ends, and the answer that carries the hint comes with it.
    falls_s = world.later_hint_from_s + (2 * dice.longest_s if world.later_hint < world.hint else 0.0)
    marks = sorted({0.0, world.seconds, world.others_from_s, falls_s})
    for began_s, end_s in pairwise(mark for mark in marks if mark <= world.seconds):
        hint = world.later_hint if world.later_hint and began_s >= falls_s else world.hint
        lanes = min(hint, most)
        yield end_s - began_s, lanes, [world.crowded(n, began_s) for n in range(lanes + 1)]


def _spent_s(world: World, dice: Dice) -> float:
    """Return the most seconds of execution time that can be spent.

    A window allows what the neighbor leaves. Service protection counts a request when it ends, so what is under way at a
    refusal comes on top. In the first window, a quick client is there before the neighbor has spent its share.
    """
    budget_s = world.execution_s * world.servers
    windows, rest_s = divmod(world.seconds, world.window_s)
    lanes = min(max(world.hint, world.later_hint), world.concurrency * world.servers)
    neighbor_s = NEIGHBOR_STEP * world.neighbor * budget_s  # in a full window
    quick_s = budget_s * lanes / (lanes + neighbor_s / world.window_s)
    first_s = min(lanes * rest_s, quick_s)
    if windows:
        first_s = max(first_s + budget_s - neighbor_s, quick_s)
    rounds = 1 + windows + dice.refusals  # each may end with a write that takes longer than expected
    later_s = max(0.0, windows - 1) * (budget_s - neighbor_s)
    return min(lanes * world.seconds, first_s + later_s + dice.refused_s + rounds * dice.longest_s)


def _rows_of_a_second(world: World, dice: Dice) -> float:
    """Return the rows of a second of work, in writes of the usual length or the largest that the run made."""
    write_s = max(TARGET_S, SMALLEST * world.row_s, world.request_s)
    usual = min(LARGEST, max(SMALLEST, (write_s - world.request_s) / world.row_s))
    rows = max(usual, dice.largest)
    return rows / (world.request_s + rows * world.row_s)


@dataclass(slots=True)
class Outcome:
    """What became of a run. `grown` counts refusals whose Retry-After had grown because a client did not wait."""

    rows: int = 0
    requests: int = 0
    refused: int = 0
    refused_late: int = 0  # in the second half of the run
    requests_late: int = 0
    grown: int = 0
    longest_gap_s: float = 0.0  # between two finished writes
    longest_wait_s: float = 0.0  # that Dataverse asked for
    widest: int = 0
    over_hint: int = 0  # writes beyond the hint that was on an answer before
    dice: Dice = Dice()
    widths: list[tuple[float, int]] = field(default_factory=list)
