"""What tests of several kinds share."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from linker.adapters import telemetry
from sandbox.server.azurite import AzuriteError, azurite_tables, find_azurite

# The same few examples each time: a test fails for a change of the code and for nothing else. With HYPOTHESIS_PROFILE=long many
# more, and others each time. No deadline, and no complaint of slow examples: a machine may be slow.
SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("any machine", max_examples=20, derandomize=True, **SLOW)  # type: ignore[arg-type]
settings.register_profile("long", max_examples=500, **SLOW)  # type: ignore[arg-type]
settings.load_profile("long" if os.environ.get("HYPOTHESIS_PROFILE") == "long" else "any machine")


def pytest_sessionstart() -> None:
    """Let the processes that tests start be interrupted: a shell that runs tests in the background makes them ignore Ctrl+C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Connection string of a Table Storage that the tests of this process share.

    State is kept by the address of a sandbox, and an address comes again: see `tests.fakes.stored_state`.
    """
    try:
        find_azurite()
    except AzuriteError as missing:
        pytest.skip(str(missing))
    with azurite_tables() as connection_string:
        yield connection_string


@pytest.fixture
def app_log() -> Iterator[None]:
    """The app's log records, for one test."""
    before, level = logging.getLogRecordFactory(), logging.getLogger(telemetry.LOGGER).level
    telemetry.install()
    yield
    logging.setLogRecordFactory(before)
    logging.getLogger(telemetry.LOGGER).setLevel(level)
