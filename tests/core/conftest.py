"""Tests of the core take seconds: properties look at few examples each time, and at others the next time."""

from hypothesis import settings

settings.register_profile("unit", max_examples=20, deadline=None)
settings.load_profile("unit")
