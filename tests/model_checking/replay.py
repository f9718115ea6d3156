"""Plays a schedule of the page model on the real shard and unlinking code, one request or storage operation at a time.

Each attempt is a task that stops before and after everything it does outside of itself. A step of the schedule lets it do the
operations of that step and no more. Where the code does less than the model at a step, the step does nothing; where it does
more, the rest is done before the attempt starts again. Either way the interleaving is a possible one, and the promise is the
same: whatever happened, one undisturbed run repairs the row and says so truthfully.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from linker.core.errors import StateError
from linker.core.linking.mapping_scan import TableState
from linker.durable.activities.prepare_table import mark_vanished
from tests.fakes.world import ATTEMPT_S, FIRST_SHARD, ScanReplacedError, World, contact_id, key_of

ROW = contact_id(1)
CUSTOMERS = {1: "a", 2: "b", 3: "somebody"}
# What an attempt may do at each step of the model. It is held after the last one without a look at what would come next.
OPERATIONS = {
    "empties": (("empties", "get", "replace"), ""),
    "load": ((), ""),  # the code reads the mapping first
    "read": (("mapping",), "mapping"),
    "decide": (("header", "get", "note"), ""),
    "compare": (("profiles", "links", "insert", "replace"), ""),
    "resolve": (("links", "profiles"), "profiles"),
    "intend": (("links", "insert", "replace"), "replace"),  # the code looks at the links first
    "send": (("merge", "update"), "update"),
    "read back": (("links", "replace"), ""),
    "late": (("get", "replace"), ""),
    "unlink": (("source", "marks", "get", "insert", "merge"), ""),
    "absent": (("absent",), "absent"),
    "look": (("links", "replace"), ""),
    "clear": (("merge", "clear"), "clear"),
    "cleared": (("links", "replace"), ""),
}
_me: ContextVar[Attempt | None] = ContextVar("me", default=None)


class Attempt:
    """One attempt at the page and the unlinking pass after it."""

    def __init__(self, world: World, run: str) -> None:
        self.world, self.run = world, run
        self.at = ""  # the operation that it does next, empty while it is held after one
        self.done = False
        self.free = False
        self._moved, self._go = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        _me.set(self)
        try:
            await one_run(self.world, self.run)
        finally:
            self.done = True
            self._moved.set()

    async def hold(self, operation: str) -> None:
        """Called by the attempt itself, before (operation) and after (empty) everything it does."""
        if self.free:
            return
        self.at = operation
        self._moved.set()
        await self._go.wait()
        self._go.clear()

    async def move(self) -> None:
        """Let it go on to the next place where it is held."""
        self._moved.clear()
        self._go.set()
        await self._moved.wait()

    async def reach(self) -> None:
        """Let it come to what it does next, without doing it."""
        await asyncio.sleep(0)
        while not self.done and not self.at:
            if not self._moved.is_set():
                await self._moved.wait()
                continue
            await self.move()

    async def step(self, name: str, *, last: str = "") -> None:
        """Let it do the operations of a step of the model, up to the last one."""
        operations, usual_last = OPERATIONS[name]
        last = last or usual_last
        while not self.done:
            await self.reach()
            if self.done or self.at not in operations:
                return
            doing = self.at
            await self.move()  # does it, and is held after it
            if doing == last:
                return

    async def finish(self) -> None:
        """Let it run to its end."""
        self.free = True
        self._go.set()
        await self.task

    async def crash(self) -> None:
        """End it where it is."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def one_run(world: World, run: str) -> None:
    """What an incremental run does about the shard."""
    await world.prepare(run)
    deps = world.host()
    await mark_vanished(deps, deps.dataverse(), await deps.runs.target(run, "contact"), TableState())
    try:
        outcome = await world.link(run, deps=deps)
    except (ScanReplacedError, StateError):
        return  # a later run replaced the scan
    if outcome.departed:
        await world.unlink(run, departed=outcome.departed)


class Replay:
    """A world with one row, on which a schedule is played."""

    def __init__(self) -> None:
        self.world = World()
        self.world.dataverse.labels = False  # a second check that would hide what the first one misses
        self.world.contact(1)
        self.world.contact(2, "c2")
        for customer in CUSTOMERS.values():
            self.world.dataverse.profile(customer)
        self.attempts: dict[str, Attempt] = {}
        self.runs = 0
        self.harm: list[str] = []
        self.named_when_absence_was_read = False
        self.lost_a_block = False
        self.world.dataverse.hooks += [self._before_request]
        self.world.dataverse.after += [self._after]
        self.world.store.hooks.append(self._storage)
        self.world.store.after.append(self._stored)
        self.frozen: set[str] = set()

    async def play(self, schedule: Sequence[str]) -> str:
        """Play the schedule and one undisturbed run; return what is not as promised, empty when all is."""
        await one_run(self.world, "first")  # the model starts with a block that knows of no row
        for number, line in enumerate(schedule):
            await self._line(line, schedule[number + 1 :])
        await self._let_everybody_stop()
        return await self._undisturbed()

    # ---- what holds an attempt ----

    async def _before_request(self, asked: Any) -> None:
        await self._hold(asked.kind)
        if asked.kind in ("source", "absent"):
            self.named_when_absence_was_read = self._wanted() is not None
        if asked.kind == "clear":
            self._judge_clear(asked)

    async def _after(self, asked: Any) -> None:
        await self._hold("")

    async def _storage(self, operation: str, partition: str, row: str) -> None:
        if row == FIRST_SHARD:
            await self._hold("note" if partition.endswith("departed") else operation)

    async def _stored(self, operation: str, partition: str, row: str) -> None:
        if row == FIRST_SHARD and not partition.endswith("departed"):
            await self._hold("")

    async def _hold(self, operation: str) -> None:
        attempt = _me.get()
        if attempt is not None:
            await attempt.hold(operation)

    def _judge_clear(self, asked: Any) -> None:
        row = self.world.contacts.rows[ROW]
        if asked.headers["if-match"] not in ("*", f'W/"{row.version}"'):
            return
        if self._link() == CUSTOMERS[3]:
            self.harm.append("somebody else's link was cleared")
        if self.named_when_absence_was_read and self._link() == self._wanted():
            self.harm.append("a link that the mapping wants was cleared")

    # ---- the lines of a schedule ----

    async def _line(self, line: str, rest: Sequence[str]) -> None:
        found = re.match(r"(one|two)(?:: | )(.*)", line)
        if found is None:
            await self._world_changes(line)
            return
        name, what = found[1], found[2]
        if what == "starts":
            await self._start(name)
        elif what == "expires":
            self.world.clock.pass_s(ATTEMPT_S + 1)
        elif what.startswith("crashes"):
            await self.attempts.pop(name).crash()
        else:
            await self._step(name, what, rest)

    async def _start(self, name: str) -> None:
        if name in self.attempts:
            await self.attempts.pop(name).finish()
        self.runs += 1
        self.attempts[name] = Attempt(self.world, f"{name}{self.runs}")
        await self.attempts[name].reach()

    async def _step(self, name: str, what: str, rest: Sequence[str]) -> None:
        attempt = self.attempts[name]
        if what == "send is dropped":
            self.world.dataverse.drop[ROW] = 1
            what = "send"
        following = next((line for line in rest if line.startswith(f"{name}: ")), "")
        check_follows = what == "look" and following.startswith(
            f"{name}: clear"
        )  # that belongs to the step of the send
        await attempt.step(what.removesuffix(", frozen since its check"), last="links" if check_follows else "")
        self.world.dataverse.drop.clear()
        if following.endswith("frozen since its check"):
            self.frozen.add(name)
            await attempt.reach()  # past its check, before its send

    async def _world_changes(self, line: str) -> None:
        dataverse = self.world.dataverse
        match line.split():
            case ["mapping", "->", value]:
                dataverse.map(ROW, CUSTOMERS.get(int(value)))
            case ["profile", number, "deleted"]:
                dataverse.delete_profile(CUSTOMERS[int(number)])
            case ["profile", number, "back"]:
                dataverse.profile(CUSTOMERS[int(number)])
            case ["somebody", "clears", *_]:
                dataverse.link_by_hand(ROW, None)
            case ["somebody", "links", *_]:
                dataverse.link_by_hand(ROW, CUSTOMERS[3])
            case ["block", "lost"]:
                self.lost_a_block = self.world.store.entities.pop(self._block_key(), None) is not None
            case _:
                raise ValueError(line)

    # ---- the promise ----

    async def _let_everybody_stop(self) -> None:
        """Attempts that the model left alone run to their end, a frozen one too: it still has its mark to set."""
        for name, attempt in self.attempts.items():
            if attempt.done or name in self.frozen:
                await attempt.finish()
            else:
                await attempt.crash()
        self.world.clock.pass_s(10 * ATTEMPT_S)

    async def _undisturbed(self) -> str:
        before, known = self._link(), await self._is_known()
        wanted, customers = self._wanted(), set(self.world.dataverse.profiles.values())
        await one_run(self.world, "last")
        link = self._link()
        if self.harm:
            return self.harm[0]
        if wanted in customers and link != wanted and before != CUSTOMERS[3]:
            return f"the link is {link}, the mapping says {wanted}"
        if wanted and wanted not in customers and link != before:
            return f"the link was touched although its profile is missing ({before} -> {link})"
        if not wanted and before == CUSTOMERS[3] != link:
            return "somebody else's link was cleared"
        if not wanted and link not in (None, CUSTOMERS[3]) and known:
            return f"a departed row keeps its link {link}"
        return ""

    async def _is_known(self) -> bool:
        """Whether the row would be remembered. The block of the model holds one row; here another row makes it again."""
        entries = (await self.world.block()).entries
        return self._block_key() in self.world.store.entities and (not self.lost_a_block or key_of(1) in entries)

    def _link(self) -> str | None:
        return self.world.dataverse.customer_of(ROW)

    def _wanted(self) -> str | None:
        return self.world.wanted().get(ROW)

    def _block_key(self) -> tuple[str, str, str]:
        found = [key for key in self.world.store.entities if key[0] == "linkerhashes" and key[2] == FIRST_SHARD]
        return next((key for key in found if not key[1].endswith("departed")), ("", "", ""))
