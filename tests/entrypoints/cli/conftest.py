"""What these tests share: an app that answers, and the command line that calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from linker.__main__ import app
from linker.core.serialization import parse_time
from linker.entrypoints.cli import app_client, control
from tests.entrypoints.cli.app_answers import PAUSE, Ask, Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    made = Server()
    client = httpx.Client

    def connected(**options: Any) -> httpx.Client:
        return client(**options | {"transport": httpx.MockTransport(made)})

    monkeypatch.setattr(app_client.httpx, "Client", connected)
    monkeypatch.setenv("LINKER_APP_URL", "https://app")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(control, "clock", lambda: parse_time(PAUSE.since))
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def linker(server: Server) -> Ask:
    return lambda *words, **options: CliRunner().invoke(app, list(words), **options)
