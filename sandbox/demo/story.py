"""Three acts, each with the proof that it did what it says. Nothing is printed here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from sandbox.demo.clients import App, Json, Sandbox, Source, TableCheck

GOOD_ENDS: Final = frozenset({"Successful", "Completed with warnings"})
ACTS: Final = 3
MOVED_SHARE: Final = 0.01
_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 300.0  # without any change of the run

type Watcher = Callable[[Json, Json], None]
"""Is shown a run and the sandbox's counters during the run."""


class StalledError(RuntimeError):
    """A run made no progress; the message says which."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim about a number of rows: what was to be expected, and what another side counted."""

    claim: str
    expected: int
    counted: int

    @property
    def holds(self) -> bool:
        """Whether both sides agree."""
        return self.expected == self.counted


@dataclass(frozen=True, slots=True)
class Heading:
    """What an act is about."""

    title: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Act:
    """One run and what it proves. `run` is the API's JSON, `requests` what the sandbox answered meanwhile."""

    heading: Heading
    run: Json
    requests: int
    seconds: float
    proofs: tuple[Proof, ...]

    @property
    def succeeded(self) -> bool:
        """Whether the run ended well and every proof holds."""
        return self.run["status"] in GOOD_ENDS and all(proof.holds for proof in self.proofs)


@dataclass(frozen=True, slots=True)
class Ending:
    """Every link, read back at the end."""

    checks: tuple[TableCheck, ...]

    @property
    def succeeded(self) -> bool:
        """Whether no row has a link that it should not have."""
        return not any(check.wrong for check in self.checks)


FIRST: Final = Heading(
    "The first link",
    "A unification has completed and its event reaches the webhook. Every source row gets the link to its customer profile.",
)
AGAIN: Final = Heading(
    "Nothing has changed",
    "The same task again, asked for through the API. No row differs, so no row is written.",
)
MOVED: Final = Heading(
    "The next unification",
    "A unification moves 1 % of the rows to other customers and its event reaches the webhook. Exactly these rows are updated.",
)


@dataclass(frozen=True, slots=True)
class Story:
    """The acts on one sandbox and one host, and what takes part in unification."""

    app: App
    sandbox: Sandbox
    sources: Sequence[Source]

    @property
    def rows(self) -> int:
        """How many mapping rows name a row of Dataverse."""
        return sum(source.rows for source in self.sources if source.is_table)

    def acts(self) -> Iterator[tuple[Heading, Callable[[Watcher], Act]]]:
        """Yield what each act is about, and how to play it."""
        yield FIRST, self.first_link
        yield AGAIN, self.second_run
        yield MOVED, self.next_unification

    def first_link(self, watch: Watcher) -> Act:
        """Publish the unification that loading the data was."""
        job = self.sandbox.last_job()

        def prove(run: Json, counters: Json) -> tuple[Proof, ...]:
            named = sum(len(self.sandbox.truth(table)) for table in self._linked_tables(run))
            return (
                Proof("rows read: all that the mapping names", named, run["counts"]["rowsRead"]),
                Proof("rows written: as many as were linked", run["counts"]["linked"], _written(run, counters)),
            )

        return self._act(FIRST, lambda: self.app.publish(job), prove, watch)

    def second_run(self, watch: Watcher) -> Act:
        """Ask for a run right after one."""

        def prove(_: Json, counters: Json) -> tuple[Proof, ...]:
            written, changed = rows_of(counters, "rowsWritten"), rows_of(counters, "rowsChanged")
            return (Proof("rows written, in any table", 0, written), Proof("rows whose value changed", 0, changed))

        return self._act(AGAIN, lambda: self.app.request(mode="incremental"), prove, watch)

    def next_unification(self, watch: Watcher) -> Act:
        """Move some rows and publish that."""
        done = self.sandbox.unify(move=max(MOVED_SHARE, 1 / max(self.rows, 1)), seed=7)
        moved = int(done["moved"])

        def prove(run: Json, counters: Json) -> tuple[Proof, ...]:
            changed = rows_of(counters, "rowsChanged", _tables(run))
            return (
                Proof("rows linked, as the app says", moved, run["counts"]["linked"]),
                Proof("rows written", moved, _written(run, counters)),
                Proof("rows whose value changed", moved, changed),
            )

        return self._act(MOVED, lambda: self.app.publish(done["jobId"]), prove, watch)

    def read_back(self, run: Json) -> Ending:
        """Read every link through the Web API and compare; tables that the run skipped, and said so, are left out."""
        return Ending(tuple(self.sandbox.check(table) for table in self._linked_tables(run)))

    def _linked_tables(self, run: Json) -> list[str]:
        """Return the tables that must be linked, found without the app's help."""
        skipped = {table["table"] for table in run["tables"] if table["status"] == "Skipped"}
        return sorted({source.table for source in self.sources if source.is_table} - skipped)

    def _act(
        self,
        heading: Heading,
        start: Callable[[], Json],
        prove: Callable[[Json, Json], tuple[Proof, ...]],
        watch: Watcher,
    ) -> Act:
        self.sandbox.reset_counters()
        began = monotonic()
        run = self._follow(start(), watch)
        seconds = monotonic() - began
        counters = self.sandbox.counters()
        act = Act(heading, run, counters["requests"].get("total", 0), round(seconds, 2), prove(run, counters))
        if run["followUp"]:
            self._follow(self.app.run(run["followUp"]), watch)  # so that the next act finds the app at rest
        return act

    def _follow(self, run: Json, watch: Watcher) -> Json:
        """Return the run when it has ended. Raises StalledError when it does not change any more."""
        seen, changed_at = run, monotonic()
        while not seen["endedAt"]:
            watch(seen, self.sandbox.counters())
            sleep(_LOOK_S)
            now = self.app.run(run["id"])
            if now != seen:
                seen, changed_at = now, monotonic()
            elif monotonic() > changed_at + _PATIENCE_S:
                raise StalledError(f"Run {run['id']} has not moved for {_PATIENCE_S:.0f} s: {seen['status']}.")
        return seen


def rows_of(counters: Json, what: str, tables: Iterable[str] | None = None) -> int:
    """Return one of the sandbox's row counters over some tables, or over all."""
    counted = counters["tables"]
    return sum(counted[table][what] for table in (counted if tables is None else tables) if table in counted)


def _written(run: Json, counters: Json) -> int:
    return rows_of(counters, "rowsWritten", _tables(run))


def _tables(run: Json) -> list[str]:
    return [table["table"] for table in run["tables"]]
