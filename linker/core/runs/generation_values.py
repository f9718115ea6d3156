"""What a run hands to its generations and to its touch phase, and gets back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from linker.core.model import WIRE, Counts, Mode, Touches, UnlinkAllowance
from linker.core.runs.activity_values import Totals
from linker.core.runs.signals import WireMarks
from linker.core.throttling.pace import Load, Pace


@dataclass(frozen=True, slots=True)
class Share:
    """Shards `first` to `end` (exclusive) of one table in one scan. `canary`: none of its links was proved to be alive yet."""

    __pydantic_config__ = WIRE
    table: str
    scan: str
    first: int
    end: int
    mode: Mode
    epoch: str
    tries: int = 0  # that each of these shards has behind it
    canary: bool = False
    faults: int = 0  # passing faults of the table in a row


def join_shares(shards: Iterable[Share]) -> tuple[Share, ...]:
    """Return single shards as the fewest shares, so that they fit into one value however many there are."""
    shares: list[Share] = []
    for shard in sorted(shards, key=lambda shard: (shard.table, shard.first)):
        last = shares[-1] if shares else None
        if (
            last is not None
            and replace(shard, first=last.first) == replace(last, end=shard.end)
            and shard.first == last.end
        ):
            shares[-1] = replace(last, end=shard.end)
        else:
            shares.append(shard)
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the tables came to that a generation has no shards of: their number must not make its values grow."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    pages: int = 0


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """The shards of one generation, of `shards_total` of the run, and the totals of their tables so far.

    `elsewhere` is what other tables came to. It begins with a pause of `rest_s` that is not over. Of many shards, two
    reports of progress lie `news_s` seconds apart at least; an earlier version gave none.
    """

    __pydantic_config__ = WIRE
    run: str
    shares: tuple[Share, ...]
    shards_total: int
    pace: Pace
    totals: dict[str, Totals] = field(default_factory=dict)
    seconds: float = 0.0
    dry_run: bool = False
    rest_s: float = 0.0
    elsewhere: Elsewhere = Elsewhere()
    news_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GenerationOutcome:
    """Totals of its tables so far, the pace to continue with, and why to stop, if so."""

    __pydantic_config__ = WIRE
    totals: dict[str, Totals]
    pace: Pace
    seconds: float
    stop: str = ""
    left: tuple[Share, ...] = ()  # shards that one history had no room for; the next generation has them
    rest_s: float = 0.0  # of a pause that is not over


@dataclass(frozen=True, slots=True)
class TouchRef:
    """The touch phase of a run."""

    __pydantic_config__ = WIRE
    run: str
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TouchPlan:
    """In how many parts the waiting profiles are touched, 0 when none waits; `left_out` says why nothing is touched."""

    __pydantic_config__ = WIRE
    parts: int = 0
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class TouchTask:
    """The next profiles of one part, those after the id `after`."""

    __pydantic_config__ = WIRE
    run: str
    part: int
    parts: int
    pace: Pace = Pace()
    dry_run: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class TouchOutcome:
    """What became of these profiles; `after` continues the part, None when it is done.

    `later_s` says when to try again and `later_reason` why, `left_out` why never. `refusal` is Dataverse's word about one.
    """

    __pydantic_config__ = WIRE
    touches: Touches = Touches()
    after: str | None = None
    later_s: float = 0.0
    later_reason: str = ""
    left_out: str = ""
    refusal: str = ""
    load: Load = Load()


@dataclass(frozen=True, slots=True)
class TouchReport:
    """News of the touch phase. When it is over, what waited is forgotten, unless the next run is to try again (`again`)."""

    __pydantic_config__ = WIRE
    run: str
    touches: Touches
    dry_run: bool = False
    over: bool = False
    again: bool = False
    left_out: str = ""
    refusal: str = ""
    paused_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Strays:
    """Rows of a table with a link that neither mapping nor blocks name, and those of them whose profile is gone.

    `cleared` are orphaned links that were cleared because an operator allowed it; a dry run counts those it would clear.
    """

    __pydantic_config__ = WIRE
    rows: int = 0
    orphans: int = 0  # that keep their link
    cleared: int = 0
    digest: str = ""  # of the rows that keep their orphaned link, which an allowance names
    kept: str = ""  # why they keep it although an operator allowed to clear them


@dataclass(frozen=True, slots=True)
class StraysTask:
    """Hold all links of a table against all profiles; clear orphaned links that are not ours as far as it is `allowed`."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    dry_run: bool = False
    allowed: tuple[UnlinkAllowance, ...] = ()  # for orphaned links of this table


@dataclass(frozen=True, slots=True)
class UnlinkTask:
    """The next shards of a table that hold removed rows.

    `after` names the last one settled; `rows` counts mapped and removed rows.
    """

    __pydantic_config__ = WIRE
    run: str
    table: str
    departed: int
    rows: int
    marks: WireMarks | None
    dry_run: bool = False
    after: str = ""
    allowed: tuple[UnlinkAllowance, ...] = ()  # for this table


@dataclass(frozen=True, slots=True)
class UnlinkOutcome:
    """What became of departed rows; `after` continues the pass, None when it is done."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    after: str | None = None
    held_back: str = ""
    guarded: bool = False  # it was the guard that held them back
    later_s: float = 0.0
    failed: str = ""
    lost: int = 0  # links that Dataverse accepted twice to clear and kept
