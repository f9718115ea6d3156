"""What the demo shows: rich text with a live bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from linker.core.names import TASK_NAME
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
_PANEL: Final[dict[str, Any]] = {"border_style": "cyan", "title_align": "left", "padding": (0, 1), "expand": True}
_WIDEST: Final = 100
_TOLD_SHARE: Final = 0.25  # of the pages between two lines where no bar can be shown


class Screen:
    """Writes the demo to a console. `keep` records it for `save_svg`."""

    def __init__(self, *, keep: bool = False) -> None:
        self.console = Console(record=keep, highlight=False)
        self.console.width = min(self.console.width, _WIDEST)
        self._passing = Console(width=self.console.width, highlight=False)  # what is shown for a while is not kept

    def opening(self, ready: Mapping[str, Any], app_url: str, sources: Sequence[Source]) -> None:
        """Show what runs where, and what it holds."""
        grid = Table.grid(padding=(0, 3, 0, 0))
        grid.add_row(Text("Dataverse", "dim"), f"{ready['dataverse']}/api/data/v9.2")
        grid.add_row(Text("Customer Insights", "dim"), ready["insights"])
        grid.add_row(Text("Function app", "dim"), f"{app_url}/api")
        panel = Panel(Group(grid, "", sources_table(sources)), title="Customer Profile Linker", **_PANEL)
        self.console.print("", panel, sep="\n")

    def heading(self, number: int, heading: Heading) -> None:
        """Say what an act is about."""
        self._rule(f"{number} of {ACTS}   {heading.title}")
        self._print(Text(heading.purpose, "italic"))

    def act(self, act: Act, notes: Sequence[str] = ()) -> None:
        """Show how a run ended, its counts, and what it proves."""
        run = act.run
        status = (run["status"], _STYLES.get(run["status"], "bold"))
        self._print(Text.assemble("\n", (TASK_NAME, "bold"), "   ", status))
        self._print(Text(f"{_mode(run)} · {_speed(act)}", "dim"))
        for text in dict.fromkeys(filter(None, (run["statusDetail"], *run["warnings"]))):
            self._print(Text(text, "yellow"))
        self._print(Group("", counts_table(run["tables"]), *(Text(note, "dim") for note in notes)))
        self._print(Group("", proofs_table(act.proofs)))

    def ending(self, ending: Ending) -> None:
        """Show what reading everything back found."""
        self._rule("Every link, read back through the Web API and held against the truth")
        self._print(Group("", checks_table(ending.checks)))

    def verdict(self, sentence: str, *, good: bool) -> None:
        """Say how it all came out."""
        mark, style = ("✓", "green") if good else ("✗", "red")
        panel = Panel(Text.assemble((f"{mark} ", f"bold {style}"), sentence), **_PANEL | {"border_style": style})
        self.console.print("", panel, sep="\n")

    def kept(self, ready: Mapping[str, Any], app_url: str) -> None:
        """Say where everything is that keeps running."""
        grid = Table.grid(padding=(0, 3, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text("Status page", "dim"), f"{app_url}/api/portal")
        grid.add_row(Text("Command line", "dim"), f"LINKER_APP_URL={app_url} .venv/bin/linker status")
        grid.add_row(
            Text("Another unification", "dim"),
            f".venv/bin/python -m sandbox unify move=0.01 --url {ready['dataverse']}",
        )
        grid.add_row(Text("A run over it", "dim"), f"LINKER_APP_URL={app_url} .venv/bin/linker run --yes --wait")
        self.console.print("", Panel(grid, title="Running until you press Ctrl+C", **_PANEL), sep="\n")

    def failure(self, message: str) -> None:
        """Say why the demo ended early."""
        self.console.print("", Text(message, "red"), sep="\n", soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show the current step."""
        if not self.console.is_terminal:
            self._passing.print(f"{text} ...")
            yield
            return
        with Live(Spinner("dots", text=Text(text, "dim")), console=self._passing, transient=True):
            yield

    @contextmanager
    def following(self, rows: int) -> Iterator[Watcher]:
        """Give a function that shows how far a run is; `rows` take part in it."""
        if not self.console.is_terminal:
            yield _Lines(self._passing).show
            return
        spinner = Spinner("dots", style="cyan")
        with Live(console=self._passing, transient=True, refresh_per_second=10) as live:
            yield lambda run, counters: live.update(_live(spinner, run, counters, rows))

    def save_svg(self, path: Path) -> None:
        """Save what was shown as a picture."""
        path.write_text(self.console.export_svg(title="make demo", code_format=SVG_FORMAT), encoding="utf-8")

    def _rule(self, title: str) -> None:
        self.console.print("", Rule(Text(title, "bold cyan"), align="left", style="cyan"), sep="\n")

    def _print(self, what: RenderableType) -> None:
        self.console.print(Padding(what, (0, 0, 0, 2), expand=False))


class _Lines:
    """Prints progress where no bar can be shown: a line for each new status and for each quarter of the pages."""

    def __init__(self, console: Console) -> None:
        self._console, self._status, self._share = console, "", 0.0

    def show(self, run: Json, counters: Json) -> None:
        del counters
        share = _share(run)
        if run["status"] != self._status or share >= self._share + _TOLD_SHARE:
            self._status, self._share = run["status"], share
            self._console.print(f"  {run['status']}{_details(run)}")


def _mode(run: Json) -> str:
    reasons = dict.fromkeys(table["modeReason"] for table in run["tables"] if table["modeReason"])
    return f"{run['mode']} ({'; '.join(reasons)})" if reasons else str(run["mode"])


def _speed(act: Act) -> str:
    rows = act.run["counts"]["rowsRead"]
    return f"{act.seconds:.1f} s · {rows / max(act.seconds, 0.01):,.0f} rows/s · {act.requests:,} requests"


def _live(spinner: Spinner, run: Json, counters: Json, rows: int) -> RenderableType:
    spinner.update(text=Text.assemble(run["status"], ("  " + (run["statusDetail"] or _mode(run)), "dim")))
    written = {table["table"]: rows_of(counters, "rowsWritten", [table["table"]]) for table in run["tables"]}
    done = max(run["counts"]["rowsRead"], sum(written.values()))
    bar = ProgressBar(rows, done, pulse=not run["progress"], complete_style="cyan", finished_style="green")
    grid = Table.grid(expand=True)
    for line in (spinner, bar, Text(f"{done:,} of {rows:,} rows{_details(run)}", "dim")):
        grid.add_row(line)
    if written:
        grid.add_row(Text(" · ".join(f"{table} {number:,} written" for table, number in written.items()), "dim"))
    return Padding(grid, (1, 2, 0, 2))


def _share(run: Json) -> float:
    progress = run["progress"]
    return progress["rowsDone"] / progress["rowsTotal"] if progress and progress["rowsTotal"] else 0.0


def _details(run: Json) -> str:
    """Return rate, time left, rows, width and a pause, each after a dot; nothing before rows are linked."""
    progress = run["progress"]
    if not progress:
        return ""
    told = [
        f"{progress['rowsPerSecond']:,.0f} rows/s" if progress["rowsPerSecond"] else "",
        f"{progress['etaSeconds']:,.0f} s left" if progress["etaSeconds"] is not None else "",
        f"{progress['rowsDone']:,} of {progress['rowsTotal']:,} rows",
        f"width {progress['width']}",
        f"paused by Dataverse until {progress['pausedUntil']}" if progress["pausedUntil"] else "",
    ]
    return "".join(f" · {text}" for text in told if text)
