"""`python -m linker preflight` where the look itself fails: one sentence, and that nothing was written."""

import logging

import pytest
import typer

from linker import __main__ as command_line
from linker.core.errors import TransientError
from linker.deps import Deps
from linker.entrypoints.cli import connection

ADDRESSES = {
    "LINKER_DATAVERSE_URL": "https://contoso.crm4.dynamics.com",
    "LINKER_STORAGE__tableServiceUri": "https://contoso.table.core.windows.net",
}


async def unreachable(deps: Deps) -> str:
    raise TransientError(f"{deps.settings.dataverse_url} could not be reached.")


def test_who_cannot_be_reached_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(typer.Exit) as ended:
        connection.with_deps(unreachable)
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "https://contoso.crm4.dynamics.com could not be reached. Nothing was written. Check the address"
    )


def test_ways_to_a_token_that_led_nowhere_are_not_listed(caplog: pytest.LogCaptureFixture) -> None:
    command_line._commands()
    logging.getLogger("azure.identity._internal.decorators").warning("AppServiceCredential.get_token failed")
    assert caplog.records == []
