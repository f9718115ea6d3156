"""What these tests share: apps over three contacts, and the stores that state can stand on."""

from tests.fakes.fixtures import make_app, tables

__all__ = ["make_app", "tables"]
