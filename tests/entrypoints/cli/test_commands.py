"""The command line as a person or a script uses it: what each command asks of the app, prints, and returns."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import typer

from linker import VERSION
from linker.__main__ import app
from linker.core.model import Status
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.records import PlannedChange
from linker.core.runs.history import history
from linker.core.serialization import from_json, to_json
from linker.entrypoints.api.answers import (
    AuditPage,
    IssuePage,
    RunPage,
    SampleList,
    TaskStatus,
)
from linker.services.preflight_checks import look
from tests.entrypoints.cli.app_answers import (
    ENTRY,
    ISSUE,
    OVER,
    ROW,
    Ask,
    Server,
)
from tests.fakes.insights import FakeInsights
from tests.fakes.world import World

LONG_RUN, LONG_ROW = "20261130T220227Z-18663d52", "00000001-0000-4000-8000-000000000001"


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
