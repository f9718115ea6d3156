"""docs/dev/sandbox-control.md names everything that can be asked of the sandbox."""

from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from sandbox.__main__ import app
from sandbox.customer_insights.unification import UnificationRequest
from sandbox.faults.model import Fault, Kind
from sandbox.server.app import ADMIN_PATH, Sandbox
from sandbox.switches.config import SandboxConfig
from sandbox.switches.registry import markdown_table
from sandbox.switches.tables import DEFAULT_TABLES

DOCS = (Path(__file__).parents[3] / "docs" / "dev" / "sandbox-control.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([field.name for field in fields(UnificationRequest)], id="unification fields"),
        pytest.param([field.name for field in fields(Fault) if field.name != "kind"], id="fault fields"),
        pytest.param(list(get_args(Kind)), id="fault kinds"),
    ],
)
def test_every_name_is_documented(names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in DOCS] == []


def test_the_table_of_switches_is_that_of_the_registry() -> None:
    """Print it with `python -m sandbox switches --markdown`. The default kind of the tables is one constant."""
    other = next(kind for kind in ("elastic", "standard") if kind != DEFAULT_TABLES)
    printed = markdown_table(SandboxConfig)
    flipped = printed.replace(f"| `{DEFAULT_TABLES}` | yes | The kind of", f"| `{other}` | yes | The kind of")
    assert any(f"\n\n{table}\n\n" in DOCS for table in (printed, flipped))


def test_every_option_of_serve_is_documented() -> None:
    (serve,) = [command for name, command in get_command(app).commands.items() if name == "serve"]
    options = [option for parameter in serve.params for option in parameter.opts if option != "--help"]
    assert [option for option in options if f"`{option}" not in DOCS] == []


def test_every_admin_route_is_documented(sandbox: Sandbox) -> None:
    (mount,) = [route for route in sandbox.app.routes if getattr(route, "path", "") == ADMIN_PATH]
    paths = {ADMIN_PATH + route.path.replace(":int", "") for route in mount.routes}
    assert len(paths) > 10
    assert [path for path in sorted(paths) if f"{path}`" not in DOCS and f"{path}?" not in DOCS] == []
