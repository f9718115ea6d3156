"""A CustomerId that the mapping writes in another way than the profile means the same customer, in every act."""

from collections.abc import Callable
from itertools import pairwise
from uuid import UUID

import pytest

from linker.core.model import Mode, Status
from sandbox.database import Stamp, bulk_update, scan
from sandbox.schema.insights_tables import MAPPING
from tests.matrix.cases import BASE, config_of
from tests.matrix.place import Place, place
from tests.matrix.story import wrong_links

KEY, CUSTOMER = f"{MAPPING}id", "msdynci_customerid"
SPELLINGS: dict[str, Callable[[str], str]] = {"in capitals": str.upper, "with hyphens": lambda text: str(UUID(text))}


def spell(here: Place, spelled: Callable[[str], str]) -> None:
    """Write the CustomerId of every mapping row in another way."""
    found = list(scan(here.database, MAPPING, [KEY, CUSTOMER]))
    rows = [{KEY: row, CUSTOMER: spelled(str(customer))} for row, customer in found]
    bulk_update(here.database, MAPPING, rows, Stamp(here.sandbox.environment.clock(), bytes(16)))


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("has_in", ["allow", "400"])
def test_a_profile_that_comes_back_under_another_id_gets_its_rows_again(
    spelled: Callable[[str], str], has_in: str
) -> None:
    with place(config_of({**BASE, "elastic_in": has_in})) as here:
        spell(here, spelled)
        assert (here.run().status, wrong_links(here)) == (Status.SUCCESSFUL, [])
        here.unify(delete_profiles=0.3)
        here.run()
        here.unify(bring_back="new id")
        assert (here.run().status, wrong_links(here)) == (Status.SUCCESSFUL, [])


@pytest.mark.parametrize("has_in", ["allow", "400"])
def test_rows_of_one_customer_that_is_spelled_in_two_ways_are_linked_at_once(has_in: str) -> None:
    with place(config_of({**BASE, "elastic_in": has_in})) as here:
        found = sorted((str(customer), row) for row, customer in scan(here.database, MAPPING, [KEY, CUSTOMER]))
        second = [row for before, row in pairwise(found) if before[0] == row[0]]  # of customers with several rows
        rows = [{KEY: row, CUSTOMER: str(UUID(customer))} for customer, row in second]
        assert rows
        bulk_update(here.database, MAPPING, rows, Stamp(here.sandbox.environment.clock(), bytes(16)))
        for mode in (Mode.INCREMENTAL, Mode.FULL):
            (run,) = here.app.serve(mode=mode)
            assert (run.status, run.counts.deferred, wrong_links(here)) == (Status.SUCCESSFUL, 0, [])
