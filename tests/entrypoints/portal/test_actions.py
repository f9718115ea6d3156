"""Pages by which an operator acts: what they say will happen, what they ask for, who may, and what sending twice does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from linker.core.model import Mode, Run, RunRequest, Status, UnlinkAllowance
from tests.entrypoints.portal.operators import ACTIONS, LEFT, PEOPLE, Operator, run_of
from tests.fakes.app import FakeApp
from tests.fakes.browser import Browser, text_of
from tests.fakes.principal import headers
from tests.fakes.world import World, contact_id

FLOW = {"callbackregistrationid": "f1", "name": "Sync to ERP", "filteringattributes": None}


# ---- links that were held back ----


def test_links_that_were_held_back_wait_on_the_page_with_their_number_and_share(held: FakeApp) -> None:
    assert f"contact : {LEFT} of {PEOPLE} rows (20 %) left unification and kept their links." in Operator(held).read()


def test_what_is_held_back_is_shown_with_its_rows_before_anybody_lets_it_go(held: FakeApp) -> None:
    held.world.dataverse.map(contact_id(PEOPLE + 1), "c1")  # a missing row, which is another matter
    run = held.run()
    told = Operator(held).read("/api/portal/tables/contact/unlink")
    assert (run.counts.rejected, run.counts.deferred) == (1, LEFT)
    assert f"{LEFT} of {PEOPLE + 1} rows (19 %)" in told
    assert all(contact_id(number) in told for number in range(1, LEFT + 1))
    assert contact_id(PEOPLE + 1) not in told


def test_letting_links_go_allows_as_many_rows_as_were_shown_in_one_run(held: FakeApp) -> None:
    operator = Operator(held)
    page = operator.get("/api/portal/tables/contact/unlink").text
    rows = page.partition(f'name="allow_unlinking" value="contact={LEFT}@')[2].partition('"')[0]
    shown = f"contact={LEFT}@{rows}"
    told = operator.review(tables=["contact"], allow_unlinking=[shown])
    assert f"at most {LEFT} departed rows of contact are cleared, in this run only" in told
    run = operator.post(f"{ACTIONS}/run", tables=["contact"], allow_unlinking=[shown], key="k1")
    again = operator.post(f"{ACTIONS}/run", tables=["contact"], allow_unlinking=[shown], key="k1")
    assert run_of(run) == run_of(again)
    allowed = (UnlinkAllowance("contact", LEFT, seen=rows),)
    assert operator.started == [RunRequest(tables=("contact",), unlink_allowed=allowed, trigger="portal")]


def test_an_empty_mapping_asks_for_a_tick_of_its_own(app: FakeApp) -> None:
    for number in range(PEOPLE + 1):
        app.world.dataverse.map(contact_id(number), None)
    app.world.dataverse.map(contact_id(900), "c1", table="loyalty")  # the mapping as a whole is there
    app.run()
    operator = Operator(app)
    page = operator.get("/api/portal/tables/contact/unlink").text
    assert re.search(
        rf'type="checkbox" name="allow_unlinking" value="contact={PEOPLE}@[0-9a-f]{{16}},empty" required', page
    )
    told = operator.review(tables=["contact"], allow_unlinking=[f"contact={PEOPLE},empty"])
    assert "although the mapping names no row of the table any more" in told
    operator.post(f"{ACTIONS}/run", tables=["contact"], allow_unlinking=[f"contact={PEOPLE},empty"])
    assert operator.started[0].unlink_allowed == (UnlinkAllowance("contact", PEOPLE, empty_mapping=True),)


def test_a_table_that_nothing_is_held_back_of_has_no_such_page(app: FakeApp) -> None:
    assert Operator(app).get("/api/portal/tables/contact/unlink").status == 404


# ---- stopping a run ----


def test_stopping_a_running_run_says_what_is_done_and_stops_it(operator: Operator) -> None:
    run = run_of(operator.post(f"{ACTIONS}/run", mode="full"))
    assert run in operator.read()
    told = operator.read(f"/api/portal/runs/{run}/cancel")
    assert "what was written stays" in told
    assert run_of(operator.post(f"/api/portal/runs/{run}/cancel")) == run
    assert operator.app.do(operator.app.world.deps.lock.peek()).cancel == run
    assert {entry["action"] for entry in operator.audited()} == {"post_run", "post_cancel"}


def test_a_waiting_run_is_taken_back_and_sending_that_again_does_no_harm(operator: Operator) -> None:
    operator.post(f"{ACTIONS}/run", mode="full")
    waiting = run_of(operator.post(f"{ACTIONS}/run", mode="verify"))
    assert "The run never begins" in operator.read(f"/api/portal/runs/{waiting}/cancel")
    for _ in range(2):
        assert run_of(operator.post(f"/api/portal/runs/{waiting}/cancel")) == waiting
    assert operator.app.shown(waiting).status is Status.CANCELED


def test_a_run_that_is_over_offers_nothing_to_stop(operator: Operator) -> None:
    over = operator.app.run()
    page = operator.get(f"/api/portal/runs/{over.id}/cancel").text
    assert "There is nothing to cancel." in text_of(page)
    assert "Cancel the run" not in page


# ---- a first link that is held ----


@pytest.fixture
def automated(make_app: Callable[..., FakeApp]) -> FakeApp:
    """An app whose first run held a table, because a cloud flow would run."""
    app = make_app(first_link="hold")
    app.world.dataverse.flows = [FLOW]
    app.run()
    return app


def test_a_held_first_link_is_shown_with_what_it_sets_in_motion_and_allowed(automated: FakeApp) -> None:
    operator = Operator(automated)
    assert "waiting for approval. 1 automation would run, up to" in operator.read()
    told = operator.read("/api/portal/tables/contact/approve")
    assert "At most 3 rows x 1 automation = 0 executions while writing, 3 system jobs" in told
    assert "Cloud flow 'Sync to ERP'" in told
    assert "Asked for by api" in told
    run = run_of(operator.approve())
    assert operator.started == [RunRequest(trigger="approval")]
    assert run_of(operator.approve()) == run
    assert len(operator.started) == 1
    assert "Allowed by ada@contoso.com" in operator.read("/api/portal/tables/contact/approve")
    assert {entry["action"] for entry in operator.audited()} == {"post_approve"}


def test_what_was_decided_waits_no_more(automated: FakeApp) -> None:
    operator = Operator(automated)
    assert "waiting for approval" in operator.read("/api/portal")
    operator.approve()
    assert "waits for a decision" not in operator.read("/api/portal")
    assert "Waiting for a decision" not in operator.read()


def test_links_that_are_let_go_by_a_run_under_way_wait_no_more(held: FakeApp) -> None:
    operator = Operator(held)
    assert f"{LEFT} rows left unification and kept their links" in operator.read("/api/portal")
    asked = {"tables": ["contact"], "allow_unlinking": [f"contact={LEFT}"]}
    operator.post(f"{ACTIONS}/run", **asked, dry_run="true", key="k1")
    assert "Waiting for a decision" in operator.read()
    operator.post(f"{ACTIONS}/run", **asked, key="k2")
    assert "Waiting for a decision" not in operator.read()


def test_a_table_that_was_never_held_has_no_such_page(operator: Operator) -> None:
    assert operator.get("/api/portal/tables/contact/approve").status == 404
    assert operator.post("/api/portal/tables/contact/approve", digest="0" * 16).status == 404


# ---- the result of a dry run ----


def test_a_dry_run_shows_counts_and_rows_and_can_be_run_for_real(held: FakeApp) -> None:
    held.world.dataverse.map(contact_id(PEOPLE), "c1")
    run = held.run(dry_run=True, mode=Mode.VERIFY, unlink_allowed=(UnlinkAllowance("contact", LEFT),))
    operator = Operator(held)
    page = operator.get(f"/api/portal/runs/{run.id}/changes").text
    told = text_of(page)
    assert f"contact Successful {PEOPLE} 1 {LEFT} {PEOPLE - LEFT - 1} 0 0 0" in told
    assert f"{contact_id(PEOPLE)} contact link c1" in told
    assert f"{contact_id(1)} contact clear the link" in told
    assert all(
        field in page for field in ('name="mode" value="verify"', f'name="allow_unlinking" value="contact={LEFT}"')
    )
    assert 'name="dry_run"' not in page


def test_a_real_run_has_no_such_page(app: FakeApp) -> None:
    real = app.run()
    assert Operator(app).get(f"/api/portal/runs/{real.id}/changes").status == 404


# ---- who may ----

FORMS = ["/actions/review", "/actions/run", "/runs/r1/cancel", "/tables/contact/approve"]


@pytest.fixture
def dry(held: FakeApp) -> Iterator[Run]:
    return held.run(dry_run=True)


def test_a_viewer_sees_what_waits_and_no_way_to_act(held: FakeApp, dry: Run) -> None:
    viewer = Operator(held, "viewer")
    for address in (ACTIONS, f"/api/portal/runs/{dry.id}/changes"):
        page = viewer.get(address)
        assert page.status == 200
        main = page.text.partition("<main")[2]
        assert "<form" not in main
        assert "<button" not in main
    assert "left unification" in viewer.read()
    assert "An operator decides." in viewer.read("/api/portal")


@pytest.mark.parametrize("form", FORMS)
def test_a_viewer_who_sends_a_form_is_refused_and_nothing_happens(make_app: Callable[..., FakeApp], form: str) -> None:
    viewer = Operator(make_app(), "viewer")
    assert viewer.post(f"/api/portal{form}", mode="full").status == 403
    assert not viewer.started
    assert not viewer.audited()


@pytest.mark.parametrize("page", ["/runs/r1/cancel", "/tables/contact/approve", "/tables/contact/unlink"])
def test_a_viewer_is_not_asked_to_decide(make_app: Callable[..., FakeApp], page: str) -> None:
    assert Operator(make_app(), "viewer").get(f"/api/portal{page}").status == 403


@pytest.mark.parametrize("form", FORMS)
def test_a_form_from_elsewhere_does_nothing(make_app: Callable[..., FakeApp], form: str) -> None:
    operator = Operator(make_app())
    operator.token = "0" * 64
    assert operator.post(f"/api/portal{form}", mode="full").status == 403
    assert not operator.started
    assert not operator.audited()


async def test_an_app_without_any_run_has_an_empty_page() -> None:
    browser = Browser(World(), authenticated=True, headers=headers(("roles", "operator")))
    told = await browser.text(ACTIONS)
    assert "Nothing runs and nothing waits." in told
    assert "Waiting for a decision" not in told


# ---- ways from the progress details ----


def details(person: Operator, run: str) -> str:
    return person.get(f"/api/portal?run={run}").text


def test_the_details_of_a_run_lead_an_operator_to_what_they_may_do_about_it(held: FakeApp, dry: Run) -> None:
    operator, viewer = Operator(held), Operator(held, "viewer")
    real = held.run(unlink_allowed=(UnlinkAllowance("contact", 1),)).id
    live = run_of(operator.post(f"{ACTIONS}/run", mode="full"))
    ways = {real: "/tables/contact/unlink", dry.id: f"/runs/{dry.id}/changes", live: f"/runs/{live}/cancel"}
    assert [run for run, way in ways.items() if way in details(operator, run)] == [real, dry.id, live]
    assert [run for run, way in ways.items() if way in details(viewer, run)] == [dry.id]
    assert "to clear the links of at most 1 departed rows of contact" in text_of(details(viewer, real))
