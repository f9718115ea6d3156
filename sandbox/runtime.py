"""What all parts of the sandbox share: rows, switches, clock, counters, and the seam for faults."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from sandbox.database import Database, count_rows, utc_now
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.schema.model import Table
from sandbox.switches.config import SandboxConfig

WriteKind = Literal["Create", "Update", "Delete", "CreateMultiple", "UpdateMultiple"]
"""The message whose pipeline runs; an upsert is a Create or an Update, and UpsertMultiple is one of each."""


@dataclass(frozen=True, slots=True)
class WriteOperation:
    """One write that passed all checks of its request: a single row or one bulk request.

    `table` is a logical name; `row_ids` are guid texts; `columns` are logical names that any of its rows sets; `user`
    is the systemuser id; `headers` are those of the request, or of the part in a `$batch`, with lower-case names.
    """

    kind: WriteKind
    table: str
    row_ids: tuple[str, ...]
    columns: frozenset[str]
    user: str
    headers: Mapping[str, str]
    path: str

    @property
    def rows(self) -> int:
        """How many rows it writes."""
        return len(self.row_ids)


@dataclass(frozen=True, slots=True)
class ReadOperation:
    """A query that was answered, before its answer leaves."""

    table: str
    rows: int
    user: str
    headers: Mapping[str, str]
    path: str


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One operation inside a `$batch`; it counts as a request of its own (docs/reference/dataverse.md 1.6)."""

    method: str
    path: str
    user: str
    headers: Mapping[str, str]


class Hooks(Protocol):
    """What surrounds operations: cost, service protection of batch parts, scripted faults.

    A hook may sleep, and may raise `sandbox.webapi.protocol.errors.ApiError` to refuse with that answer. In a `$batch` that
    refuses the part, or its whole change set. Any other exception leaves the Web API unchanged (a connection reset).
    """

    async def before_part(self, part: BatchPart) -> None:
        """Called before each operation of a `$batch`."""

    async def before_write(self, operation: WriteOperation) -> bool:
        """Called after all checks and before the transaction. False: answer success but write nothing."""

    async def spend(self, cost_ms: float) -> None:
        """Called before the transaction, for each synchronous automation, with the simulated time that it takes."""

    async def after_commit(self, operation: WriteOperation) -> None:
        """Called after the transaction, before the answer."""

    async def after_read(self, operation: ReadOperation) -> None:
        """Called after rows were read, before the answer."""


class NoHooks:
    """Costs nothing, refuses nothing."""

    async def before_part(self, part: BatchPart) -> None:
        """Let it pass."""

    async def before_write(self, operation: WriteOperation) -> bool:
        """Let it write."""
        del operation
        return True

    async def spend(self, cost_ms: float) -> None:
        """Let it run in no time."""

    async def after_commit(self, operation: WriteOperation) -> None:
        """Let it answer."""

    async def after_read(self, operation: ReadOperation) -> None:
        """Let it answer."""


@dataclass(slots=True)
class TableCounters:
    """What happened to one table. `rows_changed` counts rows whose value really differs from before."""

    reads: int = 0
    rows_read: int = 0
    rows_written: int = 0
    rows_changed: int = 0


@dataclass(slots=True)
class AutomationCounters:
    """What writes set in motion: plug-in steps and real-time workflows, system jobs, cloud flow runs."""

    step_executions: int = 0
    async_jobs: int = 0
    flow_runs: int = 0
    by_name: Counter[str] = field(default_factory=Counter)

    def count(self, kind: Literal["step", "async", "flow"], name: str, executions: int) -> None:
        """Count one automation; a flow's trigger is a system job as well (docs/reference/dataverse.md 9.3)."""
        self.by_name[name] += executions
        self.step_executions += executions if kind == "step" else 0
        self.async_jobs += executions if kind != "step" else 0
        self.flow_runs += executions if kind == "flow" else 0


@dataclass(slots=True)
class Counters:
    """What a real environment would have suffered since the last reset."""

    tables: dict[str, TableCounters] = field(default_factory=dict)
    automation: AutomationCounters = field(default_factory=AutomationCounters)

    def of(self, table: str) -> TableCounters:
        """Return the counters of a table, by logical name."""
        return self.tables.setdefault(table, TableCounters())

    def reset(self) -> None:
        """Start from zero."""
        self.tables.clear()
        self.automation = AutomationCounters()


@dataclass(slots=True)
class Snapshots:
    """Row counts of whole tables as they were at some moment of the last day (docs/reference/dataverse.md 5.3)."""

    taken: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def count(self, database: Database, table: Table, oldest: datetime) -> int:
        """Return a count that is not older than `oldest`; a new one is taken when the last one is."""
        moment, rows = self.taken.get(table.logical_name, (oldest, 0))
        if moment <= oldest:
            rows = count_rows(database, table)
            self.taken[table.logical_name] = (database.clock(), rows)
        return rows


@dataclass(slots=True)
class Environment:
    """One simulated Dataverse environment. `base_url` has no trailing slash, such as `http://127.0.0.1:8050`."""

    database: Database
    config: SandboxConfig = field(default_factory=SandboxConfig)
    base_url: str = "http://127.0.0.1:8050"
    clock: Callable[[], datetime] = utc_now
    counters: Counters = field(default_factory=Counters)
    hooks: Hooks = field(default_factory=NoHooks)
    snapshots: Snapshots = field(default_factory=Snapshots)
    elastic_requests: int = 0
    """Requests to elastic tables so far, of which the tables themselves refuse some."""
    customizing: bool = False
    """Whether a change of metadata is running, which locks out others (docs/reference/dataverse.md 8.4)."""

    def __post_init__(self) -> None:
        """Refuse switches that contradict the stored tables: the sandbox would behave as neither of the two."""
        for name, chosen in ((PROFILES, self.config.profile_table), (MAPPING, self.config.mapping_table)):
            stored = self.database.schema.tables[name].table_type.lower()
            if stored != chosen:
                raise ValueError(
                    f"The stored table {name} is {stored}, and the switches say {chosen}. "
                    "Start with the switches that the data were made with, or with another database."
                )

    @property
    def api_url(self) -> str:
        """The root of the Web API."""
        return self.api_url_at("")

    def api_url_at(self, address: str) -> str:
        """Return the root of the Web API at the scheme and host of a request; "" is the configured address."""
        return f"{address or self.base_url}/api/data/v9.2"

    def configure(self, config: SandboxConfig) -> None:
        """Use other switches from now on; a changed string order rebuilds the indexes."""
        self.config = config
        self.database.use_string_order(config.string_order)
