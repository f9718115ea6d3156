"""Elastic tables that refuse each tenth request for the load of the moment: nothing is written twice, nothing is learned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Status
from sandbox.data.generator import Sizes
from sandbox.schema.insights_tables import PROFILES
from tests.matrix.cases import BASE, config_of
from tests.matrix.place import place
from tests.matrix.story import wrong_links

MANY, FEW = 600, 20  # contacts, and mapping rows of a page
DAY_S = 86_400.0


@pytest.mark.parametrize("how", ["wait", "bare"])
def test_a_busy_table_costs_time_and_no_write(how: str) -> None:
    with place(config_of({**BASE, "elastic_throttle": how})) as here:
        run = here.run()
        counted = here.sandbox.environment.counters.tables[PROFILES]
        assert (run.status, run.touches.touched) == (Status.SUCCESSFUL, run.touches.profiles)
        assert counted.rows_written == run.touches.profiles > 0
        assert not here.app.world.deps.limiter.control.allowance.is_known
        written = here.written
        assert here.run().status is Status.SUCCESSFUL
        assert here.written == written


@pytest.mark.parametrize("switches", [{}, {"elastic_in": "400"}], ids=["In", "chains of or"])
def test_steps_of_many_requests_end_on_a_busy_table(switches: dict[str, str]) -> None:
    """Scanning, looking up profiles, and unlinking send more than ten requests in a step, so each step is refused once."""
    config = config_of({**BASE, "elastic_throttle": "bare", **switches})
    with place(config, Sizes(contacts=MANY, leads=0, members=20)) as here:
        here.sandbox.environment.configure(replace(config, page_max=FEW))  # type: ignore[arg-type]  # less data for it
        assert here.run().status is Status.SUCCESSFUL
        here.unify(drop=0.2, move=0.1)
        here.clock.pass_s(DAY_S + 1)
        run = here.run()
        assert (run.status, run.counts.unlinked > 0, run.counts.linked > 0) == (Status.SUCCESSFUL, True, True), (
            run.tables
        )
        assert wrong_links(here) == []
