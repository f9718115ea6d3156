"""Elastic tables that refuse each tenth request for the load of the moment: nothing is written twice, nothing is learned."""

from __future__ import annotations

import pytest

from linker.core.model import Status
from sandbox.schema.insights_tables import PROFILES
from tests.matrix.cases import BASE, config_of
from tests.matrix.place import place


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
