"""The registry of switches, and the options of the command line that set them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
from typer.testing import CliRunner

from sandbox.__main__ import app
from sandbox.server.serve import ServeOptions
from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import Entry, InvalidConfigError, read_assignments, registry, value_text

ENTRIES = [pytest.param(entry, id=name) for name, entry in registry(SandboxConfig).items()]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServeOptions]:
    """The options that `serve` would start with."""
    given: list[ServeOptions] = []
    monkeypatch.setattr("sandbox.__main__.run_server", given.append)
    return given


def serve(*options: str) -> str:
    """Run `serve` and return what it printed when it was refused."""
    return CliRunner().invoke(app, ["serve", *options]).output


def test_the_list_as_json_has_every_switch_with_its_five_properties() -> None:
    listed = json.loads(CliRunner().invoke(app, ["switches", "--json"]).output)
    assert [entry["name"] for entry in listed] == list(registry(SandboxConfig))
    assert {tuple(entry) for entry in listed} == {("name", "values", "default", "meaning", "proved")}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_switch_explains_itself_and_names_its_default_among_two_or_more_values(entry: Entry) -> None:
    assert entry.default in entry.values
    assert len({value_text(value) for value in entry.values}) >= 2
    assert entry.switch.meaning.endswith(".")


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_listed_value_is_accepted_on_the_command_line(entry: Entry, served: list[ServeOptions]) -> None:
    for value in entry.values:
        assert serve("--tables", "elastic", "--switch", f"{entry.name}={value_text(value)}") == ""
        assert getattr(served[-1].config, entry.name) == value


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        pytest.param(("--tables", "virtual"), ("virtual", "virtual"), id="both"),
        pytest.param(("--tables", "virtual", "--mapping-table", "elastic"), ("virtual", "elastic"), id="one of them"),
        pytest.param(
            ("--tables", "elastic", "--switch", "profile_table=standard"), ("standard", "elastic"), id="switch"
        ),
    ],
)
def test_the_options_for_table_kinds(
    options: tuple[str, ...], kinds: tuple[str, str], served: list[ServeOptions]
) -> None:
    assert serve(*options) == ""
    assert (served[0].config.profile_table, served[0].config.mapping_table) == kinds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("max_pag=1", "Switch 'max_pag' does not exist. Did you mean max_page?", id="unknown name"),
        pytest.param("string_order=x", "string_order: 'x' is not one of word, ordinal.", id="unknown choice"),
        pytest.param("servers=0", "servers: Input should be greater than 0", id="too small"),
        pytest.param("servers", "'servers' has no value. Write NAME=VALUE", id="no value"),
    ],
)
def test_a_refusal_says_what_to_write(text: str, says: str, served: list[ServeOptions]) -> None:
    assert says in serve("--switch", text)
    assert served == []


@pytest.mark.parametrize("write", [json.dumps, str, value_text], ids=["as JSON", "as Python", "as the table"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_value_of_the_json_list_can_be_written_back(entry: Entry, write: Callable[[object], str]) -> None:
    """Scripts run over the list: `null` and `true` are `None` and `True` in those that are written in Python."""
    for value in json.loads(json.dumps(entry.values)):
        text = value if isinstance(value, str) else write(value)
        assert read_assignments(SandboxConfig, [f"{entry.name}={text}"]) == {entry.name: value}


def test_a_field_without_an_annotation_is_refused() -> None:
    @dataclass(frozen=True)
    class Unexplained:
        size: Annotated[int, "a number"] = 1

    with pytest.raises(TypeError, match="size has no Switch"):
        registry(Unexplained)


def test_a_change_of_an_unknown_switch_names_similar_ones() -> None:
    with pytest.raises(InvalidConfigError, match="Did you mean ms_per_row"):
        changed(SandboxConfig(), {"ms_per_rov": 1})
