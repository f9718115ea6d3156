"""What these tests share: apps over three contacts, as the shell tests make them."""

from tests.shell.conftest import make_app

__all__ = ["make_app"]
