"""Asking for a run: the review before it, and the form that is sent once or twice."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from linker.core.model import Mode, RunRequest
from tests.entrypoints.portal.operators import ACTIONS, PEOPLE, Operator, run_of
from tests.fakes.app import FakeApp


def test_the_review_says_what_will_happen_by_the_last_run_and_asks_for_nothing_yet(operator: Operator) -> None:
    told = operator.review(mode="incremental")
    assert f"contact {PEOPLE} {PEOPLE} nothing" in told
    assert f"at most {PEOPLE} rows linked and {PEOPLE} profiles touched = {2 * PEOPLE} requests" in told
    assert not operator.started
    assert not operator.audited()


def test_a_full_run_warns_that_it_compares_every_row(operator: Operator) -> None:
    assert f"compared with its live link: {PEOPLE} rows" in operator.review(mode="full")
    assert "compared with its live link" not in operator.review(mode="incremental")


def test_a_dry_run_says_that_nothing_is_written(operator: Operator) -> None:
    told = operator.review(mode="full", dry_run="true")
    assert "Nothing is written to Dataverse." in told
    assert "requests" not in told


def test_the_review_says_behind_which_run_this_one_waits(operator: Operator) -> None:
    first = run_of(operator.post(f"{ACTIONS}/run", mode="full"))
    told = operator.review(mode="incremental")
    assert f"Run {first} is under way. This one begins when it has ended." in told


def test_dataverse_is_looked_at_when_asked_for(operator: Operator) -> None:
    assert "By Dataverse now" not in operator.review(mode="incremental")
    told = operator.review(mode="incremental", look="true")
    assert "By Dataverse now" in told
    assert f"contact linked {PEOPLE} none" in told


def test_a_review_is_worth_showing_when_dataverse_does_not_answer(operator: Operator) -> None:
    def refuses(asked: object) -> None:
        from tests.fakes.requests import Refusal

        raise Refusal(503, "", "down for maintenance")

    operator.app.world.dataverse.hooks.append(refuses)
    told = operator.review(mode="incremental", look="true")
    assert "Dataverse could not be looked at." in told
    assert "Start the run" in told


def test_what_was_confirmed_is_asked_for_once_audited_and_led_to(operator: Operator) -> None:
    run = run_of(operator.post(f"{ACTIONS}/run", mode="full", tables=["contact"], dry_run="true", key="k1"))
    assert operator.started == [RunRequest(Mode.FULL, dry_run=True, tables=("contact",), trigger="portal")]
    (entry,) = operator.audited()
    assert (entry["who"], entry["action"], entry["status"], entry["run"]) == ("ada@contoso.com", "post_run", 202, run)
    assert entry["asked"] == {"mode": "full", "dryRun": True, "tables": ["contact"], "allowUnlinking": []}


def test_the_address_of_a_review_says_all_that_was_chosen(operator: Operator) -> None:
    allowed = ["contact=4@0123456789abcdef", "contact=2,orphans", "lead=3,empty"]
    page = operator.reviewed(mode="full", dry_run="true", tables=["contact", "lead"], allow_unlinking=allowed)
    fields = re.findall(r'name="(mode|dry_run|tables|allow_unlinking)" value="([^"]+)"', page.text)
    chosen = [("mode", "full"), ("dry_run", "true"), ("tables", "contact"), ("tables", "lead")]
    assert fields == [*chosen, *(("allow_unlinking", one) for one in allowed)]
    assert not operator.started


@pytest.mark.parametrize("query", ["mode=sideways", "tables=a%20b", "allow_unlinking=contact", "dry_run=5"])
def test_an_address_of_no_run_is_refused(operator: Operator, query: str) -> None:
    assert operator.get(f"{ACTIONS}/review?{query}").status == 400


def test_the_same_form_sent_twice_is_one_run(operator: Operator) -> None:
    runs = {run_of(operator.post(f"{ACTIONS}/run", mode="incremental", key="k1")) for _ in range(2)}
    assert (len(runs), len(operator.started)) == (1, 1)
    assert operator.app.do(operator.app.world.deps.lock.peek()).pending is None
    assert run_of(operator.post(f"{ACTIONS}/run", mode="incremental", key="k2")) not in runs


def test_each_review_gives_its_form_a_key_of_its_own(operator: Operator) -> None:
    pages = [operator.reviewed(mode="full").text for _ in range(2)]
    keys = {page.partition('name="key" value="')[2].partition('"')[0] for page in pages}
    assert len(keys) == 2
    assert "" not in keys


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"mode": "sideways"}, id="another mode"),
        pytest.param({"tables": ["a b"]}, id="no table name"),
        pytest.param({"allow_unlinking": ["contact"]}, id="an allowance without a number"),
        pytest.param({"allow_unlinking": ["contact=0"]}, id="for no row"),
        pytest.param({"tables": ["lead"], "allow_unlinking": ["contact=4"]}, id="for a table that does not run"),
        pytest.param({"key": "k" * 101}, id="a long key"),
    ],
)
@pytest.mark.parametrize("page", ["review", "run"])
def test_a_form_that_does_not_fit_starts_nothing(operator: Operator, page: str, fields: dict[str, object]) -> None:
    reply = operator.post(f"{ACTIONS}/{page}", **fields)
    assert (reply.status, "Nothing was done" in reply.text) == (400, True)
    assert not operator.started


def test_runs_by_hand_that_are_switched_off_are_shown_as_such(make_app: Callable[..., FakeApp]) -> None:
    operator = Operator(make_app(start_by_api=False))
    assert "Runs by hand are switched off" in operator.read()
    reply = operator.post(f"{ACTIONS}/run", mode="incremental")
    assert (reply.status, reply.media_type, "LINKER_START_BY_API" in reply.text) == (403, "text/html", True)
    assert not operator.started
