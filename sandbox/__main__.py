"""Commands of the sandbox: `python -m sandbox --help`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from sandbox.data.csv_folder import FolderError
from sandbox.data.generator import Sizes
from sandbox.data.seed import DataError
from sandbox.faults import InvalidFaultError
from sandbox.server.azurite import AzuriteError
from sandbox.server.serve import ServeOptions
from sandbox.server.serve import serve as run_server
from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import InvalidConfigError, markdown_table, read_assignments, registry, value_text
from sandbox.switches.tables import TableKind

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="A local Dynamics 365 for the customer profile linker."
)

_TOLD: Final = (
    AzuriteError,
    DataError,
    FolderError,
    InvalidConfigError,
    InvalidFaultError,
    OSError,
)
_WHERE: Final = (
    "Its ready line names the address as 'dataverse'; for https set SSL_CERT_FILE to the file that it names as 'ca'."
)

Load = Annotated[Path | None, typer.Option(help="Folder of CSV files and environment.json to load.", exists=True)]
Contacts = Annotated[int, typer.Option(help="Contacts to generate when nothing is loaded.", min=0)]
Leads = Annotated[int, typer.Option(help="Leads to generate.", min=0)]
Members = Annotated[int, typer.Option(help="Rows of the custom table new_member to generate.", min=0)]
Tables = Annotated[TableKind | None, typer.Option(help="The kind of the profile and the mapping table together.")]
ProfileTable = Annotated[TableKind | None, typer.Option(help="The kind of the profile table.")]
MappingTable = Annotated[TableKind | None, typer.Option(help="The kind of the mapping table.")]
Switches = Annotated[
    list[str] | None, typer.Option("--switch", help="NAME=VALUE, such as ms_per_row=2. Repeatable; see 'switches'.")
]


@app.command()
def serve(  # noqa: PLR0913  # each option is a parameter: that is typer's way
    *,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8050,
    load: Load = None,
    db: Annotated[Path | None, typer.Option(help="SQLite file that keeps everything; without it, memory.")] = None,
    contacts: Contacts = 20_000,
    leads: Leads = 8_000,
    members: Members = 2_000,
    seed: Annotated[int, typer.Option(help="Other seeds generate other rows.")] = 1,
    measures: Annotated[bool, typer.Option(help="Customer measures in all three forms, for every profile.")] = True,
    azurite: Annotated[bool, typer.Option(help="Start Azurite for Table Storage.")] = True,
    azurite_folder: Annotated[Path | None, typer.Option(help="Keep the tables here; without it, memory.")] = None,
    https: Annotated[bool, typer.Option(help="Serve https with a certificate of an own CA.")] = False,
    tls_folder: Annotated[Path, typer.Option(help="Where CA and certificate are kept.")] = Path(".sandbox/tls"),
    faults: Annotated[Path | None, typer.Option(help="JSON file of faults to arm at the start.", exists=True)] = None,
    tables: Tables = None,
    profile_table: ProfileTable = None,
    mapping_table: MappingTable = None,
    switches: Switches = None,
) -> None:
    """Serve Dataverse, Customer Insights, managed identity and Table Storage. Prints one JSON line when ready."""
    with _told():
        options = ServeOptions(
            port=port,
            load=load,
            database=db,
            sizes=Sizes(contacts, leads, members),
            seed=seed,
            measures=measures,
            azurite=azurite,
            azurite_folder=azurite_folder,
            tls=tls_folder if https else None,
            faults=faults,
            config=changed(SandboxConfig(), _switches(tables, profile_table, mapping_table, switches)),
        )
        run_server(options)


@app.command(context_settings={"ignore_unknown_options": True})
def unify(
    url: Annotated[str, typer.Option(help="Address of a running sandbox.")] = "http://127.0.0.1:8050",
    changes: Annotated[list[str] | None, typer.Argument(help="Such as move=0.01 seed=7 take_out='[\"lead\"]'.")] = None,
) -> None:
    """Run a unification on a running sandbox and print what it changed. Fields: docs/dev/sandbox-control.md."""
    try:
        answer = httpx.post(f"{url.rstrip('/')}/sandbox/unifications", json=_assignments(changes or []), timeout=600)
    except httpx.HTTPError as error:
        typer.echo(f"The sandbox at {url} did not answer: {error}. {_WHERE}", err=True)
        raise typer.Exit(2) from error
    typer.echo(answer.text)
    raise typer.Exit(0 if answer.is_success else 1)


@app.command()
def host(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=0, max=65535)] = 7071,
    keys: Annotated[bool, typer.Option(help="Ask for function keys, as Azure does.")] = False,
    app_dir: Annotated[Path, typer.Option("--app", help="Folder of function_app.py.")] = Path(),
) -> None:
    """Run function_app.py on the local Functions host."""
    from sandbox.host.main import run

    run(port, keys, app_dir)


@app.command()
def demo(  # noqa: PLR0913  # each option is a parameter: that is typer's way
    *,
    load: Load = None,
    contacts: Contacts = 20_000,
    leads: Leads = 8_000,
    members: Members = 2_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was shown, for scripts.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write what was shown, as a picture.")] = None,
    tables: Tables = None,
    profile_table: ProfileTable = None,
    mapping_table: MappingTable = None,
    switches: Switches = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running afterwards, until Ctrl+C, and print the address.")
    ] = False,
) -> None:
    """Start everything, play three unifications, and show what the linker made of them."""
    from sandbox.demo.main import DemoOptions, run

    with _told():
        chosen = _switches(tables, profile_table, mapping_table, switches)
        changed(SandboxConfig(), chosen)  # refused here, before anything starts
    sizes = Sizes(contacts, leads, members)
    raise typer.Exit(run(DemoOptions(load, sizes, json_file, svg, switches=chosen, keep=keep)))


@app.command("switches")
def list_switches(
    *,
    json_lines: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    markdown: Annotated[bool, typer.Option(help="Print the table of docs/dev/sandbox-control.md.")] = False,
) -> None:
    """List every switch with its values, its default, its meaning and whether a public source proves it."""
    entries = registry(SandboxConfig).values()
    if json_lines:
        typer.echo(json.dumps([entry.document for entry in entries], indent=1))
        return
    if markdown:
        typer.echo(markdown_table(SandboxConfig))
        return
    for entry in entries:
        proved = "" if entry.switch.proved else " (unproved)"
        typer.echo(f"{entry.name}={value_text(entry.default)}{proved}\n    {entry.switch.meaning}")
        typer.echo(f"    Values: {', '.join(map(value_text, entry.values))}")


def _switches(
    tables: TableKind | None,
    profile_table: TableKind | None,
    mapping_table: TableKind | None,
    switches: list[str] | None,
) -> dict[str, object]:
    """Return the switches that the options name; what names one of them alone counts over what names several."""
    kinds = {"profile_table": profile_table or tables, "mapping_table": mapping_table or tables}
    named = {name: kind for name, kind in kinds.items() if kind is not None}
    return {**named, **read_assignments(SandboxConfig, switches or [])}


def _assignments(texts: list[str]) -> dict[str, Any]:
    """Read `name=value`; a value that is not JSON is a text."""
    return {name: _value(value) for name, _, value in (text.partition("=") for text in texts)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextmanager
def _told() -> Iterator[None]:
    """End with one sentence instead of a traceback when the start is refused for a reason that the user can change."""
    try:
        yield
    except _TOLD as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
