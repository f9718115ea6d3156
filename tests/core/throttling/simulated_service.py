"""A Dataverse in virtual time for the pace: costs, crowding, service protection, other clients; and the best that it allows.

The limits are those of sandbox/middleware/service_protection.py, so that the simulation and the bench mean the same.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from linker.core.throttling.allowance import Kind
from linker.core.throttling.pace import (
    after_request,
    after_throttle,
    after_write,
    first_control,
    hold_s,
    width_at,
    with_hint,
)
from linker.core.throttling.width import FEWEST, LARGEST, SMALLEST, TARGET_S, Control, Write
from sandbox.middleware.service_protection import ServiceProtection
from sandbox.switches.config import SandboxConfig

KINDS: dict[str, Kind] = {"0x80072321": "time", "0x80072322": "requests", "0x80072326": "concurrency"}
READS = 4  # writes for each read that resolves or reads back
READ_S = 0.05


@dataclass(frozen=True, slots=True)
class World:
    """One environment. Times in seconds; a row takes `row_s` while at most `knee` requests are under way on all servers."""

    seed: int
    hint: int
    row_s: float
    request_s: float
    knee: int
    growth: float  # of the time of a row, for each request beyond the knee
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
        """Return the seconds of a row when so many writes of the linker are under way."""
        others = self.others if now_s >= self.others_from_s else 0
        return self.row_s * (1 + self.growth * max(0.0, under_way + others - self.knee))


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


def optimum(world: World) -> float:
    """Return the rows that a client writes which knows the world: the best width for each hint, and the budget of each
    window spent as it comes.
    """
    most = world.concurrency * world.servers
    before, after = min(world.hint, most), min(world.later_hint, most)
    widths = [(one, two) for one in range(1, before + 1) for two in range(min(1, after), after + 1)]
    return max(_rows_at(world, one, two or one) for one, two in widths)


def _rows_at(world: World, width: int, later: int) -> float:
    """Return the rows at one width until the hint changes and at another one afterwards."""
    windows = [n * world.window_s for n in range(int(world.seconds / world.window_s) + 1)]
    marks = sorted({0.0, world.seconds, *windows, world.others_from_s, world.later_hint_from_s})
    rows = left_s = 0.0
    for began_s, end_s in pairwise(mark for mark in marks if mark <= world.seconds):
        if began_s in windows:
            mine = 1 - world.neighbor * min(1.0, (world.seconds - began_s) / world.window_s)
            left_s = world.execution_s * world.servers * mine
        lanes = width if world.hint_at(began_s) == world.hint else later
        spent_s = min(left_s, lanes * (end_s - began_s))
        left_s -= spent_s
        rows += spent_s * _rows_of_a_second(world, world.crowded(lanes, began_s))
    return rows


def _rows_of_a_second(world: World, row_s: float) -> float:
    """Return the rows of a second of execution time, in writes of the usual length."""
    write_s = max(TARGET_S, SMALLEST * row_s, world.request_s)
    rows = min(LARGEST, (write_s - world.request_s) / row_s) if write_s > world.request_s else SMALLEST
    return max(SMALLEST, rows) / (world.request_s + max(SMALLEST, rows) * row_s)


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
    widths: list[tuple[float, int]] = field(default_factory=list)


class Service:
    """Plays one run of one process against a world."""

    def __init__(self, world: World, control: Control | None = None) -> None:
        self.world, self.now_s, self.outcome = world, 1_000_000.0, Outcome()
        self.start_s = self.now_s
        self.control = control or replace(first_control(0, world.hint), at_s=self.now_s)
        config = replace(
            SandboxConfig(),
            limit_requests=world.requests,
            limit_execution_ms=world.execution_s * 1000,
            limit_concurrency=world.concurrency,
            limit_window_s=world.window_s,
            servers=world.servers,
            protection_scope="server",
            dop_hint=world.hint,
        )
        self.protection = ServiceProtection(lambda: config, lambda: self.now_s)
        self.chance = random.Random(world.seed)
        self.turn, self.order, self.finished = count(), count(), count()
        self.under_way = 0
        self.events: list[tuple[float, int, tuple[float, int, int, int] | None]] = []
        self.last_s = self.now_s
        self.neighbor_s = self.now_s

    def run(self, rows: float = float("inf")) -> Outcome:
        """Write until the time is over, or so many rows are written."""
        end_s = self.start_s + self.world.seconds
        self._start()
        while self.events and self.events[0][0] < end_s and self.outcome.rows < rows:
            self.now_s, _, write = heapq.heappop(self.events)
            self._neighbor()
            if write is not None:
                self._finish(*write)
            self._start()
        return self.outcome

    def _start(self) -> None:
        """Begin writes while there is room, and wake up when there may be some."""
        while self.under_way < width_at(self.control, self.now_s):
            server = next(self.turn) % self.world.servers
            if not self._is_admitted(server):
                continue
            self.under_way += 1
            self.outcome.widest = max(self.outcome.widest, self.under_way)
            self.outcome.over_hint += self.under_way > self.control.hint
            self._push(self._seconds(), (self.now_s, self.control.batch, self.under_way, server))
        if not self.under_way:
            self._push(max(0.05, hold_s(self.control, self.now_s)), None)
        elif self.under_way < self.control.width:
            self._push(1.0, None) if not any(write is None for _, _, write in self.events) else None

    def _is_admitted(self, server: int) -> bool:
        self.outcome.requests += 1
        self.outcome.requests_late += self._is_late
        refusal = self.protection.admit("linker", server)
        if refusal is None:
            return True
        wait_s = float(refusal.retry_after_s)
        self.outcome.refused += 1
        self.outcome.refused_late += self._is_late
        self.outcome.grown += self.protection._window("linker", server).ignored > 0  # not seen from outside
        self.outcome.longest_wait_s = max(self.outcome.longest_wait_s, wait_s)
        self.control = after_throttle(self.control, self.now_s, wait_s, KINDS[refusal.code], self.under_way + 1)
        return False

    @property
    def _is_late(self) -> bool:
        return self.now_s > self.start_s + self.world.seconds / 2

    def _push(self, seconds: float, write: tuple[float, int, int, int] | None) -> None:
        heapq.heappush(self.events, (self.now_s + seconds, next(self.order), write))

    def _seconds(self) -> float:
        rows_s = self.control.batch * self.world.crowded(self.under_way, self.now_s - self.start_s)
        return (self.world.request_s + rows_s) * max(0.3, self.chance.gauss(1, self.world.noise))

    def _finish(self, began_s: float, rows: int, under_way: int, server: int) -> None:
        seconds = self.now_s - began_s
        self.protection.release("linker", server, seconds * 1000)
        hint = self.world.hint_at(self.now_s - self.start_s)
        self.control = after_request(with_hint(self.control, hint), self.now_s, seconds)
        self.control = after_write(self.control, Write(self.now_s, seconds, rows, (under_way + self.under_way) / 2))
        self.under_way -= 1
        self.outcome.rows += rows
        self.outcome.longest_gap_s = max(self.outcome.longest_gap_s, self.now_s - self.last_s)
        self.outcome.widths.append((self.now_s - self.start_s, self.control.width))
        self.last_s = self.now_s
        if next(self.finished) % READS == 0:
            self._read()

    def _read(self) -> None:
        server = next(self.turn) % self.world.servers
        if hold_s(self.control, self.now_s, writes=False):
            return
        if self._is_admitted(server):
            self.protection.release("linker", server, READ_S * 1000)
            self.control = after_request(self.control, self.now_s, READ_S)

    def _neighbor(self) -> None:
        """Another client of the same user spends its share; it is never refused, which makes it worse than a real one."""
        if not self.world.neighbor:
            return
        every_s = self.world.window_s / 100
        while self.neighbor_s + every_s <= self.now_s:
            self.neighbor_s += every_s
            for server in range(self.world.servers):
                spent_ms = self.world.neighbor * self.world.execution_s * 10
                self.protection._window("linker", server).add(self.neighbor_s, 1, spent_ms)


def share(world: World) -> tuple[float, Outcome]:
    """Return what part of the optimum a run reached."""
    outcome = Service(world).run()
    return outcome.rows / optimum(world), outcome


assert FEWEST == 1  # the oracle searches from there
