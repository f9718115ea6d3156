"""All that may be tried, in groups that share what they need: the matrix, and each fault of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from . import loss
from .cases import cases
from .moments import IMPATIENT, PROCESS_FAULTS, ProcessFault, stage
from .scene import port_of
from .trial import Verdict, try_case

type Attempt = Callable[[str], Verdict]


@dataclass(frozen=True, slots=True)
class Group:
    """Cases by name, and how they are tried on a Table Storage. `what` is how the page calls a group of its own row."""

    cases: tuple[str, ...]
    open: Callable[[str], AbstractContextManager[Attempt]]
    name: str = ""
    what: str = ""


def groups(seeds: int = 1) -> list[Group]:
    """Return all groups, the matrix first."""
    return [_matrix(range(1, seeds + 1)), *map(_of_process, PROCESS_FAULTS), *map(_of_storage, loss.DEATHS)]


def _matrix(seeds: Sequence[int]) -> Group:
    by_name = {case.name: case for case in cases(seeds)}

    @contextmanager
    def opened(tables: str) -> Iterator[Attempt]:
        yield lambda name: try_case(by_name[name], port_of(tables))

    return Group(tuple(by_name), opened)


def _of_process(fault: ProcessFault) -> Group:
    @contextmanager
    def opened(tables: str) -> Iterator[Attempt]:
        with TemporaryDirectory() as folder, stage(tables, Path(folder), IMPATIENT) as played:
            yield lambda name: played.play(fault, _seed(name))

    return Group(_names(fault.name, fault.moments), opened, fault.name, fault.what)


def _of_storage(death: loss.Death) -> Group:
    @contextmanager
    def opened(_: str) -> Iterator[Attempt]:
        yield lambda name: _on_own_storage(death, _seed(name))

    return Group(_names(death.name, loss.TRIES), opened, death.name, death.what)


def _on_own_storage(death: loss.Death, seed: int) -> Verdict:
    with TemporaryDirectory() as folder, loss.stored(Path(folder)) as world:
        return death.play(world, seed)


def _names(name: str, tries: int) -> tuple[str, ...]:
    return tuple(f"{name} / {number}" for number in range(1, tries + 1))


def _seed(name: str) -> int:
    return int(name.rsplit(" / ", 1)[1])
