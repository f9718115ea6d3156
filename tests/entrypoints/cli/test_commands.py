"""The command line as a person or a script uses it: what each command asks of the app, prints, and returns."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from linker import VERSION
from linker.__main__ import app
from linker.core.errors import ConfigurationError
from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.records import AuditEntry, PlannedChange, RowIssue
from linker.core.runs.history import history
from linker.core.runs.lock_state import Pause
from linker.core.serialization import from_json, to_json
from linker.entrypoints.api.answers import (
    AuditPage,
    Comparison,
    HeldLink,
    IssuePage,
    LookupNow,
    Resumption,
    RowState,
    RunPage,
    SampleList,
    TaskStatus,
)
from linker.entrypoints.cli import app_client, connection
from linker.entrypoints.cli.connection import Output, Talk
from linker.services.preflight_checks import look
from tests.fakes.insights import FakeInsights
from tests.fakes.world import World

CONTACT = TableRun("contact", "crm", Status.WARNINGS, counts=Counts(rows_read=3, linked=2, rejected=1))
OVER = Run(
    "r2",
    Mode.FULL,
    Status.WARNINGS,
    trigger="api",
    status_detail="Rejected rows: 1.",
    requested_at="2026-11-23T21:00:00Z",
    started_at="2026-11-23T21:00:00Z",
    ended_at="2026-11-23T21:01:05Z",
    counts=CONTACT.counts,
    tables=(CONTACT,),
    warnings=("Look at [this].",),
)
WORKING = Run("r3", Mode.INCREMENTAL, Status.REFRESHING, started_at="2026-11-23T22:00:00Z")
ISSUE = RowIssue("contact", "0001", "rejected", "Refused", "No.", "Ask.", "2026-11-23T21:00:30Z", 1)
ROW = RowState("contact", "0001", True, True, "r2", "2026-11-23T21:01:05Z", LookupNow(True, "p1", "c1", True), "",
               Comparison.EQUAL, None)  # fmt: skip
ENTRY = AuditEntry("1", "2026-11-23T21:00:00Z", "ada@contoso.com", "7c", "post_run", status=202, run="r2")
HELD = HeldLink("contact", "0123456789abcdef", True, "2026-11-23T21:00:00Z", ("Plug-in step 'Sync'.",), None, None)
PAUSE = Pause("2026-11-24T06:00:00Z", "2026-11-23T21:00:00Z", "ada@contoso.com", "ERP [x]")
ANSWERS: dict[str, object] = {
    "GET /api/status": TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, "2026-11-23T21:01:05Z", OVER),
    "GET /api/runs": RunPage(history([OVER], 1)),
    "GET /api/runs/r2": OVER,
    "GET /api/runs/r2/errors": IssuePage((ISSUE,), "more"),
    "GET /api/rows/contact/0001": ROW,
    "GET /api/audit": AuditPage((ENTRY,)),
    "GET /api/tables/contact/first-link": HELD,
    "POST /api/runs": WORKING,
    "POST /api/runs/r3/cancel": WORKING,
    "GET /api/runs/r3": WORKING,
    "POST /api/tables/contact/approve": WORKING,
    "POST /api/pause": PAUSE,
    "POST /api/resume": Resumption(PAUSE, "r3"),
}
LONG_RUN, LONG_ROW = "20261130T220227Z-18663d52", "00000001-0000-4000-8000-000000000001"
type Ask = Callable[..., Result]


class Server:
    """An app that answers what ANSWERS says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.query: dict[str, str] = {}
        self.body = b""
        self.answers = dict(ANSWERS)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self.asked.append(name)
        self.query = dict(request.url.params)
        self.body = request.content or self.body
        if name not in self.answers:
            problem = {"type": "about:blank", "title": "Not found", "status": 404, "detail": "There is no such run."}
            return httpx.Response(404, json=problem, headers={"Content-Type": "application/problem+json"})
        return httpx.Response(200, json=to_json(self.answers[name]))

    @property
    def written(self) -> list[str]:
        return [name for name in self.asked if name.startswith("POST")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    made = Server()
    client = httpx.Client

    def connected(**options: Any) -> httpx.Client:
        return client(**options | {"transport": httpx.MockTransport(made)})

    monkeypatch.setattr(app_client.httpx, "Client", connected)
    monkeypatch.setenv("LINKER_APP_URL", "https://app")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def linker(server: Server) -> Ask:
    return lambda *words, **options: CliRunner().invoke(app, list(words), **options)


LOOKING = [
    pytest.param(("status",), "GET /api/status", "Rejected rows: 1.", id="status"),
    pytest.param(("runs",), "GET /api/runs", "1 min 5 s", id="runs"),
    pytest.param(("show", "r2"), "GET /api/runs/r2", "Look at [this].", id="show"),
    pytest.param(("show",), "GET /api/runs/r2", "contact", id="show the newest"),
    pytest.param(("errors", "r2"), "GET /api/runs/r2/errors", "There are more", id="errors"),
    pytest.param(("errors",), "GET /api/runs/r2/errors", "Refused", id="errors of the newest"),
    pytest.param(("row", "contact", "0001"), "GET /api/rows/contact/0001", "p1", id="row"),
    pytest.param(("audit",), "GET /api/audit", "Start a run", id="audit"),
]


@pytest.mark.parametrize(("words", "route", "text"), LOOKING)
def test_a_command_that_looks_prints_what_the_app_says_and_writes_nothing(
    server: Server, linker: Ask, words: tuple[str, ...], route: str, text: str
) -> None:
    done = linker(*words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert text in done.stdout
    assert route in server.asked
    assert server.written == []


@pytest.mark.parametrize(("words", "route", "text"), LOOKING)
def test_the_same_as_json_is_the_answer_of_the_api_alone(
    server: Server, linker: Ask, words: tuple[str, ...], route: str, text: str
) -> None:
    done = linker(*words, "-o", "json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, to_json(server.answers[route]))


def test_the_audit_says_in_words_who_did_what(linker: Ask) -> None:
    (line,) = [line for line in linker("audit").stdout.splitlines() if "ada@contoso.com" in line]
    assert line.split()[1:] == ["ada@contoso.com", "Start", "a", "run", "Done", "r2"]


@pytest.mark.parametrize(
    ("words", "ids"), [(("runs",), [LONG_RUN]), (("audit",), [LONG_RUN]), (("errors", "r2"), [LONG_ROW])]
)
def test_a_narrow_terminal_cuts_no_id(
    server: Server, linker: Ask, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], ids: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    server.answers["GET /api/runs"] = RunPage(history([replace(OVER, id=LONG_RUN)], 1))
    server.answers["GET /api/audit"] = AuditPage((replace(ENTRY, run=LONG_RUN),))
    server.answers["GET /api/runs/r2/errors"] = IssuePage((replace(ISSUE, row=LONG_ROW),), None)
    shown = linker(*words).stdout
    assert [one for one in ids if one not in shown] == []
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown


@pytest.mark.parametrize(
    ("known", "confirmed", "told", "untold"),
    [
        pytest.param(
            True, True, ["Confirmed          yes", "Last saved         2026-11-23T21:01:05Z r2"], "not yet", id="linked"
        ),
        pytest.param(True, False, ["Confirmed          not yet"], "yes\nConfirmed          yes", id="not confirmed"),
        pytest.param(False, False, ["Linked by the app  no"], "2026-11-23T21:01:05Z", id="never linked"),
    ],
)
def test_a_row_is_confirmed_only_where_the_app_linked_it(
    server: Server, linker: Ask, known: bool, confirmed: bool, told: list[str], untold: str
) -> None:
    server.answers["GET /api/rows/contact/0001"] = replace(ROW, known=known, confirmed=confirmed)
    shown = linker("row", "contact", "0001").stdout
    assert [one for one in told if one not in shown] == []
    assert untold not in shown


def test_a_run_without_row_errors_says_so(server: Server, linker: Ask) -> None:
    server.answers["GET /api/runs/r2/errors"] = IssuePage((), None)
    assert "Run r2 rejected and deferred no row." in linker("errors").stdout


@pytest.mark.parametrize(
    ("status", "told", "untold"),
    [
        (Status.SUCCESSFUL, "would link 2 and unlink 0 of 3 rows; nothing was written", "not every row"),
        (Status.CANCELED, "not every row was looked at", "would link"),
    ],
)
def test_the_status_shows_a_dry_run_beside_the_last_run(
    server: Server, linker: Ask, status: Status, told: str, untold: str
) -> None:
    dry = replace(OVER, id="r4", dry_run=True, status=status)
    server.answers["GET /api/status"] = TaskStatus(TASK_NAME, TASK_GROUP, Status.WARNINGS, None, OVER, dry)
    shown = linker("status").stdout
    assert f"{status} (r4): {told}" in shown
    assert untold not in shown


def test_filters_of_runs_are_those_of_the_api_and_those_that_are_not_given_are_left_out(
    server: Server, linker: Ask
) -> None:
    linker("runs", "--status", "Failed (permanent)", "--mode", "full", "--since", "2026-11-23T21:00:00Z")
    assert server.query == {
        "status": "Failed (permanent)",
        "mode": "full",
        "since": "2026-11-23T21:00:00Z",
        "top": "20",
    }


def test_a_dry_run_is_shown_with_examples_of_what_it_would_change(server: Server, linker: Ask) -> None:
    server.answers["GET /api/runs/r2"] = replace(OVER, dry_run=True)
    server.answers["GET /api/runs/r2/samples"] = SampleList((PlannedChange("contact", "0001", "link", "c1", "p1"),))
    done = linker("show", "r2")
    assert done.exit_code == 0, done.output
    assert "Examples of what it would change:" in done.stdout
    assert "0001" in done.stdout


def test_a_new_run_is_named_with_the_page_that_shows_it(linker: Ask) -> None:
    assert "Progress: https://app/api/portal?run=r3#progress\n" in linker("run", "--yes").stdout


@pytest.mark.parametrize(("severity", "code"), [(Severity.READY, 0), (Severity.WARNINGS, 1), (Severity.BLOCKED, 2)])
def test_with_the_address_of_an_app_that_app_looks_and_the_exit_code_shows_how_it_is(
    server: Server, linker: Ask, severity: Severity, code: int
) -> None:
    picture = Picture("https://contoso.crm4.dynamics.com", severity, tables_checked=True, notes=("A note.",))
    server.answers["GET /api/preflight"] = picture
    done = linker("preflight")
    assert (done.exit_code, server.asked) == (code, ["GET /api/preflight"])
    assert "A note." in done.stdout
    assert json.loads(linker("preflight", "-o", "json").stdout) == to_json(picture)


async def test_what_the_app_answers_is_read_as_it_was_found() -> None:
    world = World()
    world.people(1)
    picture = await look(replace(world.deps, insights=FakeInsights()))  # type: ignore[arg-type]
    assert picture.tables
    assert from_json(Picture, to_json(picture)) == picture


def test_open_prints_the_address_and_opens_no_browser_in_a_pipe(linker: Ask) -> None:
    assert linker("open").stdout == "https://app/api/portal\n"
    assert linker("open", "r2").stdout == "https://app/api/portal?run=r2#progress\n"
    assert json.loads(linker("open", "-o", "json").stdout) == {"address": "https://app/api/portal"}


def test_the_version_is_that_of_the_app(linker: Ask) -> None:
    assert linker("--version").stdout == f"linker {VERSION}\n"


def test_completion_can_be_installed(linker: Ask) -> None:
    assert "--install-completion" in linker("--help").stdout


def commands() -> dict[str, Any]:
    return typer.main.get_command(app).commands  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_json_and_those_that_write_have_one_rule_for_confirmation(name: str) -> None:
    options = {option for parameter in commands()[name].params for option in parameter.opts}
    assert {"-o", "--output"} <= options
    writes = name in ("run", "approve", "cancel", "pause", "resume", "setup", "view")
    assert ({"--dry-run", "--yes"} <= options) == writes


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_help_shows_an_example_with_options_that_exist(name: str) -> None:
    command = commands()[name]
    shown = re.findall(rf"linker {name}\b[^,\n]*", command.help.partition("Example")[2])
    assert shown
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.rstrip(".") for line in shown for word in line.split() if word.startswith("-")} <= options


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
    server.answers["GET /api/status"] = replace(ANSWERS["GET /api/status"], pause=PAUSE)  # type: ignore[type-var]
    said = "Runs are paused until 2026-11-24T06:00:00Z by ada@contoso.com: ERP [x]."
    done = linker("pause", "--until", "2026-11-24T07:00:00+01:00", "--reason", "ERP [x]", "--yes")
    assert json.loads(server.body) == {"until": "2026-11-24T06:00:00Z", "reason": "ERP [x]"}
    assert f"{said} 'linker resume' ends the pause." in done.stdout
    assert said in linker("status").stdout
    assert linker("resume", "--yes").stdout == f"{said}\nRuns are resumed. Run r3 starts now.\n"


@pytest.mark.parametrize("until", ["2026-11-24T06:00:00", "tomorrow", "1795000000"])
def test_a_pause_ends_at_a_time_with_its_offset(server: Server, linker: Ask, until: str) -> None:
    done = linker("pause", "--until", until, "--yes")
    assert (done.exit_code, server.written) == (2, [])
    assert "Nothing was changed." in " ".join(done.stderr.replace("│", " ").split())


def test_a_dry_run_of_run_is_a_dry_run_of_the_app_and_asks_nothing(server: Server, linker: Ask) -> None:
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


def test_nobody_can_be_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
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
