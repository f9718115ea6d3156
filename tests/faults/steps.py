"""The steps of a run, by the requests that each makes, and the faults that may strike there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .proxy import Kind

type Writes = Literal["", "single", "bulk"]
type Phase = Literal["first", "later"]

PHASES: Final[tuple[Phase, ...]] = ("first", "later")
NO_DATAVERSE: Final = "the step asks only Table Storage"
NO_STORAGE: Final = "the step asks only Dataverse"
NOT_YET: Final = "nothing is linked yet that could depart"
SEEN_BEFORE: Final = "rows that are gone are seen before anything is written"
NO_CONDITION: Final = "the step sends no conditional write"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: the activities that do it, and which of their requests belong to it.

    `dataverse` are matchers of a fault of the sandbox, `storage` those of a StorageFault; None: it asks no such thing.
    `writes` says what it writes to Dataverse. A fault strikes one of the first `spread` requests of an activity, at random,
    and in all `most` times at the most, None for a whole run: shards are tried again so often that it would take minutes.
    """

    name: str
    activities: tuple[str, ...]
    dataverse: dict[str, Any] | None = None
    storage: dict[str, Any] | None = None
    writes: Writes = ""
    spread: int = 1
    phases: tuple[Phase, ...] = PHASES

    @property
    def most(self) -> int | None:
        """See above."""
        return 12 if {"link_shard", "scan_slice"} & {*self.activities} else None


NEWEST: Final = {"operation": "$batch", "body": "orderby=modifiedon"}  # of the newest change of both tables
ISOLATING: Final = {"operation": "UpdateMultiple", "table": "contact", "skip": 1}
BLOCKS: Final = "/linkerhashes("
BLOCK_WRITES: Final = {"method": "POST PUT", "path": "/linkerhashes"}  # the first one of a shard inserts its block
STEPS: Final = (
    Step("settle", ("settle",), NEWEST, {}, spread=2),
    Step("requirements", ("survey",), {}, {}, spread=20),
    Step("column", ("prepare_table",), {"path": "/(Entity|Relationship)Definitions"}, {}, spread=2),
    Step("mapping read", ("scan_slice",), {"path": "/msdynci_alternatekeys"}),
    Step("stage", ("scan_slice",), None, {"method": "POST", "path": "$batch"}),
    Step("commit", ("scan_slice",), None, {"method": "PUT", "path": "/linkerstatus("}),
    Step("shards", ("plan_shards",), None, {}, spread=4),
    Step("staged rows", ("link_shard",), None, {"method": "GET", "path": "/linkerstaging("}),
    Step("block read", ("link_shard",), None, {"method": "GET", "path": BLOCKS}),
    Step("intent", ("link_shard",), None, BLOCK_WRITES),
    Step("resolve", ("link_shard",), {"operation": "$batch", "body": "/msdynci_customerprofiles?"}),
    Step("write", ("link_shard",), {"operation": "UpdateMultiple"}, writes="bulk"),
    # Only rows of a new column are written without a look at them, so only there a row that is gone has to be isolated.
    Step("isolate", ("link_shard",), ISOLATING, writes="bulk", phases=("first",)),
    Step("read-back", ("link_shard",), {"operation": "$batch", "body": "_msdynci_lookupfield_customerprofile_value"}),
    Step("block write", ("link_shard",), None, {**BLOCK_WRITES, "skip": 1}),
    Step("unlink", ("unlink_table",), {}, {}, "single", spread=8, phases=("later",)),
    Step("touch", ("plan_touch", "touch_profiles", "report_touch"), {}, {}, "single", spread=2),
    Step("finish", ("end_table", "end_run"), {}, {}, spread=2),
)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that the matrix tries: of the sandbox, with its own parameters, or of Table Storage.

    `strikes` says which requests it can concern: any, those that write, those that write many rows. `most` is how often it
    may strike at the most, None for a whole run: what is about one moment strikes once, a limit of service protection some
    times, because a run waits for as long as Dataverse asks, and storage as often as it takes for a run to give up.
    """

    name: str
    strikes: Literal["any", "writes", "bulk writes", "storage", "conditional"] = "any"
    parameters: dict[str, Any] = field(default_factory=dict)
    most: int | None = None

    def why_not(self, step: Step, phase: Phase) -> str:
        """Return why this fault has nothing to strike at a step, empty when it has."""
        if phase not in step.phases:
            return NOT_YET if phase == "first" else SEEN_BEFORE
        if self.of_storage:
            return self._why_not_storage(step)
        if step.dataverse is None:
            return NO_DATAVERSE
        if self.strikes == "writes" and not step.writes:
            return "it strikes writes of rows, and the step only reads"
        if self.strikes == "bulk writes" and step.writes != "bulk":
            return "it strikes writes of many rows at once, and the step sends none"
        return ""

    def _why_not_storage(self, step: Step) -> str:
        if step.storage is None:
            return NO_STORAGE
        if self.strikes == "conditional" and step.storage.get("method") == "GET":
            return "it answers writes under an ETag, and the step only reads"
        if self.strikes == "conditional" and "$batch" in step.storage.get("path", ""):
            return NO_CONDITION
        return ""

    @property
    def of_storage(self) -> bool:
        """Whether the proxy before Table Storage plays it, rather than the sandbox."""
        return self.strikes in ("storage", "conditional")


CHANGED: Final = {"move": 0.1, "drop": 0.03, "seed": 77}
STRIKES: Final = (
    Strike("requests_limit", parameters={"retry_after_s": 20}, most=10),
    Strike("execution_limit", parameters={"retry_after_s": 3}, most=10),
    Strike("concurrency_limit", parameters={"retry_after_s": 1}, most=10),
    Strike("customization_lock"),
    Strike("unavailable"),
    Strike("server_error"),
    Strike("unauthorized"),
    Strike("late_commit", parameters={"delay_s": 12}),
    Strike("reset_before_commit"),
    Strike("reset_after_commit"),
    Strike("dropped_write", "writes"),
    Strike("sql_timeout", "writes"),
    Strike("deadlock", "writes"),
    Strike("disk_full", "writes"),
    Strike("rows_deleted", "bulk writes", {"row_share": 0.05}, most=1),
    Strike("mapping_changed", parameters={"unification": CHANGED}, most=1),
)
STORAGE_KINDS: Final[tuple[Kind, ...]] = ("unavailable", "silence", "reset", "lost answer", "changed", "slow")
STORAGE_STRIKES: Final = tuple(
    Strike(f"storage {kind}", "conditional" if kind == "changed" else "storage", most=40) for kind in STORAGE_KINDS
)
