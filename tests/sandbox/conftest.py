"""A composed sandbox over the small sample, called in process, and real servers where sockets matter."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
import uvloop

from sandbox.data.csv_folder import read_folder
from sandbox.data.seed import Dataset
from sandbox.database import Database
from sandbox.identity.accounts import LINKER, ApplicationUser
from sandbox.middleware.http_protocol import ResettableProtocol
from sandbox.runtime import Environment
from sandbox.server.app import API_PATH, INSIGHTS_PATH, Sandbox, compose
from sandbox.switches.config import SandboxConfig

SAMPLE = Path(__file__).parents[1] / "data" / "febrl-sample"
URL = "http://127.0.0.1:8050"

type Load = Callable[..., Sandbox]


def bearer(sandbox: Sandbox, user: ApplicationUser = LINKER, resource: str = URL) -> dict[str, str]:
    """Return the header of a request of this user."""
    return {"Authorization": "Bearer " + sandbox.identity.authority.issue(user, resource, 600)["access_token"]}


def in_process(
    sandbox: Sandbox, path: str = "", user: ApplicationUser = LINKER, *, raises: bool = True
) -> httpx.AsyncClient:
    """Return a client that calls the application directly, below a path. What breaks there `raises`, or is a 500."""
    transport = httpx.ASGITransport(sandbox.app, raise_app_exceptions=raises)
    return httpx.AsyncClient(transport=transport, base_url=URL + path, headers=bearer(sandbox, user))


@pytest.fixture
def load() -> Iterator[Load]:
    """Give sandboxes in memory that hold a data set."""
    with ExitStack() as stack:

        def load(dataset: Dataset, **switches: object) -> Sandbox:
            config = SandboxConfig(**{"stale_s": 0.0, **switches})  # type: ignore[arg-type]
            database = Database(config=config)
            stack.callback(database.close)
            made = compose(Environment(database, config, URL))
            made.load(dataset)
            return made

        yield load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the sample, to be changed."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "data"))


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    return load(read_folder(SAMPLE))


@pytest.fixture
def api(sandbox: Sandbox) -> httpx.AsyncClient:
    return in_process(sandbox, API_PATH)


@pytest.fixture
def insights(sandbox: Sandbox) -> httpx.AsyncClient:
    return in_process(sandbox, f"{INSIGHTS_PATH}/instances/{sandbox.instance_id}")


@pytest.fixture
def admin(sandbox: Sandbox) -> httpx.AsyncClient:
    return in_process(sandbox, "/sandbox")


@contextmanager
def listening(sandbox: Sandbox) -> Iterator[str]:
    """Serve on a free port of this machine, in a thread: only its answers may be read until the end of the block."""
    config = uvicorn.Config(sandbox.app, port=0, http=ResettableProtocol, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(), loop_factory=uvloop.new_event_loop))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
