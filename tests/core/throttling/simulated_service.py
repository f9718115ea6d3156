"""A Dataverse in virtual time for the pace: costs, crowding, service protection, other clients; and the best that it allows.

The limits are those of sandbox/middleware/service_protection.py, so that the simulation and the bench mean the same.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, replace
from itertools import count

from linker.core.throttling.allowance import Kind
from linker.core.throttling.pace import (
    after_request,
    after_throttle,
    after_write,
    first_control,
    hold_s,
    rows_of_write,
    width_at,
    with_hint,
)
from linker.core.throttling.width import FEWEST, Control, Write
from sandbox.middleware.service_protection import ServiceProtection
from sandbox.switches.config import SandboxConfig
from tests.core.throttling.simulated_world import (
    Outcome,
    World,
    optimum,
)

KINDS: dict[str, Kind] = {"0x80072321": "time", "0x80072322": "requests", "0x80072326": "concurrency"}
READS = 4  # writes for each read that resolves or reads back
READ_S = 0.05


@dataclass(frozen=True, slots=True)
class Flight:
    """A write under way: its seconds on average and as the dice fell, and how many requests were refused before it."""

    began_s: float
    usual_s: float
    work_s: float
    rows: int
    under_way: int
    server: int
    refused: int


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
        self.turn, self.order, self.begun, self.finished = count(), count(), count(), count()
        self.under_way = 0
        self.work_s, self.crowd = 0.0, 1.0  # work done by each write that was under way all the time
        self.writes: list[tuple[float, int, Flight]] = []  # by the work that ends them
        self.wakes = [self.start_s + world.others_from_s]
        self.usual_s = self.taken_s = 0.0
        self.last_s = self.now_s
        self.neighbor_s = self.now_s

    def run(self, rows: float = float("inf")) -> Outcome:
        """Write until the time is over, or so many rows are written."""
        end_s = self.start_s + self.world.seconds
        self._start()
        while (next_s := self._next_s()) < end_s and self.outcome.rows < rows:
            self.pass_until(next_s)
            self._neighbor()
            if self.wakes and self.wakes[0] <= next_s:
                heapq.heappop(self.wakes)
            else:
                self.work_s, _, write = heapq.heappop(self.writes)
                self._finish(write)
            self._start()
        return self.outcome

    def pass_until(self, next_s: float) -> None:
        """Let time pass in which nothing happens."""
        self.work_s += (next_s - self.now_s) / self.crowd
        self.now_s = next_s

    def _next_s(self) -> float:
        """Return when something happens next. All writes under way share the server: each is slowed down as much."""
        ends_s = self.now_s + max(0.0, self.writes[0][0] - self.work_s) * self.crowd if self.writes else float("inf")
        return min(ends_s, self.wakes[0]) if self.wakes else ends_s

    def _start(self) -> None:
        """Begin writes while there is room, and wake up when there may be some."""
        while self.under_way < width_at(self.control, self.now_s):
            server = next(self.turn) % self.world.servers
            if not self._is_admitted(server):
                continue
            self.under_way += 1
            self.outcome.widest = max(self.outcome.widest, self.under_way)
            self.outcome.over_hint += self.under_way > self.control.hint
            self._begin(server)
        if not self.under_way:
            heapq.heappush(self.wakes, self.now_s + max(0.05, hold_s(self.control, self.now_s)))
        elif self.under_way < self.control.width and not self.wakes:
            heapq.heappush(self.wakes, self.now_s + 1.0)
        self.crowd = self.world.crowded(self.under_way, self.now_s - self.start_s)

    def _is_admitted(self, server: int) -> bool:
        self.outcome.requests += 1
        self.outcome.requests_late += self._is_late
        refusal = self.protection.admit("linker", server)
        if refusal is None:
            return True
        wait_s = float(refusal.retry_after_s)
        self.outcome.refused += 1
        self.outcome.dice = replace(self.outcome.dice, refusals=self.outcome.refused)
        self.outcome.refused_late += self._is_late
        self.outcome.grown += self.protection._window("linker", server).ignored > 0  # not seen from outside
        self.outcome.longest_wait_s = max(self.outcome.longest_wait_s, wait_s)
        self.control = after_throttle(self.control, self.now_s, wait_s, KINDS[refusal.code], self.under_way + 1)
        return False

    @property
    def _is_late(self) -> bool:
        return self.now_s > self.start_s + self.world.seconds / 2

    def _begin(self, server: int) -> None:
        rows = rows_of_write(self.control, next(self.begun))
        usual_s = self.world.request_s + rows * self.world.row_s
        work_s = usual_s * max(0.3, self.chance.gauss(1, self.world.noise))
        write = Flight(self.now_s, usual_s, work_s, rows, self.under_way, server, self.outcome.refused)
        heapq.heappush(self.writes, (self.work_s + work_s, next(self.order), write))

    def _finish(self, write: Flight) -> None:
        seconds = self.now_s - write.began_s
        self._note(write, seconds)
        self.protection.release("linker", write.server, seconds * 1000)
        hint = self.world.hint_at(self.now_s - self.start_s)
        self.control = after_request(with_hint(self.control, hint), self.now_s, seconds)
        under_way = (write.under_way + self.under_way) / 2
        self.control = after_write(self.control, Write(self.now_s, seconds, write.rows, under_way))
        self.under_way -= 1
        self.outcome.rows += write.rows
        self.outcome.longest_gap_s = max(self.outcome.longest_gap_s, self.now_s - self.last_s)
        self.outcome.widths.append((self.now_s - self.start_s, self.control.width))
        self.last_s = self.now_s
        if next(self.finished) % READS == 0:
            self._read()

    def _note(self, write: Flight, seconds: float) -> None:
        self.usual_s, self.taken_s = self.usual_s + write.usual_s, self.taken_s + write.work_s
        dice = self.outcome.dice
        self.outcome.dice = replace(
            dice,
            luck=self.usual_s / self.taken_s,
            longest_s=max(dice.longest_s, seconds),
            largest=max(dice.largest, write.rows),
            refused_s=dice.refused_s + seconds * (write.refused < self.outcome.refused),
        )

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
    return outcome.rows / optimum(world, outcome.dice), outcome


assert FEWEST == 1  # the oracle searches from there
