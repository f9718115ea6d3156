# ruff: noqa: E501, PLR0911
"""Exhaustive model of what docs/dev/proofs.md promises under G9, G10, G11, G14, G17, G18, and G19, for one source row.

Explores every interleaving of page attempts, unlink passes, crashes, expiries and changes in Dataverse within bounds, and checks in every
reachable state that one undisturbed incremental run repairs the row and says so truthfully. `--without RULE` takes one rule back and prints
the shortest schedule that then breaks the promise; `--all` tries every rule. Rules that hold when taken back alone are there for economy
(`live` saves equal writes) or for another setting (`if-match`, `fence` need --attempts 2, `late-bit` needs --frozen).

Values: 0 = no link / not in the mapping, 1 and 2 = CustomerIds A and B, 3 = a profile that another writer linked.
A block is None (missing) or a frozenset of (value, confirmed).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tests.model_checking.page_steps import RULES, State, Step, Worker, owns
from tests.model_checking.search import search


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
        return getattr(Step(self, s, me, w), w.at.replace(" ", "_"))()

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        yield from self.world(s)
        names = ("one", "two")[: self.attempts]
        for me in names:
            w: Worker = getattr(s, me)
            other: Worker = getattr(s, "two" if me == "one" else "one")
            if w.at in ("idle", "done"):
                yield f"{me} starts", s._replace(**{me: Worker(at="empties")})
                continue
            if w.at in ("load", "unlink") and owns(other):
                continue  # it waits until the owner's time is over
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
            if owns(w):
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
        """Return the number of states, and the shortest schedule that breaks the promise, if any."""
        return search(State(), self.moves, self.wrong, limit)


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
