"""What these tests share: an app over customers with one row and with several."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.app import FakeApp


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    """Three contacts of three customers, and two more of the first one, before any run."""
    app = make_app()
    for number in (4, 5):
        app.world.contact(number, "c1")
    return app
