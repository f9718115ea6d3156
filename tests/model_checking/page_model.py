# ruff: noqa: E501, PLR0911, PLR0912
"""Exhaustive model of what docs/proofs.md promises under G9, G10, G11, G14, G17, G18, and G19, for one source row.

Explores every interleaving of page attempts, unlink passes, crashes, expiries and changes in Dataverse within bounds, and checks in every
reachable state that one undisturbed incremental run repairs the row and says so truthfully. `--without RULE` takes one rule back and prints
the shortest schedule that then breaks the promise; `--all` tries every rule. Rules that hold when taken back alone are there for economy
(`live` saves equal writes) or for another setting (`if-match`, `fence` need --attempts 2, `late-bit` needs --frozen). Standard library only.

Values: 0 = no link / not in the mapping, 1 and 2 = CustomerIds A and B, 3 = a profile that somebody else linked.
A block is None (missing) or a frozenset of (value, confirmed).
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

RULES = {
    "intent": "an unconfirmed entry is saved before the first write",
    "old-entry": "the intent stands beside the old entry, it does not replace it",
    "live": "unconfirmed rows are compared live before anything is believed",
    "empties": "rows whose link is empty although a block names them become unconfirmed at the start of a run",
    "keep-departed": "page saves keep the entries of departed rows",
    "absence": "absence is read anew before a link is cleared",
    "etag": "a link is cleared only with the ETag that was read",
    "ours": "a link is cleared only while it matches an entry",
    "read-back": "an entry is confirmed only by a value read back",
    "if-match": "blocks are saved with the ETag they were read with",
    "fence": "an expired attempt sends nothing",
    "late-bit": "an attempt whose save fails after a send marks the row unconfirmed",
}


class Worker(NamedTuple):
    at: str = "idle"  # step that comes next
    wanted: int = 0  # what the mapping said
    block: frozenset | None = frozenset()
    fresh: bool = True  # nobody saved the block since it was read
    same: bool = True  # the link did not change since it was read
    sent: bool = False
    back: bool = False  # the mapping named the row again before the unlink pass looked
    expired: bool = False
    said: str = ""


class State(NamedTuple):
    mapping: int = 0
    profiles: frozenset = frozenset({1, 2})
    link: int = 0
    block: frozenset | None = frozenset()
    harm: str = ""  # a wrong step that a later run would hide
    one: Worker = Worker()
    two: Worker = Worker()
    changes: int = 0
    crashes: int = 0
    lost: int = 0
    froze: str | None = None


def unconfirmed(block: frozenset | None) -> frozenset | None:
    return None if block is None else frozenset((value, False) for value, _ in block)


class Model:
    def __init__(
        self, without: str = "", max_changes: int = 3, max_crashes: int = 1, attempts: int = 2, frozen: bool = False
    ) -> None:
        self.without, self.max_changes, self.max_crashes, self.attempts, self.frozen = (
            without,
            max_changes,
            max_crashes,
            attempts,
            frozen,
        )

    def on(self, rule: str) -> bool:
        return rule != self.without

    # ---- what the world does
    def world(self, s: State) -> Iterator[tuple[str, State]]:
        if s.changes >= self.max_changes:
            return
        n = s.changes + 1
        for value in (0, 1, 2):
            if value != s.mapping:
                yield f"mapping -> {value}", s._replace(mapping=value, changes=n)
        for p in (1, 2):
            if p in s.profiles:
                gone = s.link == p
                yield (
                    f"profile {p} deleted",
                    self.linked(s._replace(profiles=s.profiles - {p}, changes=n), 0 if gone else s.link),
                )
            else:
                yield f"profile {p} back", s._replace(profiles=s.profiles | {p}, changes=n)
        if s.link:
            yield "somebody clears the link", self.linked(s._replace(changes=n), 0)
        if s.mapping == 0 and s.link != 3:
            yield "somebody links the row to 3", self.linked(s._replace(changes=n), 3)
        if s.block is not None:
            yield (
                "block lost",
                s._replace(block=None, changes=n, one=s.one._replace(fresh=False), two=s.two._replace(fresh=False)),
            )

    @staticmethod
    def linked(s: State, value: int) -> State:
        return s._replace(link=value, one=s.one._replace(same=False), two=s.two._replace(same=False))

    def saved(self, s: State, me: str, block: frozenset | None) -> State:
        other = "two" if me == "one" else "one"
        s = s._replace(block=block, **{other: getattr(s, other)._replace(fresh=False)})
        return s._replace(**{me: getattr(s, me)._replace(block=block, fresh=True)})

    # ---- one step of an attempt at the page, or of the unlink pass that follows it
    def step(self, s: State, me: str) -> State:
        w: Worker = getattr(s, me)

        def go(at: str, state: State = s, **kw: object) -> State:
            return state._replace(**{me: getattr(state, me)._replace(at=at, **kw)})

        def save(block: frozenset | None, then: str, **kw: object) -> State:
            if not w.fresh and self.on("if-match"):
                return go("late" if w.sent else "idle", said="")
            return go(then, self.saved(s, me, block), **kw)

        known = w.block if w.block is not None else frozenset()
        values = {v for v, _ in known}
        doubtful = w.block is None or any(not c for _, c in known)
        match w.at:
            case "empties":  # keys with an empty link; those that a block names
                if s.link == 0 and s.block and self.on("empties"):
                    return go("take", self.saved(s, me, unconfirmed(s.block)))
                return go("take")
            case "take":  # by ETag; another attempt waits until the holder's time is over
                return go("read", block=s.block, fresh=True, sent=False, expired=False)
            case "read":
                return go("decide", wanted=s.mapping)
            case "decide":
                if not w.wanted:
                    if not self.on("keep-departed"):
                        return save(frozenset(), "done", said="departed")
                    return go("unlink" if known or w.block is None else "done", said="departed")
                if not doubtful and values == {w.wanted}:
                    return go("done", said="unchanged")
                return go("compare" if doubtful and self.on("live") else "resolve")
            case "compare":
                if s.link == w.wanted:
                    return save(frozenset({(w.wanted, True)}), "done", said="unchanged")
                return go("resolve")
            case "resolve":
                if w.wanted not in s.profiles:
                    return go("done", said="deferred")  # its entries stay as they are
                return go("intend")
            case "intend":
                if not self.on("intent"):
                    return go("send")
                old = known if self.on("old-entry") else frozenset()
                return save(old | {(w.wanted, False)}, "send")
            case "send":
                if w.expired and self.on("fence"):
                    return go("idle", said="")
                if w.wanted not in s.profiles:  # the bind target must exist
                    return go("done", said="rejected")
                return go("read back", self.linked(s, w.wanted), sent=True)
            case "read back":
                if s.link == w.wanted or not self.on("read-back"):
                    return save(frozenset({(w.wanted, True)}), "done", said="linked")
                return go("done", said="rejected")
            case "late":
                if not self.on("late-bit"):
                    return go("idle")
                now = s.block if s.block is not None else frozenset()
                marked = (unconfirmed(now) or frozenset()) | {(w.wanted, False)} if s.block is not None else None
                return go("idle", self.saved(s, me, marked))
            case "unlink":  # the guard has agreed
                if w.block is None:
                    return go("done", said="deferred")
                return go("absent")
            case "absent":
                if s.mapping and self.on("absence"):
                    return go("done", said="deferred")
                return go("look", back=bool(s.mapping))
            case "look":
                if s.link == 0:
                    return save(frozenset(), "done", said="unlinked")
                if s.link not in values and self.on("ours"):
                    return save(frozenset(), "done", said="not ours")
                return go("clear", same=True)
            case "clear":
                if w.expired and self.on("fence"):
                    return go("idle", said="")
                if not w.same and self.on("etag"):
                    return go("done", said="deferred")
                harm = (
                    "somebody else's link was cleared"
                    if s.link == 3
                    else "a link that the mapping wants was cleared"
                    if w.back and s.mapping == s.link
                    else ""
                )
                return go("cleared", self.linked(s, 0)._replace(harm=s.harm or harm), sent=True)
            case "cleared":
                if s.link == 0:
                    return save(frozenset(), "done", said="unlinked")
                return go("done", said="rejected")
        raise AssertionError(w.at)

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        yield from self.world(s)
        names = ("one", "two")[: self.attempts]
        for me in names:
            w: Worker = getattr(s, me)
            other: Worker = getattr(s, "two" if me == "one" else "one")
            if w.at in ("idle", "done"):
                yield f"{me} starts", s._replace(**{me: Worker(at="empties")})
                continue
            if w.at == "take" and other.at not in ("idle", "done", "empties", "take") and not other.expired:
                continue
            yield f"{me}: {w.at}", self.step(s, me)
            if s.crashes < self.max_crashes and s.froze != me:  # frozen, then killed: documented, verify finds it
                yield f"{me} crashes before {w.at}", s._replace(crashes=s.crashes + 1, **{me: Worker()})
            if (
                self.frozen and s.froze is None and w.expired and w.at in ("send", "clear")
            ):  # checked in time, sent too late
                yield f"{me}: {w.at}, frozen since its check", Model("fence").step(s._replace(froze=me), me)
            if s.lost < 1 and w.at == "send" and not (w.expired and self.on("fence")):  # accepted but dropped
                dropped = s._replace(lost=s.lost + 1)
                yield f"{me}: send is dropped", dropped._replace(**{me: w._replace(at="read back", sent=True)})
            if not w.expired and w.at not in ("empties", "take"):
                yield f"{me} expires", s._replace(**{me: w._replace(expired=True)})

    # ---- the promise
    def wrong(self, s: State) -> str:
        """Let everybody stop, run once alone, and say what is not as promised."""
        if s.harm:
            return s.harm
        if s.froze and getattr(s, s.froze).at not in ("idle", "done"):  # it still has its own mark to set
            return ""
        q = s._replace(one=Worker(at="empties"), two=Worker())
        for _ in range(40):
            if q.one.at == "done":
                break
            q = self.step(q, "one")
        else:
            return "the run never ends"
        said = q.one.said
        if q.harm:
            return q.harm
        if s.mapping in s.profiles and q.link != s.mapping and s.link != 3:  # a link changed by hand is drift: verify
            return f"link is {q.link}, mapping says {s.mapping}, the run said {said}"
        if s.mapping and s.mapping not in s.profiles and q.link != s.link:
            return f"link was touched although its profile is missing ({s.link} -> {q.link})"
        if not s.mapping and s.link == 3 and q.link != 3:
            return "somebody else's link was cleared"
        if not s.mapping and q.link not in (0, 3) and s.block is not None:
            return f"departed row keeps link {q.link}, the run said {said}"
        return ""

    def search(self, limit: int = 5_000_000) -> tuple[int, list[str], str]:
        """Breadth first; returns the number of states seen, and the shortest schedule that breaks the promise, if any."""
        start = State()
        seen: dict[State, tuple[State, str] | None] = {start: None}
        queue = deque([start])
        while queue:
            s = queue.popleft()
            if broken := self.wrong(s):
                path: list[str] = []
                at: State | None = s
                while at is not None and (came := seen[at]) is not None:
                    path.append(came[1])
                    at = came[0]
                return len(seen), path[::-1], broken
            for name, t in self.moves(s):
                if t not in seen:
                    seen[t] = (s, name)
                    queue.append(t)
                    if len(seen) > limit:
                        raise SystemExit("too many states")
        return len(seen), [], ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", choices=RULES, default="")
    parser.add_argument("--all", action="store_true", help="take back each rule in turn")
    parser.add_argument("--changes", type=int, default=3)
    parser.add_argument("--crashes", type=int, default=1)
    parser.add_argument("--attempts", type=int, choices=(1, 2), default=2)
    parser.add_argument(
        "--frozen",
        action="store_true",
        help="one attempt may send after its time, frozen between check and send, and lives on",
    )
    args = parser.parse_args()
    failed = 0
    for rule in ["", *RULES] if args.all else [args.without]:
        states, path, broken = Model(rule, args.changes, args.crashes, args.attempts, args.frozen).search()
        print(
            f"{'all rules' if not rule else 'without ' + rule}: {states:,} states, "
            + (f"BROKEN: {broken}" if broken else "holds"),
            flush=True,
        )
        for step in path:
            print("    " + step)
        failed += bool(broken) and not rule
    return failed


if __name__ == "__main__":
    sys.exit(main())
