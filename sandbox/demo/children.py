"""The sandbox (with Azurite) and the local Functions host as child processes on free ports."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from linker.settings import PREFIX, names
from sandbox.host.settings import LOCAL_DEFAULTS

PROJECT: Final = Path(__file__).parents[2]
LOGS: Final = Path(".sandbox/logs")
_LOG_LINES: Final = 12  # shown of the log of a process that failed
_STOP_TIMEOUT_S: Final = 20.0


class ChildError(RuntimeError):
    """A child process did not start; the message has its last words and the path of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that said it is ready. `ready` is what it said."""

    name: str
    process: subprocess.Popen[str]
    ready: Mapping[str, Any]
    log: Path


@contextmanager
def sandbox_process(options: Sequence[str] = (), logs: Path = LOGS) -> Iterator[Child]:
    """Run `sandbox serve` with Azurite. Raises ChildError when it cannot start."""
    with running("sandbox", ["serve", "--port", "0", *options], os.environ, logs) as child:
        yield child


@contextmanager
def host_process(
    sandbox: Mapping[str, Any], settings: Mapping[str, str] | None = None, logs: Path = LOGS, *, keys: bool = False
) -> Iterator[Child]:
    """Run `sandbox host` against a sandbox, given what that printed when ready. Raises ChildError when it cannot start."""
    foreign = (PREFIX, "IDENTITY_", "MSI_")  # settings and identity of another environment
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    environment = {**own, **app_settings(sandbox), **(settings or {})}
    options = ["--port", "0", "--app", str(PROJECT), *(["--keys"] if keys else [])]
    with running("host", ["host", *options], environment, logs) as child:
        yield child


def app_settings(sandbox: Mapping[str, Any]) -> dict[str, str]:
    """Return the app settings that point at a sandbox; an empty one keeps local.settings.json from adding its own."""
    return (
        dict.fromkeys(names(), "")
        | LOCAL_DEFAULTS
        | {
            "LINKER_DATAVERSE_URL": sandbox["dataverse"],
            "LINKER_INSIGHTS_URL": sandbox["insights"],
            "LINKER_INSIGHTS_INSTANCE_ID": sandbox["instanceId"],
            "LINKER_STORAGE": sandbox["tables"],
            "LINKER_SETTLE_MINUTES": "0",
            "LINKER_POLL": "false",  # who starts a run here is the one who shows it
            "IDENTITY_ENDPOINT": sandbox["identityEndpoint"],
            "IDENTITY_HEADER": sandbox["identityHeader"],
        }
    )


@contextmanager
def running(name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path) -> Iterator[Child]:
    """Run `python -m sandbox <arguments>` until the end of the block; its log is kept in `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    log = (logs / f"{name}.log").absolute()
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            env={**environment, "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends it in order
        )
    with process:
        try:
            yield Child(name, process, _ready_line(name, process, log), log)
        finally:
            _stop(process)


def _ready_line(name: str, process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        raise ChildError(f"The {name} did not start (exit code {code}).\n{last_words(log)}")
    return dict(json.loads(line))


def last_words(log: Path) -> str:
    """Return the last lines of a log and where it is."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([*(f"  {line}" for line in lines), f"The whole log: {log}"])


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
