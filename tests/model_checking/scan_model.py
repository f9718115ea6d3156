"""Exhaustive model of scanning for one source row: slices, commits, watermarks, and what a delta scan has to look up.

`page_model` explores one attempt at a shard against crashes and other attempts, and takes what the mapping says as known.
This model explores how it becomes known: slices that are delivered twice, commits, crashes between them, runs that overlap,
answers of an elastic table that are some seconds old, and rows that earlier runs left open. Linking is one step here. In every
reachable state one undisturbed delta run links the row right, and one undisturbed full run clears a removed row.

`--without RULE` takes one rule back and prints the shortest schedule that then breaks the promise. Standard library only.

Values: 0 = not in the mapping, or no link; 1 and 2 = CustomerIds. A delta scan reads the row if it changed since the watermark.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import NamedTuple

from tests.model_checking.search import search

RULES = {
    "segments-first": "a slice writes its segments before it commits",
    "current": "a run that another run replaced neither links nor closes",
    "watermark-late": "the watermark advances after the rows were linked, not when they were read",
    "watermark-old": "the watermark is the newest change before the scan began",
    "overlap": "a delta scan begins some time before the watermark, because an answer may be old",
    "revisit": "a delta scan looks up rows that were deferred",
    "open": "a delta scan looks up rows whose link is not confirmed",
    "full-removes": "only a full scan takes a row that it did not find for removed",
    "absence": "absence is read again before a link is cleared",
    "began": "a scan that another run continues counts from the moment at which it began",
    "ended": "a scan whose staged rows were removed is not continued",
}


class Slice(NamedTuple):
    """One attempt at the slice that holds the row: what it read (None: nothing), and whether it is in storage."""

    read: int | None = None
    has_read: bool = False
    staged: bool = False


class Run(NamedTuple):
    at: str = "idle"  # scan, link, close
    scan: int = 0
    full: bool = False
    a: Slice = Slice()
    b: Slice = Slice()  # the same activity, delivered twice
    committed: str = ""  # a or b
    moved: bool = False  # the mapping changed since the scan began
    recent: bool = False  # or so shortly before that an answer may have been old


class State(NamedTuple):
    mapping: int = 1
    before: int = 1  # what an old answer still says
    recent: bool = False  # whether an answer may still be old
    profiles: frozenset[int] = frozenset({1, 2})
    link: int = 0
    entry: int = 0
    confirmed: bool = True
    behind: bool = True  # the mapping row changed since the watermark
    waiting: bool = False  # the row is known as deferred
    scan: int = 0
    left: Run | None = None  # what storage holds of the scan of a run that died
    one: Run = Run()
    two: Run = Run()
    changes: int = 0
    crashes: int = 0
    harm: str = ""


class Model:
    def __init__(self, without: str = "", changes: int = 3, crashes: int = 1, runs: int = 2) -> None:
        self.without, self.max_changes, self.max_crashes, self.runs = without, changes, crashes, runs

    def on(self, rule: str) -> bool:
        return rule != self.without

    # ---- what the world does

    def world(self, s: State) -> Iterator[tuple[str, State]]:
        if s.recent:
            yield "time passes", s._replace(recent=False)
        if s.changes >= self.max_changes:
            return
        n = s.changes + 1
        for value in (0, 1, 2):
            if value != s.mapping:
                runs = {me: getattr(s, me)._replace(moved=True) for me in ("one", "two") if getattr(s, me).at != "idle"}
                runs |= {"left": s.left._replace(moved=True)} if s.left else {}
                changed = s._replace(mapping=value, before=s.mapping, recent=True, behind=True, changes=n)
                yield f"mapping -> {value}", changed._replace(**runs)
        for p in (1, 2):
            there = p in s.profiles
            profiles = s.profiles - {p} if there else s.profiles | {p}
            yield f"profile {p} {'deleted' if there else 'back'}", s._replace(profiles=profiles, changes=n)
        if s.link:
            yield "the link is emptied", s._replace(link=0, changes=n)

    # ---- what a run does

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        yield from self.world(s)
        for me in ("one", "two")[: self.runs]:
            run: Run = getattr(s, me)
            if run.at == "idle":
                if s.scan < 3:
                    for full in (False, True):
                        yield f"{me} opens a {'full' if full else 'delta'} scan", self.opened(s, me, full)
                    if s.left and not s.left.moved:  # else the run would leave out what it was asked to link
                        yield f"{me} continues the scan", self.continued(s, me, s.left)
                continue
            if run.at == "scan":
                yield from self.slices(s, me)
            elif run.at == "link":
                yield f"{me} links", self.linked(s, me)
            else:
                yield f"{me} closes", self.closed(s, me)
            if s.crashes < self.max_crashes:
                left = run if run.scan == s.scan else s.left
                yield f"{me} crashes", s._replace(crashes=s.crashes + 1, left=left, **{me: Run()})
                yield f"{me} gives up", self.ended(s._replace(crashes=s.crashes + 1), me)

    def opened(self, s: State, me: str, full: bool) -> State:
        """A run first marks rows whose link is empty although its block names them."""
        confirmed = s.confirmed and not (s.entry and s.link == 0)
        run = Run("scan", s.scan + 1, full, recent=s.recent)
        return s._replace(scan=s.scan + 1, confirmed=confirmed, left=None, **{me: run})

    def continued(self, s: State, me: str, left: Run) -> State:
        """A run takes over the committed slices of a dead one. What the dead one still does is not current any more."""
        run = left._replace(at="link" if left.committed else "scan", scan=s.scan + 1)
        if not self.on("began"):
            run = run._replace(moved=False, recent=s.recent)
        return self.opened(s, me, full=left.full)._replace(**{me: run})

    def ended(self, s: State, me: str) -> State:
        """A table ends, with or without success: what its scan staged is removed."""
        run: Run = getattr(s, me)
        if run.scan != s.scan:
            return s._replace(**{me: Run()})
        bare = run._replace(a=run.a._replace(staged=False), b=run.b._replace(staged=False))
        return s._replace(left=None if self.on("ended") else bare, **{me: Run()})

    def slices(self, s: State, me: str) -> Iterator[tuple[str, State]]:
        run: Run = getattr(s, me)
        first, second = ("stages", "commits") if self.on("segments-first") else ("commits", "stages")
        for name in ("a", "b"):
            slice_: Slice = getattr(run, name)
            if not slice_.has_read:
                for how, value in (("", s.mapping), (" an old answer", s.before))[: 1 + s.recent]:
                    found = value if run.full or s.behind else None
                    yield f"{me}.{name} reads{how}", self.put(s, me, **{name: Slice(found, True)})
                continue
            done = slice_.staged if first == "stages" else run.committed == name
            if not done and not (first == "commits" and run.committed):
                yield f"{me}.{name} {first}", self.do(s, me, name, first)
            elif done and not (second == "commits" and run.committed):
                yield f"{me}.{name} {second}", self.do(s, me, name, second)

    def do(self, s: State, me: str, name: str, what: str) -> State:
        run: Run = getattr(s, me)
        if what == "stages":
            return self.put(s, me, **{name: getattr(run, name)._replace(staged=True)})
        if not self.on("watermark-late"):
            s = self.advanced(s, run)
        return self.put(s, me, committed=name, at="link")

    def linked(self, s: State, me: str) -> State:
        run: Run = getattr(s, me)
        if run.scan != s.scan and self.on("current"):
            return s._replace(**{me: Run()})
        found: Slice = getattr(run, run.committed)
        wanted = found.read if found.staged else None  # segments that were never written are not there
        is_open = (s.waiting and self.on("revisit")) or (not s.confirmed and self.on("open"))
        if not run.full and (wanted or is_open):
            wanted = s.mapping or wanted or None  # looked up now, with every claim
        s = self.put(s, me, at="close")
        if wanted:
            return self.written(s, wanted)
        if run.full or not self.on("full-removes"):
            return self.cleared(s)
        return s

    def written(self, s: State, wanted: int) -> State:
        if wanted not in s.profiles:
            return s._replace(waiting=True)
        return s._replace(link=wanted, entry=wanted, confirmed=True, waiting=False)

    def cleared(self, s: State) -> State:
        if not s.entry or (s.mapping and self.on("absence")):
            return s
        harm = "a link that the mapping asks for was cleared" if s.mapping else ""
        return s._replace(link=0, entry=0, confirmed=True, waiting=False, harm=s.harm or harm)

    def closed(self, s: State, me: str) -> State:
        run: Run = getattr(s, me)
        is_current = run.scan == s.scan or not self.on("current")
        s = self.ended(s, me)
        return self.advanced(s, run) if is_current else s

    def advanced(self, s: State, run: Run) -> State:
        behind = (run.moved and self.on("watermark-old")) or (run.recent and self.on("overlap"))
        return s._replace(behind=s.behind and behind)

    @staticmethod
    def put(s: State, me: str, **changes: object) -> State:
        return s._replace(**{me: getattr(s, me)._replace(**changes)})

    # ---- the promise

    def wrong(self, s: State) -> str:
        """Let every run stop, one undisturbed run do its work, and say what is not as promised."""
        if s.harm:
            return s.harm
        quiet = s._replace(one=Run(), two=Run(), left=None, recent=False, scan=0)
        after = self.undisturbed(quiet, full=False)
        if s.mapping in s.profiles and after.link != s.mapping:
            return f"after a delta run the link is {after.link}, the mapping says {s.mapping}"
        if s.mapping and s.mapping not in s.profiles and after.link != s.link:
            return "a link was touched although its profile is missing"
        if not s.mapping and s.entry and self.undisturbed(quiet, full=True).link:
            return "after a full run a removed row keeps its link"
        return ""

    def undisturbed(self, s: State, *, full: bool) -> State:
        s = self.opened(s, "one", full)
        found = s.mapping if full or s.behind else None
        s = self.put(s, "one", a=Slice(found, True, True), committed="a", at="link")
        return self.closed(self.linked(s, "one"), "one")

    def search(self, limit: int = 3_000_000) -> tuple[int, list[str], str]:
        """Return the number of states, and the shortest schedule that breaks the promise, if any."""
        return search(State(), self.moves, self.wrong, limit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", choices=RULES, default="")
    parser.add_argument("--all", action="store_true", help="take back each rule in turn")
    parser.add_argument("--changes", type=int, default=3)
    parser.add_argument("--crashes", type=int, default=1)
    parser.add_argument("--runs", type=int, choices=(1, 2), default=2)
    args = parser.parse_args()
    failed = 0
    for rule in ["", *RULES] if args.all else [args.without]:
        states, path, broken = Model(rule, args.changes, args.crashes, args.runs).search()
        name = f"without {rule}" if rule else "all rules"
        print(f"{name}: {states:,} states, " + (f"BROKEN: {broken}" if broken else "holds"), flush=True)
        for step in path:
            print("    " + step)
        failed += bool(broken) and not rule
    return failed


if __name__ == "__main__":
    sys.exit(main())
