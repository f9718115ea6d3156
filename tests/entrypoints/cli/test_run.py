"""`linker run`: what it asks the app, what it shows, and how it ends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from linker.__main__ import app as cli
from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.model import Counts, Mode, Progress, Run, Status, TableRun
from linker.core.runs.lifecycle import ENDED
from linker.core.serialization import to_json
from linker.entrypoints.cli.app_client import AppClient, RefusedError
from linker.entrypoints.cli.control import allowance
from linker.entrypoints.cli.waiting import EXIT_CODES, MAX_FAILURES, describe_run, duration, result, watch_run
from linker.settings import load_access

RUN = Run("r1", Mode.FULL, Status.REFRESHING, progress=Progress(pages_total=4, pages_done=1, rows_per_second=2_000))
OVER = replace(RUN, status=Status.SUCCESSFUL, ended_at="2026-11-23T21:00:00Z", progress=None)


@pytest.fixture(autouse=True)
def _app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKER_APP_URL", "https://app")
    monkeypatch.setenv("LINKER_APP_KEY", "secret")


def app(answer: Callable[[httpx.Request], httpx.Response]) -> AppClient:
    return AppClient(load_access(), httpx.MockTransport(answer))


def problem(status: int, detail: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail}
    return httpx.Response(status, content=json.dumps(body), headers={"Content-Type": "application/problem+json"})


def printed(shown: Any) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_it_asks_with_the_key_and_shows_the_answer() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(202, json=to_json(RUN))

    assert app(answer).request_run({"mode": "full", "dryRun": False, "tables": []}) == RUN
    assert (asked[0].method, str(asked[0].url)) == ("POST", "https://app/api/runs")
    assert asked[0].headers["x-functions-key"] == "secret"
    assert json.loads(asked[0].content)["mode"] == "full"


def test_what_is_allowed_to_be_unlinked_is_a_table_with_its_number_of_rows() -> None:
    expected = {"table": "contact", "mostRows": 250, "emptyMapping": True, "seen": ""}
    assert allowance("contact=250", "--allow-unlinking", emptyMapping=True) == expected
    seen = "0123456789abcdef"
    assert allowance(f"contact=250@{seen}", "--allow-unlinking", emptyMapping=True) == expected | {"seen": seen}


def test_removed_rows_and_orphaned_links_are_allowed_in_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    def remember(_: AppClient, body: dict[str, Any]) -> Run:
        asked.append(body)
        return RUN

    monkeypatch.setattr(AppClient, "request_run", remember)
    done = CliRunner().invoke(
        cli, ["run", "--yes", "--allow-unlinking", "contact=3", "--clear-orphans", "contact=2@0123456789abcdef"]
    )
    assert done.exit_code == 0, done.output
    assert asked[0]["allowUnlinking"] == [
        {"table": "contact", "mostRows": 3, "seen": "", "emptyMapping": False},
        {"table": "contact", "mostRows": 2, "seen": "0123456789abcdef", "orphans": True},
    ]


@pytest.mark.parametrize("text", ["contact", "contact=", "contact=all", "=5", "contact=-1", ""], ids=repr)
def test_an_allowance_without_table_or_number_is_refused_before_the_app_is_asked(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="Nothing was started"):
        allowance(text, "--clear-orphans", orphans=True)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param(problem(400, "tables: no"), RefusedError, "tables: no", id="refused in the app's words"),
        pytest.param(problem(403, "the role 'operator'"), RefusedError, "operator", id="no role"),
        pytest.param(problem(503, "LINKER_X is missing"), TransientError, "LINKER_X", id="not set up"),
        pytest.param(httpx.Response(401), ConfigurationError, "LINKER_APP_KEY", id="no key"),
        pytest.param(
            httpx.Response(302, headers={"Location": "https://login.microsoftonline.com/a"}),
            ConfigurationError,
            "LINKER_APP_AUDIENCE",
            id="sent to a sign-in page",
        ),
        pytest.param(
            httpx.Response(401, text="You do not have permission"),
            ConfigurationError,
            "LINKER_APP_AUDIENCE",
            id="a token that App Service Authentication does not take",
        ),
        pytest.param(problem(401, "Nobody is signed in"), RefusedError, "Nobody is signed in", id="the app's own 401"),
        pytest.param(httpx.Response(200, text="<html>"), RefusedError, "LINKER_APP_URL", id="another site"),
    ],
)
def test_a_refusal_is_reported_in_one_sentence(answer: httpx.Response, kind: type[LinkerError], text: str) -> None:
    with pytest.raises(kind, match=text):
        app(lambda request: answer).request_run({})


def test_a_request_without_an_answer_may_have_started_a_run_and_says_so() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    with pytest.raises(TransientError, match=r"ReadTimeout.*may have received the request: check with 'linker runs'"):
        app(silent).request_run({})


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol])
def test_an_app_that_cannot_be_reached_got_nothing_and_the_message_says_so(kind: type[httpx.TransportError]) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise kind("All connection attempts failed")

    with pytest.raises(TransientError) as error:
        app(refused).request_run({})
    assert str(error.value) == (
        "https://app could not be reached. Nothing was sent. Check LINKER_APP_URL and that the app is running."
    )


def test_another_server_is_named_with_what_to_check() -> None:
    with pytest.raises(RefusedError, match=r"The server at app returned 404\. Check LINKER_APP_URL\."):
        app(lambda request: httpx.Response(404)).run("r1")


def watch(*answers: httpx.Response | Run) -> tuple[Run, int]:
    """Return the end of a run and how often it was looked at."""
    looks = iter(answers)
    count = [0]

    def answer(request: httpx.Request) -> httpx.Response:
        count[0] += 1
        found = next(looks)
        return httpx.Response(200, json=to_json(found)) if isinstance(found, Run) else found

    ended = watch_run(app(answer), RUN, Console(file=io.StringIO()), lambda seconds: None, lambda: 0.0)
    return ended, count[0]


def test_it_waits_for_the_end_of_the_run() -> None:
    assert watch(RUN, RUN, OVER) == (OVER, 3)


def test_an_app_that_starts_again_meanwhile_ends_no_wait() -> None:
    assert watch(*[httpx.Response(503)] * (MAX_FAILURES - 1), RUN, httpx.Response(502), OVER)[0] == OVER


def test_an_app_that_stays_away_ends_the_wait_without_a_verdict() -> None:
    with pytest.raises(TransientError):
        watch(*[httpx.Response(503)] * MAX_FAILURES)


def test_every_end_of_a_run_has_its_exit_code_and_only_success_is_zero() -> None:
    assert EXIT_CODES.keys() == ENDED | {Status.RETRYING, Status.NOT_STARTED}
    assert [status for status, code in EXIT_CODES.items() if code == 0] == [Status.SUCCESSFUL]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (RUN, "Refreshing, 25%, 2,000 rows/s"),
        (replace(RUN, progress=Progress(pages_total=4, pages_done=4)), "Refreshing, finishing, 0 rows/s"),
        (
            replace(RUN, progress=Progress(pages_total=4, pages_done=4, rows_total=1_000, rows_done=620)),
            "Refreshing, 62%, 620 of 1,000 rows, 0 rows/s",
        ),
        (
            replace(RUN, progress=Progress(pages_total=4, pages_done=1, rows_per_second=20, eta_seconds=3_700.0)),
            "Refreshing, 25%, 20 rows/s, about 1 h 1 min left",
        ),
        (replace(RUN, progress=None, status=Status.QUEUED, status_detail="Waiting."), "Queued. Waiting"),
        (
            replace(RUN, progress=Progress(paused_until="2026-11-23T21:05:00Z")),
            "Refreshing, paused by Dataverse until 2026-11-23T21:05:00Z",
        ),
        (replace(RUN, progress=None, status_detail="[red]"), r"Refreshing. \[red]"),
        (
            replace(RUN, status=Status.RETRYING, status_detail="Dataverse answered 503."),
            "Failed (retrying). Dataverse answered 503",
        ),
    ],
    ids=[
        "rate",
        "finishing",
        "rows before pages",
        "time left",
        "waiting",
        "paused",
        "no markup from outside",
        "not answered",
    ],
)
def test_a_line_says_what_the_run_does(shown: Run, text: str) -> None:
    assert describe_run(shown) == text


def test_the_end_is_shown_by_table_with_its_reason() -> None:
    contact = TableRun("contact", "crm", Status.WARNINGS, counts=Counts(rows_read=1_235, linked=1_234, rejected=1))
    text = printed(result(replace(OVER, status=Status.WARNINGS, tables=(contact,), status_detail="Rejected rows: 1.")))
    for word in ("contact", "1,234", "Completed with warnings", "Rejected rows: 1."):
        assert word in text


def test_words_of_others_are_shown_as_they_are_and_move_no_cursor() -> None:
    shown = printed(result(replace(OVER, status_detail="[red]no\x1b[2J\rmarkup")))
    assert "[red]no\\x1b[2J\\rmarkup" in shown


def test_a_dry_run_says_that_nothing_was_written() -> None:
    shown = printed(result(replace(OVER, dry_run=True)))
    assert "dry run: nothing is written" in shown
    assert [word for word in ("To link", "To unlink") if word not in shown] == []
    assert "Linked" not in shown


def lines(*looks: tuple[float, Run]) -> list[str]:
    """Return what a pipe gets; each look comes at a time in seconds."""
    times = [seconds for seconds, _ in looks]
    answers = iter([*(shown for _, shown in looks[1:]), OVER])
    out, clock = io.StringIO(), iter(times)
    watch_run(
        app(lambda request: httpx.Response(200, json=to_json(next(answers)))),
        looks[0][1],
        Console(file=out, width=100),
        lambda seconds: None,
        lambda: next(clock),
    )
    return [line.partition("  ")[2] for line in out.getvalue().splitlines()]


def at(pages: int) -> Run:
    return replace(RUN, progress=Progress(pages_total=4, pages_done=pages, rows_per_second=10))


def test_a_pipe_gets_a_line_for_a_new_status_at_once_and_for_figures_every_ten_seconds() -> None:
    queued = replace(RUN, status=Status.QUEUED, progress=None)
    shown = lines((100, queued), (102, at(1)), (104, at(2)), (112, at(3)), (124, at(3)))
    assert shown == ["Queued", "Refreshing, 25%, 10 rows/s", "Refreshing, 75%, 10 rows/s"]


def test_a_pipe_gets_a_line_every_minute_even_when_nothing_changes() -> None:
    assert len(lines((100, at(1)), (130, at(1)), (161, at(1)))) == 2


def test_a_phase_without_figures_keeps_the_last_ones() -> None:
    assert lines((100, at(3)), (200, replace(RUN, progress=None))) == ["Refreshing, 75%, 10 rows/s"] * 2


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind() -> None:
    out = io.StringIO()
    answers = iter([at(2), OVER])
    watch_run(
        app(lambda request: httpx.Response(200, json=to_json(next(answers)))),
        at(1),
        Console(file=out, force_terminal=True, width=100),
        lambda seconds: None,
    )
    assert "Refreshing, 50%" in out.getvalue()
    assert not out.getvalue().rstrip().endswith("%")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min")]
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
