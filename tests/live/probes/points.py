"""An unproved fact, and what one environment says about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.live.probes.scene import Scene
from tests.live.probes.wire import Asker

# These switches say something about every kind of table; all others about tables that are not standard.
GENERAL = frozenset(
    {
        "profile_table",
        "mapping_table",
        "mapping_name_column",
        "workflow_tables",
        "workflow_words",
        "hydration_writes",
        "job_ends_first",
        "profile_relationships",
    }
)


@dataclass(frozen=True, slots=True)
class Point:
    """One unproved fact.

    `fact` is its heading in the reference of elastic tables. `plays` says which value of the sandbox's `switch` makes the
    sandbox give an answer; the answers stand there in the words that the probe uses, without what follows a colon.
    """

    name: str
    fact: str
    question: str
    switch: str = ""
    plays: Mapping[str, str] = field(default_factory=dict)

    def settle(self, answer: str, evidence: str = "") -> Result:
        """Return the point with its answer."""
        return Result(self, answer, evidence, settled=True)

    def leave_open(self, why: str) -> Result:
        """Return the point without an answer: this environment cannot say, for the reason given."""
        return Result(self, "", why, settled=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What one environment says about a point; `evidence` is why it is open where it is not settled."""

    point: Point
    answer: str
    evidence: str
    settled: bool

    @property
    def without_switch(self) -> Result:
        """The same result where the switch does not apply, since both tables are standard."""
        return self if self.point.switch in GENERAL else replace(self, point=replace(self.point, switch="", plays={}))

    @property
    def setting(self) -> str:
        """The switch of the sandbox that plays this answer, such as 'page_max=500'; "" where there is none."""
        plays = self.point.plays
        value = plays.get(self.answer, plays.get(self.answer.partition(":")[0]))
        return "" if value is None else f"{self.point.switch}={value}"

    @property
    def is_unknown_to_the_sandbox(self) -> bool:
        """Whether the sandbox has a switch for the point, and no value of it plays this answer."""
        return self.settled and bool(self.point.switch) and not self.setting


@dataclass(frozen=True, slots=True)
class Probe:
    """Some requests that settle some points.

    `writes` says what the probe writes and removes again; it is "" for a probe that sends GET requests alone.
    """

    name: str
    title: str
    points: tuple[Point, ...]
    ask: Callable[[Asker, Scene], Awaitable[Sequence[Result]]]
    writes: str = ""


def probe(
    name: str, title: str, points: Iterable[Point]
) -> Callable[[Callable[[Asker, Scene], Awaitable[Sequence[Result]]]], Probe]:
    """Turn a function that asks into a probe."""

    def made(ask: Callable[[Asker, Scene], Awaitable[Sequence[Result]]]) -> Probe:
        return Probe(name, title, tuple(points), ask)

    return made
