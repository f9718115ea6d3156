"""What these tests share: a sandbox in this process that checks privileges."""

from collections.abc import Iterator

import pytest

from tests.fakes.sandboxed import Sandboxed, sandboxed


@pytest.fixture
def world() -> Iterator[Sandboxed]:
    with sandboxed() as made:
        yield made
