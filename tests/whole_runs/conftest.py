"""What these tests share: apps over three contacts."""

from tests.fakes.fixtures import make_app

__all__ = ["make_app"]
