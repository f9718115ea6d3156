"""Unexpected input. With HYPOTHESIS_PROFILE=long more of it."""

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
QUICK = settings(
    max_examples=2_000 if IS_LONG else 40,
    derandomize=not IS_LONG,
    deadline=timedelta(minutes=5),
    suppress_health_check=[HealthCheck.too_slow],
)
