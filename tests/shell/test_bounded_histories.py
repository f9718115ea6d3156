"""No history grows beyond 2,000 events, however often and for however long Dataverse asks for pauses (demand D17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from linker.activities.values import Go, PageOutcome, UnlinkOutcome
from linker.core.pace import Load
from linker.model import Counts, Mode
from linker.orchestration.generation import GENERATION, PATIENCE, link_generation
from linker.orchestration.run import customerid_backstamping_hydration
from linker.orchestration.unlinking import UNLINKING, unlink_departed_rows
from linker.orchestration.values import Share, joined
from linker.wire import MOST_BYTES, to_json
from tests.fakes.durable import FakeContext
from tests.shell.test_orchestration import ROWS, TICKET, Activities, pages_linked

EVENTS_A_CALL = 4  # scheduled, completed, and the turn that it wakes
MOST_EVENTS = 2_000
SLICE_S = 48.0  # of a lease of two minutes
DAY_S = 86_400.0

type PageWork = Callable[[dict[str, Any]], PageOutcome]


class Counting(FakeContext):
    """Knows what each instance called: its history is four times as long. The run itself is instance ''."""

    def __init__(self, **activities: Any) -> None:
        children = {GENERATION: link_generation, UNLINKING: unlink_departed_rows}
        super().__init__(Activities(**{"report": _go, "renew": _go, **activities}).table(), children)
        self.calls: dict[str, int] = {"": 0}
        self._instance = ""
        self.run(customerid_backstamping_hydration, to_json(TICKET))

    def call_activity(self, name: str, **values: Any) -> Any:
        self.calls[self._instance] += 1
        return super().call_activity(name, **values)

    def create_timer(self, wait: Any) -> Any:
        self.calls[self._instance] += 1
        return super().create_timer(wait)

    def call_sub_orchestrator(self, name: str, *, instance_id: str, **values: Any) -> Any:
        self.calls[self._instance] += 1
        parent, self._instance, self.calls[instance_id] = self._instance, instance_id, 0
        answer = super().call_sub_orchestrator(name, instance_id=instance_id, **values)
        self._instance = parent
        return answer

    @property
    def longest(self) -> int:
        """Events of the longest history."""
        return EVENTS_A_CALL * max(self.calls.values())


def _go(_: Any) -> Go:
    return Go(slice_s=SLICE_S)


def throttled(wait_s: float) -> PageOutcome:
    return PageOutcome(later_s=wait_s, later_reason="pause", load=Load(throttled=True))


def every_second(wait_s: float) -> PageWork:
    """Pages of which every second call is throttled."""
    calls: list[int] = []

    def link_page(task: dict[str, Any]) -> PageOutcome:
        calls.append(task["page"])
        return throttled(wait_s) if len(calls) % 2 else PageOutcome(ROWS)

    return link_page


def once(outcome: PageOutcome) -> PageWork:
    """Pages of which the first call comes to this."""
    first = [outcome]
    return lambda _: first.pop() if first else PageOutcome(ROWS)


@pytest.mark.parametrize(
    ("pages", "link_page"),
    [
        pytest.param(400, every_second(300.0), id="many pauses"),
        pytest.param(400, once(throttled(DAY_S)), id="a long one"),
        pytest.param(400, once(PageOutcome(later_s=5.0, later_reason="busy")), id="none"),
    ],
)
def test_pages_that_are_paused_make_more_generations_and_no_longer_ones(pages: int, link_page: PageWork) -> None:
    ctx = Counting(pages=pages, link_page=link_page)
    assert ctx.longest < MOST_EVENTS
    assert ctx.of("end_table")[0]["totals"]["pages"] == len(pages_linked(ctx)) == pages
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MOST_BYTES} == {}


def test_a_pause_that_outlasts_its_generation_is_kept_to_its_end() -> None:
    ctx = Counting(pages=40, link_page=once(throttled(DAY_S)))
    starts = [at for at, name, _ in ctx.called if name == "link_page"]
    before = [at for at in starts if at < DAY_S / 2]
    assert max(before) < SLICE_S
    assert min(starts[len(before) :]) >= DAY_S
    paused = [task["pausedS"] for task in ctx.of("report") if task["pausedS"]]
    assert paused == sorted(paused, reverse=True)
    assert len(ctx.child_ids) > 2


def test_a_page_that_never_succeeds_fails_in_the_end_over_however_many_generations() -> None:
    ctx = Counting(
        pages=2,
        report=lambda _: Go(slice_s=2.0),
        link_page=lambda task: PageOutcome(later_s=60.0, later_reason="busy") if task["page"] else PageOutcome(ROWS),
    )
    assert pages_linked(ctx) == {("contact", 0): 1, ("contact", 1): PATIENCE}
    assert len(ctx.child_ids) > 1
    assert "busy" in ctx.of("end_table")[0]["totals"]["failed"]
    assert ctx.longest < MOST_EVENTS


@pytest.mark.parametrize("later_s", [0.0, 300.0, DAY_S / 10])
def test_an_unlinking_pass_goes_on_in_children_when_the_run_has_no_more_room(later_s: float) -> None:
    calls = 1_000 if not later_s else 60
    left = [UnlinkOutcome(Counts(unlinked=1), f"p{n:04}", later_s=later_s) for n in range(calls)]
    answers = iter([*left, UnlinkOutcome(Counts(unlinked=1))])
    ctx = Counting(link_page=lambda _: PageOutcome(ROWS, departed=1), unlink_table=lambda _: next(answers))
    assert ctx.longest < MOST_EVENTS
    assert ctx.of("end_table")[0]["unlinking"] == to_json(Counts(unlinked=calls + 1))
    assert [task["after"] for task in ctx.of("unlink_table")] == ["", *(outcome.after for outcome in left)]
    assert ctx.now_s >= calls * later_s


def test_an_unlinking_pass_that_is_canceled_in_a_child_keeps_what_it_did() -> None:
    renewals: list[str] = []

    def renew(task: dict[str, Any]) -> Go:
        renewals.append(task["run"])
        return Go(cancel=len(renewals) > 250, slice_s=SLICE_S)

    ctx = Counting(
        link_page=lambda _: PageOutcome(ROWS, departed=1),
        unlink_table=lambda task: UnlinkOutcome(Counts(unlinked=1), f"{task['after']}p", later_s=60.0),
        renew=renew,
    )
    (end,) = ctx.of("end_table")
    assert (end["canceled"], end["unlinking"]["unlinked"]) == (True, len(ctx.of("unlink_table")))
    assert [child for child in ctx.child_ids if "-u0-" in child]
    assert ctx.of("end_run")[0]["status"] == "Canceled"


def test_pages_that_are_left_are_handed_on_as_the_fewest_shares() -> None:
    def page(number: int, table: str = "contact", tries: int = 0) -> Share:
        return Share(table, "v1", number, number + 1, Mode.FULL, "run1", tries)

    pages = [page(4), page(1), page(2), page(0, "lead"), page(3, tries=2), page(0)]
    assert joined(pages) == (
        Share("contact", "v1", 0, 3, Mode.FULL, "run1"),
        page(3, tries=2),
        page(4),
        page(0, "lead"),
    )
    assert joined([]) == ()
