"""The local Functions host with a task hub that saves its histories when it ends.

Usage: `python -m tests.history_replay.recording_host`.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any

from sandbox.host import host as host_module
from sandbox.host.backend import Backend
from sandbox.host.main import run
from tests.history_replay.histories import save


class RecordingBackend(Backend):
    """The task hub, whose histories go into the folder that HISTORIES names."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        atexit.register(self._save)

    def _save(self) -> None:
        ended = [found.history for found in self._instances.values() if self._is_terminal_status(found.status)]
        save(ended, Path(os.environ["HISTORIES"]))


if __name__ == "__main__":
    host_module.Backend = RecordingBackend  # type: ignore[misc]  # the host builds its task hub by this name
    run(0, keys=False, app_dir=Path())
