"""Print the figures that the structure of linker/ is judged by: files, functions, names, and what linking one shard passes.

Usage: python scripts/measure.py     Reads the code, then links a shard of four mapping rows, two of them changed, in a
test world in memory. A hop is a call that begins in another module than the call before it.
"""

from __future__ import annotations

import ast
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from types import CodeType
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LINKER: Final = ROOT / "linker"
MAX_LINES: Final = 300
SMALL: Final = 60

type Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Print all figures."""
    files = sorted(LINKER.rglob("*.py"))
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    functions = [each for path in files for each in _functions(path)]
    lines = [(each.end_lineno or each.lineno) - each.lineno + 1 for each in functions]
    past = [each.name for each in functions if is_participle(each.name)]
    names = Counter(path.stem for path in files if not path.stem.startswith("__"))
    small = [path for path in files if lengths[path] < SMALL and path.stem != "__init__"]
    print(f"files {len(files)}, lines {sum(lengths.values()):,}, below {SMALL} lines {len(small)}")
    print(
        f"files over {MAX_LINES} lines: {', '.join(path.stem for path in files if lengths[path] > MAX_LINES) or 'none'}"
    )
    print(
        f"functions {len(functions):,}: median {median(lines):g}, p90 {quantiles(lines, n=10)[-1]:g}, max {max(lines)}"
    )
    print(
        f"module names that repeat: {', '.join(sorted(name for name, times in names.items() if times > 1)) or 'none'}"
    )
    print(f"names that begin with a participle: {len(past)} ({len(past) / len(functions):.1%})")
    calls = asyncio.run(_link_one_shard())
    modules = [_module(code) for code in calls]
    hops = sum(one != other for one, other in pairwise(modules))
    print(f"one shard: {len(set(modules))} modules, {len(set(calls))} functions, {len(calls)} calls, {hops} hops")


def is_participle(name: str) -> bool:
    """Return whether a name begins with a past participle, as `asked_for` and `promised` do."""
    first = name.strip("_").split("_")[0]
    return first in _IRREGULAR or (first.endswith("ed") and first not in {"need", "feed", "seed", "speed"})


_IRREGULAR: Final = frozenset(
    {
        "held",
        "shown",
        "found",
        "sent",
        "kept",
        "left",
        "given",
        "taken",
        "known",
        "seen",
        "cut",
        "met",
        "drawn",
        "begun",
        "done",
    }
)


def _functions(path: Path) -> Iterator[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


async def _link_one_shard() -> list[CodeType]:
    """Return the functions of linker/ that began, in their order, while an activity linked one shard."""
    from linker.core.model import Mode
    from linker.core.runs.activity_values import ShardTask
    from linker.core.serialization import to_json
    from linker.core.throttling.pace import Pace
    from linker.durable.activities.link_shard import link_shard
    from linker.durable.boundary import run_activity
    from tests.fakes.world import World

    world = World()
    world.people(4)
    await world.link()
    for row in world.dataverse.mapping[:2]:
        world.dataverse.profile(f"{row['msdynci_customerid']}x")
        row["msdynci_customerid"] += "x"
    await world.prepare("run2")
    scan = await world.scan("run2")
    pace = Pace(4, 1_000, hint=64, at_s=world.clock())
    task = ShardTask("run2", "contact", scan.id, 0, Mode.INCREMENTAL, epoch="", pace=pace)
    with _Trace() as trace:
        await run_activity(link_shard, ShardTask, world.deps, to_json(task))
    return trace.calls


class _Trace:
    """Notes each function of linker/ that begins; a coroutine or generator that continues doesn't count again."""

    def __enter__(self) -> _Trace:
        self.calls: list[CodeType] = []
        sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "measure")
        sys.monitoring.register_callback(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START, self._note)
        sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START)
        return self

    def __exit__(self, *_: object) -> None:
        sys.monitoring.free_tool_id(sys.monitoring.PROFILER_ID)

    def _note(self, code: CodeType, _offset: int) -> object:
        if not code.co_filename.startswith(str(LINKER)):
            return sys.monitoring.DISABLE
        if not code.co_name.startswith("<"):  # a comprehension or lambda belongs to the function around it
            self.calls.append(code)
        return None


def _module(code: CodeType) -> str:
    return code.co_filename


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
