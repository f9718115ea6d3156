"""`python -m bench`: measure, write JSON, docs/performance.md and docs/scale.md."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import compare, documents, machine, portal, scale, state
from bench.environment import sandbox
from bench.figures import Figures, goals
from bench.profiles import FULL, NORMAL, PROFILES, SHORT, Profile, Sizes
from bench.progress import Step, progress
from bench.spent import sentence

PASSES = 3  # steps of each size in `scale`
app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    full: Annotated[bool, typer.Option("--full", help="A million rows; takes half an hour or so.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Profiles to measure; then nothing is saved.")] = None,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench/results.json"),
    docs: Annotated[Path, typer.Option(help="Folder of performance.md and scale.md.")] = Path("docs"),
) -> None:
    """Measure the linker beside its peers and the raw ceiling."""
    console = Console()
    sizes = FULL if full else SHORT
    if only:
        _show(console, [profile for profile in PROFILES if profile.name in only], sizes)
        return
    chosen = PROFILES
    with progress(console, compare.steps(chosen) + PASSES * len(sizes.growth) + 4) as step:
        figures = measure(sizes, step, full=full)
    save(figures, json_file, docs)
    for goal in goals(figures):
        console.print(goal.line())


def _show(console: Console, profiles: Sequence[Profile], sizes: Sizes) -> None:
    """Measure some profiles and print them."""
    with progress(console, compare.steps(profiles)) as step:
        results = [result for profile in profiles for result in compare.compare(profile, sizes, step)]
    for found in results:
        share = f"{found.share:.3f}" if found.share else "-"
        console.print(
            f"{found.profile} | {found.competitor} | {found.rows:,} rows | {found.seconds:.1f} s | share {share} | "
            f"lost {found.lost} | {found.requests} requests | {found.throttled} refused | {found.told}"
        )
        if found.spent:
            console.print(f"  {sentence(found.spent, found.seconds).rstrip()} Processors: {found.cpu or 0:.2f}.")


def save(figures: Figures, json_file: Path, docs: Path) -> None:
    """Write the figures as JSON and as pages."""
    found = asdict(figures) | {"goals": [asdict(goal) for goal in goals(figures)]}
    json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (docs / "performance.md").write_text(documents.performance(figures), encoding="utf-8")
    (docs / "scale.md").write_text(documents.scale(), encoding="utf-8")


def measure(sizes: Sizes, step: Step, *, full: bool) -> Figures:
    """Run all measurements, one after the other."""
    started = time.perf_counter()
    step("import of function_app")
    imports = machine.import_time()
    step("state: packed blocks and single entities")
    with sandbox(1) as environment:
        packed, single = state.measure(environment.ready["tables"], sizes.state_packed, sizes.state_single)
    step("the status page with many runs stored")
    pages = portal.measure()
    growth = tuple(scale.measure(rows, step) for rows in sizes.growth)
    results = tuple(result for profile in PROFILES for result in compare.compare(profile, sizes, step))
    step(f"{NORMAL.name}: {compare.LINKER} with the profile touch")
    touched = compare.engine(NORMAL, sizes.engine, touch=True)
    seconds = time.perf_counter() - started
    return Figures(
        machine.describe(), full, seconds, PROFILES, results, touched, growth, packed, single, imports, pages
    )


if __name__ == "__main__":
    app()
