"""`python -m sandbox host`: start, run until a signal, stop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import uvicorn

from sandbox.host.config import HostConfig, read_host_config
from sandbox.host.errors import StartRefusedError
from sandbox.host.functions import HTTP, HostedFunction, check_folder, load_functions, of_kind
from sandbox.host.host import Host
from sandbox.host.keys import make_keys
from sandbox.host.settings import apply_settings, resolve_placeholders

_LOG = logging.getLogger(__name__)

CLOSE_S = 1.0  # for the app's connections to close; the process ends anyway
_NOISY = ("azure", "durabletask", "httpx", "httpcore", "uvicorn")


def run(port: int, keys: bool, app_dir: Path) -> None:
    """Run the function app of `app_dir` on 127.0.0.1:`port` (0: a free one) until SIGTERM or SIGINT.

    Prints one JSON line when ready. Exits with code 2 and one message on stderr when the app cannot start as it is.
    """
    configure_logging(os.environ.get("LOCAL_HOST_LOG_LEVEL", "INFO").upper())
    try:
        asyncio.run(_run(port, keys, app_dir.resolve()))
    except StartRefusedError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def configure_logging(level: str) -> None:
    """Log readably to stderr; libraries that log every call only from DEBUG on."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for name in _NOISY if level != "DEBUG" else ():
        logging.getLogger(name).setLevel(logging.WARNING)


async def _run(port: int, keys: bool, app_dir: Path) -> None:
    functions, config = prepare(app_dir)
    known = make_keys((one.name for one in of_kind(functions, HTTP)), os.environ) if keys else None
    with _listening(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        host = Host(functions, config, url, _resolve, known)
        told = known.described() if known else {}
        ready = {"url": url, "functions": [function.name for function in functions]} | told
        await _serve(host, listener, json.dumps(ready))
    await _close_app()
    _leave(host)


def prepare(app_dir: Path) -> tuple[list[HostedFunction], HostConfig]:
    """Apply settings, let the app check them, and load it. Raises StartRefusedError with a complete message."""
    check_folder(app_dir)
    os.chdir(app_dir)
    sys.path.insert(0, str(app_dir))
    # the task hub is on loopback, where a proxy of this machine cannot reach
    os.environ.setdefault("no_grpc_proxy", "127.0.0.1")
    apply_settings(app_dir, os.environ)
    config = read_host_config(app_dir, lambda text: _resolve(text, "host.json"))
    with _configuration_errors():
        check = getattr(_part_of_linker("bootstrap"), "check_start", None)
        if check:
            check()
        return load_functions(), config


def _resolve(text: str, where: str) -> str:
    default_of = getattr(_part_of_linker("settings"), "default_of", None)
    return resolve_placeholders(text, os.environ, default_of or (lambda _: None), where=where)


def _part_of_linker(name: str) -> ModuleType | None:
    """Import a module of the package `linker` in the app's folder; None where the app has none.

    An installed `linker` is another app: `make setup` installs this project's for its command line.
    """
    if not Path("linker").is_dir():
        return None
    try:
        return importlib.import_module(f"linker.{name}")
    except ModuleNotFoundError as error:
        if f"linker.{name}.".startswith(f"{error.name}."):
            return None
        raise


async def _close_app() -> None:
    """Let the app close its connections, where it knows how to."""
    close = getattr(_part_of_linker("bootstrap"), "close", None)
    if close:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(close(), CLOSE_S)


@contextlib.contextmanager
def _configuration_errors() -> Iterator[None]:
    """Turn the app's own refusal of its settings into ours: its message says all."""
    kind = getattr(_part_of_linker("core.errors"), "ConfigurationError", StartRefusedError)
    try:
        yield
    except kind as error:
        raise StartRefusedError(str(error)) from None


def _listening(port: int) -> socket.socket:
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise StartRefusedError(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait 40 ms for an ACK
    return listener


async def _serve(host: Host, listener: socket.socket, ready: str) -> None:
    server = _Server(host, ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.shut_down)
    await server.serve(sockets=[listener])
    await host.stop()


class _Server(uvicorn.Server):
    def __init__(self, host: Host, ready: str) -> None:
        settings = uvicorn.Config(
            host.web, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        super().__init__(settings)
        self._app_host = host
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again after its end, and the exit code would be theirs."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._app_host.start()
        print(self._ready, flush=True)

    def shut_down(self) -> None:
        self._app_host.refuse_work()
        self.should_exit = True


def _leave(host: Host) -> None:
    """End the process although plain functions still run: Python would wait for their threads."""
    if host.invoker.busy_threads:
        _LOG.warning("Abandoned %d running function(s).", host.invoker.busy_threads)
        logging.shutdown()
        os._exit(0)
