"""Plays the whole matrix on all processors: `make matrix`. `make matrix ONLY=page_max` plays the cases that name it."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.matrix.cases import Case, apart, combinations, config_of, kinds, name_of, singles
from tests.matrix.story import Told, play


def _play(case: Case) -> tuple[str, Told]:
    return name_of(case), play(config_of(case))


def main(only: str = "") -> int:
    """Return how many cases ended otherwise than promised, at most 1."""
    cases = [case for case in (*kinds(), *singles(), *apart(), *combinations()) if only in name_of(case)]
    wrong = skipped = 0
    with ProcessPoolExecutor() as pool:
        for number, (name, told) in enumerate(pool.map(_play, cases), 1):
            wrong, skipped = wrong + bool(told.faults), skipped + bool(told.skipped)
            sys.stdout.write(f"\r{number} of {len(cases)} cases, {wrong} wrong ")
            for fault in told.faults:
                sys.stdout.write(f"\n{name}: {fault}\n")
            sys.stdout.flush()
    held = len(cases) - wrong - skipped
    sys.stdout.write(f"\n{held} cases linked every row, {skipped} skipped with the true reason, {wrong} wrong.\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(partial(main, *sys.argv[1:2])())
