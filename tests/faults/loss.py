"""Table Storage on this machine dies. Azurite keeps what was stored in the last five seconds in memory alone."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.data.tables import TableServiceClient

from sandbox.demo.clients import Json
from sandbox.server.azurite import Azurite, azurite, connection_string
from tests.system.world import until

from .moments import PLAIN, Stage, stage
from .trial import Verdict

IDLE_S: Final = 6.5
DOCUMENTS: Final = "__azurite_db_table__.json"  # Azurite writes it as a whole, beside it first
MOVED: Final = {"move": 0.3}


@dataclass(slots=True)
class Stored:
    """A linked world whose Table Storage can die and come back at the same address."""

    stage: Stage
    stack: ExitStack
    folder: Path
    storage: Azurite

    def die_idle(self) -> None:
        """Kill the storage when everything is in its files, and start it again."""
        self._idle()
        self._kill()
        self._start()

    def lose_what_follows(self) -> Path:
        """Return a copy of the files as they are now, with everything in them."""
        self._idle()
        return Path(shutil.copytree(self.folder, self.folder.with_name("kept"), ignore=shutil.ignore_patterns("*~")))

    def die_and_lose(self, kept: Path) -> None:
        """Kill the storage before anything since was in its files, and start it again."""
        self._kill()
        shutil.copytree(kept, self.folder, dirs_exist_ok=True)
        self._start()

    def unify(self, **request: object) -> Json:
        """Run a unification and the linking run that serves it; returns the last of the runs that follow."""
        done = self.stage.world.unify(**request)
        return self.stage.last(str(self.stage.world.app.publish(done["jobId"])["id"]))

    def _idle(self) -> None:
        """Wait until everything that is stored by now is in the files: a busy machine may need longer than its six seconds."""
        last = f"idle{secrets.token_hex(8)}"
        with TableServiceClient.from_connection_string(connection_string(self.storage.port)) as service:
            service.create_table(last)
        time.sleep(IDLE_S)
        until(lambda: (self.folder / DOCUMENTS).read_text(encoding="utf-8"), lambda documents: last in documents)

    def _kill(self) -> None:
        self.storage.process.kill()
        self.storage.process.wait()

    def _start(self) -> None:
        self.storage = self.stack.enter_context(azurite(self.folder, self.storage.port))


@contextmanager
def stored(folder: Path) -> Iterator[Stored]:
    """Give a linked world on a Table Storage of its own."""
    place = folder / "azurite"
    with ExitStack() as stack:
        storage = stack.enter_context(azurite(place))
        played = stack.enter_context(stage(connection_string(storage.port), folder, PLAIN))
        yield Stored(played, stack, place, storage)


# ---- what may happen ----


def die_idle(world: Stored, seed: int) -> Verdict:
    """Kill the storage six idle seconds after a run: nothing is lost, and the next run is as any other."""
    began, played = time.monotonic(), world.stage
    world.die_idle()
    run = world.unify(**MOVED, seed=seed)
    if run["mode"] != "incremental":
        played.harm.append(f"the next run is {run['mode']}: its state was lost")
    played.judge(run)
    return played.verdict(began, further=1)


def lose_a_run(world: Stored, seed: int) -> Verdict:
    """Kill the storage right after a run, of which it loses all, and let unification go back: a verify run sees it.

    The blocks say what was before that run, and so does the mapping now. An incremental run finds wrong links only in its
    sample of confirmed rows; a verify run compares every row.
    """
    began, played = time.monotonic(), world.stage
    kept = world.lose_what_follows()
    world.unify(**MOVED, seed=seed, snapshot="before")
    world.die_and_lose(kept)
    done = played.world.unify(restore="before")
    if not played.wrong():
        played.harm.append("nothing was lost, so nothing is shown")
    played.last(str(played.world.app.publish(done["jobId"])["id"]))
    played.last(str(played.world.app.request(mode="verify")["id"]))
    played.judge(played.last(str(played.world.app.request(mode="incremental")["id"])))
    return played.verdict(began, further=2)


@dataclass(frozen=True, slots=True)
class Death:
    """One way for the storage to die; `what` is how the page calls it."""

    name: str
    what: str
    play: Callable[[Stored, int], Verdict]


TRIES: Final = 3
DEATHS: Final = (
    Death("storage killed idle", "Table Storage is killed (SIGKILL of Azurite) after six idle seconds", die_idle),
    Death(
        "storage loses a run",
        "Table Storage is killed at once and loses a whole run, and unification goes back: a verify run sets it right",
        lose_a_run,
    ),
)
