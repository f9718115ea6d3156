"""Answers that ask for an odd wait: none, less than none, or for ever. Each is a fault that passes, and no step is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.core.errors import TransientError
from linker.core.model import Status
from tests.fakes.app import FakeApp
from tests.whole_runs.test_second_start import linked_world

WAITS = {"none": 0.0, "less than none": -5.0, "for ever": float("inf"), "no number": float("nan")}
DAY_S = 86_400.0


class OnceBusy:
    """A storage that refuses its request of this number once, counted from 0, and names a wait. `kinds` are those it got."""

    def __init__(self, before: int, wait_s: float) -> None:
        self._before, self._wait_s = before, wait_s
        self.kinds: list[str] = []

    def __call__(self, operation: str, partition: str, row: str) -> None:
        self.kinds.append(f"{operation} {partition} {row.split('-', maxsplit=1)[0]}")
        if len(self.kinds) == self._before + 1:
            raise TransientError("busy", wait_s=self._wait_s)

    def first_of_each_kind(self) -> list[int]:
        return [self.kinds.index(kind) for kind in dict.fromkeys(self.kinds)]


@pytest.mark.parametrize("wait_s", WAITS.values(), ids=WAITS)
def test_a_wait_is_more_than_nothing_and_ends(wait_s: float) -> None:
    assert 0 < TransientError("busy", wait_s=wait_s).wait_s <= DAY_S


def test_a_busy_storage_that_asks_for_no_wait_leaves_nothing_out(make_app: Callable[..., FakeApp]) -> None:
    alone = linked_world(make_app)
    requests = OnceBusy(-1, 0.0)
    alone.world.store.hooks.append(requests)
    expected = alone.run()
    for before in requests.first_of_each_kind():
        app = linked_world(make_app)
        app.world.store.hooks.append(OnceBusy(before, 0.0))
        try:
            run = app.run()
        except TransientError:
            continue  # the request for the run met it, and its caller got that answer
        assert (run.status, run.counts) == (Status.SUCCESSFUL, expected.counts), requests.kinds[before]
        assert app.world.links() == alone.world.links(), requests.kinds[before]
