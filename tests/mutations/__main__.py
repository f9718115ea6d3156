"""Take each row of docs/dev/proofs.md back and see that its tests notice: `make mutations`, or `... D8 G9` for some rows.

Each mutation is made in a copy of the checkout, alone, and the tests that docs/dev/proofs.md names for it are run there until
one fails. It has to be a test that fails: code that cannot be imported proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutations.proofs import ROOT, proofs
from tests.mutations.table import MUTATIONS, Mutation

PASSED, FAILED = 0, 1  # exit codes of pytest
HUNG = -1  # tests that wait for ever prove nothing: they have to fail
PATIENCE_S = 300
QUICK = "not azurite"  # the store in memory passes the same tests and needs no start
SLOW = "system/"  # tests that start processes; a mutation is found by the others


def main(names: Iterable[str]) -> int:
    """Try the mutations of some proofs, or all; return the exit code."""
    chosen = [mutation for mutation in MUTATIONS if not set(names) or mutation.proof in names]
    with copied() as folder:
        unbroken = sorted({test for mutation in chosen for test in tests_of(mutation)})
        if run_tests(folder, unbroken) != PASSED:
            print("Some of the tests fail on the code as it is. Fix them first.")
            return 1
        failures = [told for mutation in chosen if (told := tried(folder, mutation))]
    print("\n".join(failures) or f"All {len(chosen)} mutations were noticed.")
    return 1 if failures else 0


def tried(folder: Path, mutation: Mutation) -> str:
    """Return what is wrong with a mutation or its tests, empty when they notice it."""
    where = f"{mutation.proof}: {mutation.file}: {mutation.old.strip()[:80]!r}"
    path = folder / mutation.file
    text = path.read_text(encoding="utf-8")
    if (found := text.count(mutation.old)) != 1:
        return f"{where} stands {found} times in the file, not once. Bring the mutation up to date."
    began = time.monotonic()
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    code = run_tests(folder, tests_of(mutation), "--exitfirst")
    path.write_text(text, encoding="utf-8")
    print(
        f"{'noticed' if code == FAILED else 'NOT NOTICED'} after {time.monotonic() - began:.0f} s  {where}", flush=True
    )
    return "" if code == FAILED else f"{where} was not noticed (exit code {code} of pytest)."


def tests_of(mutation: Mutation) -> list[str]:
    """Return the fast tests that prove what the mutation takes back, as arguments of pytest."""
    return [f"tests/{file}::{name}" for file, name in proofs()[mutation.proof] if not file.startswith(SLOW)]


def run_tests(folder: Path, tests: list[str], *options: str) -> int:
    """Run tests in a copy; return pytest's exit code. Compiled code is not kept: a mutation may have its original's size."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", QUICK, *options, *tests]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return HUNG
    if done.returncode not in (PASSED, FAILED) or (done.returncode == FAILED and not options):
        print(done.stdout[-2_000:], done.stderr[-2_000:], sep="\n")
    return done.returncode


@contextmanager
def copied() -> Iterator[Path]:
    """Give a copy of the checkout as it stands, without what git leaves out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with TemporaryDirectory() as name:
        for file in listed.stdout.decode().rstrip("\0").split("\0"):
            if (ROOT / file).is_file():
                target = Path(name) / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, target)
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
