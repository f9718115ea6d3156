"""docs/dev/proofs.md names tests that exist, for every demand and guarantee, and the mutations are about what it names."""

from pathlib import Path

import pytest

from tests.mutations.proofs import exists, proofs, read
from tests.mutations.table import MUTATIONS, Mutation

DEMANDS = [f"D{number}" for number in range(1, 31)]
GUARANTEES = [f"G{number}" for number in range(1, 28)]
PROOFS = proofs()
ROOT = Path(__file__).parents[2]


def test_every_demand_and_every_guarantee_has_its_row() -> None:
    assert list(PROOFS) == [*DEMANDS, *GUARANTEES]


@pytest.mark.parametrize("name", PROOFS)
def test_every_test_of_a_row_exists_and_there_is_one(name: str) -> None:
    assert PROOFS[name]
    assert [test for test in PROOFS[name] if not exists(test)] == []


def test_a_test_that_is_not_there_is_found() -> None:
    (found, gone) = read("| G9 | Something | `docs/test_proofs.py::test_of_nothing`, `docs/nowhere.py::test_a` |")["G9"]
    assert not exists(found)
    assert not exists(gone)


def test_every_row_is_taken_back_somewhere() -> None:
    assert PROOFS.keys() - {mutation.proof for mutation in MUTATIONS} == set()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.proof} {mutation.file}")
def test_every_mutation_fits_the_code(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
