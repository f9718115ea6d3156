"""What one worker of the model does next: an attempt at the page, or the unlink pass that follows it.

Values and blocks are those of `page_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.model_checking.page_model import Model

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
    fresh: bool = True  # no other attempt saved the block since it was read
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


OWNING = ("send", "read back", "absent", "look", "clear", "cleared")


def owns(w: Worker) -> bool:
    """Whether an attempt owns the shard: from its intents, or from the start of its unlink pass, until its time is over."""
    return w.at in OWNING and not w.expired


def unconfirmed(block: frozenset | None) -> frozenset | None:
    return None if block is None else frozenset((value, False) for value, _ in block)


class Step:
    """The next step of a worker: a method for each place where it can be, which returns the state after it."""

    def __init__(self, model: Model, s: State, me: str, w: Worker) -> None:
        self.model, self.s, self.me, self.w = model, s, me, w
        self.known = w.block if w.block is not None else frozenset()
        self.values = {v for v, _ in self.known}

    def on(self, rule: str) -> bool:
        return self.model.on(rule)

    def go(self, at: str, state: State | None = None, **kw: object) -> State:
        state = state or self.s
        return state._replace(**{self.me: getattr(state, self.me)._replace(at=at, **kw)})

    def save(self, block: frozenset | None, then: str, **kw: object) -> State:
        if not self.w.fresh and self.on("if-match"):
            return self.go("late" if self.w.sent else "idle", said="")
        return self.go(then, self.model.saved(self.s, self.me, block), **kw)

    def empties(self) -> State:
        """Keys with an empty link; those that a block names."""
        if self.s.link == 0 and self.s.block and self.on("empties"):
            return self.go("load", self.model.saved(self.s, self.me, unconfirmed(self.s.block)))
        return self.go("load")

    def load(self) -> State:
        """Another attempt waits until the owner's time is over."""
        return self.go("read", block=self.s.block, fresh=True, sent=False, expired=False)

    def read(self) -> State:
        return self.go("decide", wanted=self.s.mapping)

    def decide(self) -> State:
        w = self.w
        if not w.wanted:
            if not self.on("keep-departed"):
                return self.save(frozenset(), "done", said="departed")
            return self.go("unlink" if self.known or w.block is None else "done", said="departed")
        doubtful = w.block is None or any(not c for _, c in self.known)
        if not doubtful and self.values == {w.wanted}:
            return self.go("done", said="unchanged")
        return self.go("compare" if doubtful and self.on("live") else "resolve")

    def compare(self) -> State:
        if self.s.link == self.w.wanted:
            return self.save(frozenset({(self.w.wanted, True)}), "done", said="unchanged")
        return self.go("resolve")

    def resolve(self) -> State:
        if self.w.wanted not in self.s.profiles:
            return self.go("done", said="deferred")  # its entries stay as they are
        return self.go("intend")

    def intend(self) -> State:
        """It owns the row from now on, by ETag."""
        if not self.on("intent"):
            return self.go("send", expired=False)
        old = self.known if self.on("old-entry") else frozenset()
        return self.save(old | {(self.w.wanted, False)}, "send", expired=False)

    def send(self) -> State:
        if self.w.expired and self.on("fence"):
            return self.go("idle", said="")
        if self.w.wanted not in self.s.profiles:  # the bind target must exist
            return self.go("done", said="rejected")
        return self.go("read back", self.model.linked(self.s, self.w.wanted), sent=True)

    def read_back(self) -> State:
        if self.s.link == self.w.wanted or not self.on("read-back"):
            return self.save(frozenset({(self.w.wanted, True)}), "done", said="linked")
        return self.go("done", said="rejected")

    def late(self) -> State:
        if not self.on("late-bit"):
            return self.go("idle")
        now = self.s.block
        marked = None if now is None else (unconfirmed(now) or frozenset()) | {(self.w.wanted, False)}
        return self.go("idle", self.model.saved(self.s, self.me, marked))

    def unlink(self) -> State:
        """The guard has agreed. It reads the block again and owns the shard from now on, by ETag."""
        if self.s.block is None:
            return self.go("done", said="deferred")
        return self.go("absent", block=self.s.block, fresh=True, expired=False)

    def absent(self) -> State:
        if self.s.mapping and self.on("absence"):
            return self.go("done", said="deferred")
        return self.go("look", back=bool(self.s.mapping))

    def look(self) -> State:
        if self.s.link == 0:
            return self.save(frozenset(), "done", said="unlinked")
        if self.s.link not in self.values and self.on("ours"):
            return self.save(frozenset(), "done", said="not ours")
        return self.go("clear", same=True)

    def clear(self) -> State:
        s, w = self.s, self.w
        if w.expired and self.on("fence"):
            return self.go("idle", said="")
        if not w.same and self.on("etag"):
            return self.go("done", said="deferred")
        harm = s.harm
        if not harm and s.link == 3:
            harm = "somebody else's link was cleared"
        elif not harm and w.back and s.mapping == s.link:
            harm = "a link that the mapping wants was cleared"
        return self.go("cleared", self.model.linked(s, 0)._replace(harm=harm), sent=True)

    def cleared(self) -> State:
        if self.s.link == 0:
            return self.save(frozenset(), "done", said="unlinked")
        return self.go("done", said="rejected")
