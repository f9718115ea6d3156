"""Commands that write: what they confirm, send, and show."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from linker.core.errors import ConfigurationError
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import (
    RunPage,
)
from linker.entrypoints.cli import connection
from linker.entrypoints.cli.connection import Output, Talk
from tests.entrypoints.cli.app_answers import (
    ANSWERS,
    Ask,
    Server,
)

WRITING = [
    pytest.param(("run",), "POST /api/runs", id="run"),
    pytest.param(("approve", "contact"), "POST /api/tables/contact/approve", id="approve"),
    pytest.param(("cancel", "r3"), "POST /api/runs/r3/cancel", id="cancel"),
    pytest.param(("pause", "--until", "2026-11-24T07:00:00+01:00"), "POST /api/pause", id="pause"),
    pytest.param(("resume",), "POST /api/resume", id="resume"),
]


@pytest.mark.parametrize(("words", "route"), WRITING)
def test_a_command_that_writes_does_so_with_yes(server: Server, linker: Ask, words: tuple[str], route: str) -> None:
    done = linker(*words, "--yes", "-o", "json")
    assert (done.exit_code, json.loads(done.stdout), server.written) == (0, to_json(server.answers[route]), [route])


@pytest.mark.parametrize("words", [("cancel", "r2"), ("cancel",)], ids=["named", "newest"])
def test_a_dry_run_sends_no_cancel_for_a_run_that_is_over(server: Server, linker: Ask, words: tuple[str, ...]) -> None:
    assert (linker(*words, "--dry-run").exit_code, server.written) == (0, [])


@pytest.mark.parametrize(("words", "route"), WRITING)
def test_without_a_terminal_it_writes_nothing_and_names_the_option(
    server: Server, linker: Ask, words: tuple[str], route: str
) -> None:
    done = linker(*words)
    assert (done.exit_code, server.written) == (2, [])
    assert "Nothing was written: without a terminal you cannot confirm. Add --yes" in done.stderr


@pytest.mark.parametrize(("words", "route"), WRITING[1:])
def test_a_dry_run_shows_and_writes_nothing(server: Server, linker: Ask, words: tuple[str], route: str) -> None:
    done = linker(*words, "--dry-run")
    assert (done.exit_code, server.written) == (0, [])
    assert done.stdout


def test_a_pause_is_sent_in_utc_and_shown(server: Server, linker: Ask) -> None:
    said = "Runs are paused until 2026-11-24T06:00:00Z by ada@contoso.com: ERP [x]."
    done = linker("pause", "--until", "2026-11-24T07:00:00+01:00", "--reason", "ERP [x]", "--yes")
    assert json.loads(server.body) == {"until": "2026-11-24T06:00:00Z", "reason": "ERP [x]"}
    assert f"{said} 'linker resume' ends the pause." in done.stdout
    assert said in linker("status").stdout
    assert linker("resume", "--yes").stdout == f"{said}\nRuns are resumed. Run r3 starts now.\n"


NO_OFFSET, PAST, FAR = "a time with its offset", "is in the past", "lasts 30 days at most"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        *((("pause", "--until", until), NO_OFFSET) for until in ("2026-11-24T06:00:00", "tomorrow", "1795000000", "")),
        *((("pause", "--until", until), PAST) for until in ("2026-11-23T21:00:00Z", "0001-01-01T00:00:00+00:00")),
        *((("pause", "--until", until), FAR) for until in ("2026-12-24T21:00:00Z", "9999-12-31T23:59:59+00:00")),
        (("run", "--empty-mapping"), "needs --allow-unlinking"),
        (("run", "--clear-orphans", "contact=3", "--empty-mapping"), "needs --allow-unlinking"),
        (("run", "--allow-unlinking", "contact"), "isn't a table with a number of rows"),
        (("resume",), "Runs aren't paused"),
    ],
)
@pytest.mark.parametrize("yes", [["--yes"], []], ids=["yes", "would be asked"])
def test_what_cannot_be_done_is_refused_before_anything_is_shown_or_asked(
    server: Server, linker: Ask, words: tuple[str, ...], fault: str, yes: list[str]
) -> None:
    server.answers["GET /api/status"] = replace(ANSWERS["GET /api/status"], pause=None)  # type: ignore[type-var]
    done = linker(*words, *yes)
    said = " ".join(done.stderr.replace("│", " ").split())
    assert (done.exit_code, done.stdout, server.written) == (2, "", [])
    assert fault in said
    assert "Nothing was" in said
    assert "confirm" not in said


def test_a_dry_run_of_run_is_a_dry_run_of_the_app_and_asks_no_question(server: Server, linker: Ask) -> None:
    assert linker("run", "--dry-run").exit_code == 0
    assert server.written == ["POST /api/runs"]


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_terminal_the_answer_decides(monkeypatch: pytest.MonkeyPatch, agrees: bool) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(connection.typer, "confirm", lambda question, err: agrees)
    if agrees:
        assert Talk().allows("Go?")
    else:
        with pytest.raises(connection.DeclinedError, match=r"^Nothing was written\.$"):
            Talk().allows("Go?")


def test_sentences_go_to_standard_error_where_json_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Talk(output=Output.JSON).say("a sentence")
    Talk().say("another")
    assert capsys.readouterr() == ("another\n", "a sentence\n")


def test_no_question_is_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(ConfigurationError, match="Add --yes"):
        Talk().allows("Go?")


def test_show_with_wait_attaches_to_a_run_and_ends_with_its_exit_code(server: Server, linker: Ask) -> None:
    done = linker("show", "r2", "--wait")
    assert (done.exit_code, "Completed with warnings" in done.stdout) == (3, True)


def test_ctrl_c_ends_the_wait_and_not_the_run(server: Server, linker: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linker.entrypoints.cli.waiting.watch_run", interrupted)
    done = linker("show", "r3", "--wait")
    assert (done.exit_code, server.written) == (130, [])
    assert "The run continues. 'linker show r3 --wait' waits for it again." in done.stderr


def test_a_refusal_is_one_sentence_and_exit_code_2(linker: Ask) -> None:
    done = linker("show", "nothing")
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "There is no such run.\n")


def test_without_runs_it_says_how_to_start_one(server: Server, linker: Ask) -> None:
    server.answers["GET /api/runs"] = RunPage(())
    done = linker("show")
    assert (done.exit_code, done.stderr) == (2, "No run was started yet. Start one with 'linker run'.\n")
    assert "There are none." in linker("runs").stdout
