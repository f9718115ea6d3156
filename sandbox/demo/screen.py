"""What the demo shows: rich text with a live bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.text import Text

from sandbox.demo.clients import Json, Source
from sandbox.demo.picture import SVG_FORMAT
from sandbox.demo.story import ACTS, Act, Ending, Heading, Watcher, rows_of
from sandbox.demo.tables import checks_table, counts_table, proofs_table, sources_table

_STYLES: Final = {
    "Successful": "bold green",
    "Completed with warnings": "bold yellow",
    "Skipped": "bold yellow",
    "Failed (permanent)": "bold red",
}
_WIDEST: Final = 100
_TOLD_SHARE: Final = 0.25  # of the pages between two lines where no bar can be shown


class Screen:
    """Writes the demo to a console. `keep` records it for `save_svg`."""

    def __init__(self, *, keep: bool = False) -> None:
        self.console = Console(record=keep, highlight=False)
        self.console.width = min(self.console.width, _WIDEST)

    def opening(self, ready: Mapping[str, Any], app_url: str, sources: Sequence[Source]) -> None:
        """Show what runs where, and what it holds."""
        self.console.print()
        self.console.print(Text("Customer Profile Linker", "bold"), Text("on a local Dynamics 365", "dim"))
        parts = {
            "Dataverse": f"{ready['dataverse']}/api/data/v9.2",
            "Customer Insights": ready["insights"],
            "Function app": f"{app_url}/api",
        }
        for name, url in parts.items():
            self._print(Text.assemble((f"{name:<20}", "dim"), url))
        self._print("")
        self._print(sources_table(sources))

    def heading(self, number: int, heading: Heading) -> None:
        """Say what an act is about."""
        self.console.print()
        self.console.print(Rule(Text(f"{number} of {ACTS}  {heading.title}", "bold cyan"), align="left", style="cyan"))
        self._print(Text(heading.purpose, "italic"))

    def act(self, act: Act, notes: Sequence[str] = ()) -> None:
        """Show how a run ended, its counts, and what it proves."""
        run = act.run
        speed = run["counts"]["rowsRead"] / act.seconds if act.seconds else 0.0
        facts = f"{act.seconds:.1f} s, {speed:,.0f} rows/s, {act.requests:,} requests to Dataverse"
        self._print("")
        status = (run["status"], _STYLES.get(run["status"], "bold"))
        self._print(Text.assemble("CustomerId Backstamping Hydration  ", status, ("  " + facts, "dim")))
        reasons = [text for text in (run["statusDetail"], *run["warnings"]) if text]
        for text in dict.fromkeys(reasons):
            self._print(Text(text, "yellow"))
        self._print("")
        self._print(counts_table(run["tables"]))
        for note in notes:
            self._print(Text(f"Note: {note}", "dim"))
        self._print("")
        self._print(proofs_table(act.proofs))

    def ending(self, ending: Ending) -> None:
        """Show what reading everything back found."""
        self.console.print()
        self.console.print(
            Rule(Text("Every link, read back through the Web API", "bold cyan"), align="left", style="cyan")
        )
        self._print("")
        self._print(checks_table(ending.checks))

    def verdict(self, sentence: str, *, good: bool) -> None:
        """Say how it all came out."""
        self.console.print()
        self.console.print(Text.assemble(("✓ " if good else "✗ ", "bold green" if good else "bold red"), sentence))

    def failure(self, message: str) -> None:
        """Say why the demo ended early."""
        self.console.print()
        self.console.print(Text(message, "red"), soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Say what goes on while it goes on."""
        if not self.console.is_terminal:
            self.console.print(f"{text} ...")
            yield
            return
        with Live(Spinner("dots", text=Text(text, "dim")), console=self.console, transient=True):
            yield

    @contextmanager
    def following(self, rows: int) -> Iterator[Watcher]:
        """Give a function that shows how far a run is; `rows` take part in it."""
        if not self.console.is_terminal:
            yield _Lines(self.console).show
            return
        spinner = Spinner("dots", style="cyan")
        with Live(console=self.console, transient=True, refresh_per_second=10) as live:
            yield lambda run, counters: live.update(_live(spinner, run, counters, rows))

    def save_svg(self, path: Path) -> None:
        """Save what was shown as a picture."""
        path.write_text(self.console.export_svg(title="make demo", code_format=SVG_FORMAT), encoding="utf-8")

    def _print(self, what: RenderableType) -> None:
        self.console.print(Padding(what, (0, 0, 0, 2)))


class _Lines:
    """Tells progress where no bar can be shown: a line for each new status and for each quarter of the pages."""

    def __init__(self, console: Console) -> None:
        self._console, self._status, self._share = console, "", 0.0

    def show(self, run: Json, counters: Json) -> None:
        del counters
        share = _share(run)
        if run["status"] != self._status or share >= self._share + _TOLD_SHARE:
            self._status, self._share = run["status"], share
            self._console.print(f"  {run['status']}  {_details(run)}".rstrip())


def _live(spinner: Spinner, run: Json, counters: Json, rows: int) -> RenderableType:
    spinner.update(text=Text.assemble(run["status"], ("  " + (run["statusDetail"] or run["modeReason"]), "dim")))
    written = {table["table"]: rows_of(counters, "rowsWritten", [table["table"]]) for table in run["tables"]}
    done = max(run["counts"]["rowsRead"], sum(written.values()))
    bar = ProgressBar(total=rows, completed=done, width=60, pulse=not run["progress"])
    told = "   ".join(f"{table} {number:,}" for table, number in written.items())
    lines: list[RenderableType] = [spinner, bar, Text(f"{done:,} of {rows:,} rows   {_details(run)}", "dim")]
    return Padding(Group(*lines, Text(f"written: {told}" if told else "", "dim")), (0, 0, 0, 2))


def _share(run: Json) -> float:
    progress = run["progress"]
    return progress["pagesDone"] / progress["pagesTotal"] if progress and progress["pagesTotal"] else 0.0


def _details(run: Json) -> str:
    progress = run["progress"]
    if not progress:
        return ""
    told = [
        f"{progress['rowsPerSecond']:,.0f} rows/s",
        f"{progress['etaSeconds']:,.0f} s left" if progress["etaSeconds"] is not None else "",
        f"{progress['pagesDone']:,} of {progress['pagesTotal']:,} pages",
        f"width {progress['width']}",
        f"paused by Dataverse until {progress['pausedUntil']}" if progress["pausedUntil"] else "",
    ]
    return "   ".join(filter(None, told))
