from collections.abc import Iterator

import pytest

from tests.sandbox.host.running import Running, running


@pytest.fixture(scope="session")
def host() -> Iterator[Running]:
    """One host with the app of every binding, shared: tests use instance ids of their own."""
    with running("every_binding") as started:
        yield started
