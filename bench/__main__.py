"""`python -m bench`: measure, write JSON, docs/performance.md and docs/scale.md."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import compare, documents, machine, optimum, portal, recovery, scale, state
from bench.compare import Result
from bench.environment import sandbox
from bench.figures import Figures, goals
from bench.profiles import FULL, NORMAL, PROFILES, SHORT, Profile, Sizes
from bench.progress import Step, progress
from bench.spent import sentence

AT_ONCE = 3  # measurements that wait for limits: each keeps a processor busy for a third of the time at most
PASSES = 5  # steps of each size in `scale`
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
    all_jobs = _jobs(sizes, waits=False) + _jobs(sizes, waits=True)
    partial_file = json_file.with_suffix(".partial.json")
    with progress(console, len(all_jobs) + PASSES * len(sizes.growth) + 5) as step:
        figures = measure(sizes, step, Partly(partial_file), full=full)
    save(figures, json_file, docs)
    partial_file.unlink()
    for result in figures.results:
        console.print(_line(result))
    for goal in goals(figures):
        console.print(goal.line())


def _show(console: Console, profiles: Sequence[Profile], sizes: Sizes) -> None:
    """Measure some profiles and print them."""
    found = [job for profile in profiles for job in compare.jobs(profile, sizes)]
    with progress(console, len(found)) as step:
        results = [compare.measured(job, step) for job in found]
    for result in results:
        console.print(_line(result))


def _line(found: Result) -> str:
    """Return a result as text for a terminal."""
    share = f"{found.share:.3f}" if found.share else "-"
    line = (
        f"{found.profile} | {found.competitor} | {found.rows:,} rows | {found.seconds:.1f} s | share {share} | "
        f"lost {found.lost} | {found.requests} requests | {found.throttled} refused | {found.told}"
    )
    if not found.cpu:
        return line
    where = sentence(found.spent, found.seconds).rstrip() if found.spent else ""
    return f"{line}\n  {where} Processors: {found.cpu:.2f}. Requests for a block: {found.block_requests or '-'}."


def save(figures: Figures, json_file: Path, docs: Path) -> None:
    """Write the figures as JSON and as pages."""
    found = asdict(figures) | {"goals": [asdict(goal) for goal in goals(figures)]}
    json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (docs / "performance.md").write_text(documents.performance(figures), encoding="utf-8")
    (docs / "scale.md").write_text(documents.scale(), encoding="utf-8")


def measure(sizes: Sizes, step: Step, partly: Partly, *, full: bool) -> Figures:
    """Run all measurements. What only waits for limits runs side by side at the end, everything else one after the other."""
    started = time.perf_counter()
    step("import of function_app")
    imports = machine.import_time()
    step("state: packed blocks and single entities")
    with sandbox(1) as environment:
        packed, single = _twice(
            lambda: state.measure(environment.ready["tables"], sizes.state_packed, sizes.state_single)
        )
    step("the status page with many runs stored")
    pages = _twice(portal.measure)
    results = [partly(compare.measured(job, step)) for job in _jobs(sizes, waits=False)]
    step(f"{NORMAL.name}: {compare.LINKER} with the profile touch")
    touched = partly(_twice(lambda: compare.engine(NORMAL, sizes.engine, touch=True)))
    growth = tuple(_twice(partial(scale.measure, rows, step)) for rows in sizes.growth)
    step("recovery of killed hosts, beside what waits for limits")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = pool.submit(_twice, recovery.measure)
        waiting = [pool.submit(compare.measured, job, step) for job in longest_first(_jobs(sizes, waits=True), sizes)]
        results += [partly(one.result()) for one in waiting]
        recoveries = killed.result()
    seconds = time.perf_counter() - started
    return Figures(
        machine.describe(), full, seconds, PROFILES, tuple(results), touched, growth, packed, single, imports, pages,
        recoveries,
    )  # fmt: skip


def _twice[T](measure: Callable[[], T]) -> T:
    """Return a measurement; one that breaks off is made once more."""
    try:
        return measure()
    except Exception as error:
        Console(stderr=True).print(f"A measurement broke off and is made once more: {error!r}")
        return measure()


def _jobs(sizes: Sizes, *, waits: bool) -> list[compare.Job]:
    return [job for profile in PROFILES if profile.waits is waits for job in compare.jobs(profile, sizes)]


def longest_first(jobs: Sequence[compare.Job], sizes: Sizes) -> list[compare.Job]:
    """Return measurements in the order in which they are begun when several run at once: the longest one would end last."""
    return sorted(jobs, key=lambda job: -(optimum.least_s(job[0], sizes.of(job[0]).engine, 1) or 0.0))


class Partly:
    """Saves every result at once, so that a bench that is broken off leaves what it measured."""

    def __init__(self, file: Path) -> None:
        self._file, self._results = file, list[Result]()

    def __call__(self, result: Result) -> Result:
        """Save one more result and return it."""
        self._results.append(result)
        self._file.write_text(json.dumps([asdict(one) for one in self._results], indent=1) + "\n", encoding="utf-8")
        return result


if __name__ == "__main__":
    app()
