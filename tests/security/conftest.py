"""What the tests of security share: one sandbox, and the app behind function keys and behind App Service Authentication."""

from collections.abc import Iterator

import httpx
import pytest

from sandbox.demo.children import Child, host_process, sandbox_process
from tests.fakes.stored_state import forget_environment

KEY_SETTINGS = {"LOCAL_FUNCTION_KEY": "a-key-of-the-tests"}
SIGN_IN_SETTINGS = {"WEBSITE_AUTH_ENABLED": "true"}


@pytest.fixture(scope="package")
def sandbox(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a small sandbox said when it was ready."""
    rows = ["--contacts", "20", "--leads", "0", "--members", "0", "--no-measures", "--no-azurite"]
    with sandbox_process(rows, tmp_path_factory.mktemp("sandbox")) as child:
        forget_environment(azurite, child.ready["dataverse"])
        yield {**child.ready, "tables": azurite}


@pytest.fixture(scope="package")
def keyed(sandbox: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A host that asks for function keys; no user signs in."""
    with host_process(sandbox, KEY_SETTINGS, tmp_path_factory.mktemp("keyed"), keys=True) as child:
        yield child


@pytest.fixture(scope="package")
def authenticated(sandbox: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A host behind App Service Authentication, whose headers the tests set as the platform does."""
    with host_process(sandbox, SIGN_IN_SETTINGS, tmp_path_factory.mktemp("authenticated")) as child:
        yield child


@pytest.fixture(scope="module")
def keyed_client(keyed: Child) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=keyed.ready["url"], timeout=120) as made:
        yield made


@pytest.fixture(scope="module")
def client(authenticated: Child) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=authenticated.ready["url"], timeout=120) as made:
        yield made
