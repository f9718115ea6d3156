"""What the engine adds to its pace: turns of the orchestrator, reads between writes, and attempts that a pause ends.

Rows cost ten times as much as in the bench and are a tenth as many, so that a run takes as long in virtual time.
"""

from dataclasses import replace

import pytest

from bench import optimum
from bench.profiles import FOUR_SERVERS, NORMAL, THROTTLED, TWO_SERVERS, Profile
from tests.bench.test_simulated_shares import play as play_pace
from tests.bench.virtual_engine import play

ROWS, BITS = 6_000, 4
FEWER = 10  # times fewer rows that cost as many times more
HARDLY_LONGER = 1.1


@pytest.mark.parametrize("profile", [NORMAL, THROTTLED, TWO_SERVERS, FOUR_SERVERS], ids=lambda profile: profile.name)
def test_the_engine_takes_hardly_longer_than_its_pace(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    costly = replace(profile, ms_per_row=FEWER * profile.ms_per_row)
    seconds, counts = play(costly, ROWS, BITS, monkeypatch)
    _, pace = play_pace(costly, ROWS)
    pace_s = pace.now_s - pace.start_s
    least_s = optimum.least_s(costly, ROWS, optimum.engine_request_rows(costly.sandbox())) or 0.0
    print(f"{profile.name}: engine {seconds:.1f} s, pace {pace_s:.1f} s, optimum {least_s:.1f} s; {dict(counts)}")
    assert least_s <= seconds <= HARDLY_LONGER * pace_s
