"""`python -m sandbox serve`: load, start, say where everything is, stay, end in order."""

import asyncio
import gc
import json
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import uvicorn
import uvloop

from sandbox.data.csv_folder import read_folder
from sandbox.data.generator import Sizes, generate
from sandbox.data.measures import with_measures
from sandbox.data.seed import Dataset
from sandbox.database import Database
from sandbox.faults import InvalidFaultError, arm_all
from sandbox.middleware.http_protocol import ResettableProtocol
from sandbox.middleware.insights_front import NO_ADDRESS
from sandbox.middleware.local_only import LocalOnly
from sandbox.runtime import Environment
from sandbox.server.app import ADMIN_PATH, IDENTITY_PATH, INSIGHTS_PATH, Sandbox, compose
from sandbox.server.azurite import azurite_tables
from sandbox.server.certificates import TlsFiles, ensure_certificates
from sandbox.switches.config import SandboxConfig


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of `serve`. `port` 0 takes a free one; `load` None generates `sizes`; `tls` is a folder for https."""

    port: int = 8050
    load: Path | None = None
    database: Path | None = None
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 1
    measures: bool = True
    azurite: bool = True
    azurite_folder: Path | None = None
    tls: Path | None = None
    faults: Path | None = None
    config: SandboxConfig = field(default_factory=SandboxConfig)


class DatabaseFileError(OSError):
    """The file of `--db` cannot be used; nothing was written."""


def serve(options: ServeOptions) -> None:
    """Run until SIGTERM or SIGINT. One JSON line on stdout names all addresses, once they can be used.

    Raises FolderError for a folder that holds no unification, DataError for a value that does not fit,
    InvalidFaultError, AzuriteError, OSError for a port that is taken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(options.port))
        files = ensure_certificates(options.tls) if options.tls else None
        url = f"{'https' if files else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        sandbox = _prepare(options, url)
        stack.callback(sandbox.environment.database.close)
        tables = stack.enter_context(azurite_tables(options.azurite_folder)) if options.azurite else None
        ready = ready_line(sandbox, tables, files)
        _calm_collector()
        asyncio.run(_run(sandbox, listener, files, ready), loop_factory=uvloop.new_event_loop)


def _calm_collector() -> None:
    """Keep the garbage collector from walking what stays, and from running in the middle of a page of 5,000 rows."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def ready_line(sandbox: Sandbox, tables: str | None, files: TlsFiles | None) -> str:
    """Return the line with all addresses."""
    url = sandbox.environment.base_url
    absent = sandbox.environment.config.insights_api == "no_address"
    ready = {
        "dataverse": url,
        "insights": NO_ADDRESS if absent else url + INSIGHTS_PATH,
        "identityEndpoint": url + IDENTITY_PATH,
        "identityHeader": sandbox.identity.header,
        "tables": tables,
        "instanceId": sandbox.instance_id,
    }
    return json.dumps(ready | ({"ca": str(files.ca.absolute())} if files else {}))


def _prepare(options: ServeOptions, url: str) -> Sandbox:
    dataset = _dataset(options)
    database = _open(options)
    sandbox = compose(_environment(database, options.config, url))
    if sandbox.is_loaded:
        print(f"{options.database} already holds data: nothing is loaded.", file=sys.stderr)
    else:
        counts = sandbox.load(dataset)
        print("Loaded " + ", ".join(f"{n:,} {table}" for table, n in counts.items()) + ".", file=sys.stderr)
        if dataset.outside:
            print(f"Outside Dataverse, so without a table: {', '.join(dataset.outside)}.", file=sys.stderr)
    if options.faults is not None:
        _arm(sandbox, options.faults)
    return sandbox


def _open(options: ServeOptions) -> Database:
    path = str(options.database) if options.database else None
    try:
        return Database(path, config=options.config)
    except sqlite3.Error as error:
        raise DatabaseFileError(
            f"{path} cannot be used: {error}. It must be a SQLite file in a folder that exists, used by no other sandbox."
        ) from error


def _environment(database: Database, config: SandboxConfig, url: str) -> Environment:
    try:
        return Environment(database, config, url)
    except ValueError as error:
        raise DatabaseFileError(str(error)) from error


def _arm(sandbox: Sandbox, path: Path) -> None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidFaultError(f"{path} is not JSON: {error}") from error
    arm_all(document, sandbox.faults, sandbox.simulator)


def _dataset(options: ServeOptions) -> Dataset:
    dataset = generate(options.sizes, options.seed) if options.load is None else read_folder(options.load)
    return with_measures(dataset) if options.measures else dataset


async def _run(sandbox: Sandbox, listener: socket.socket, files: TlsFiles | None, ready: str) -> None:
    config = uvicorn.Config(
        LocalOnly(sandbox.app, guarded=(ADMIN_PATH,)),
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,  # as long as a front end of Azure keeps an idle connection
        timeout_graceful_shutdown=3,
        ssl_certfile=files.certificate if files else None,
        ssl_keyfile=files.key if files else None,
    )
    await _Server(config, ready).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Reports when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._ready, flush=True)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait 40 ms for an ACK
        yield listener


def _leave(*_: object) -> NoReturn:
    """End by an exception, so that Azurite ends too; the web server replaces this while it runs."""
    raise SystemExit(0)
