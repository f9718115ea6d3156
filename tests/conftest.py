"""What tests of several kinds share."""

from collections.abc import Iterator

import pytest

from sandbox.azurite import AzuriteError, azurite_tables, find_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Connection string of a Table Storage that the tests of this process share. State is kept by the address of a sandbox."""
    try:
        find_azurite()
    except AzuriteError as missing:
        pytest.skip(str(missing))
    with azurite_tables() as connection_string:
        yield connection_string
