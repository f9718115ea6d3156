"""Writes of the tests of the pace: a time to start from, and many writes of one speed."""

from linker.core.throttling.pace import (
    after_write,
)
from linker.core.throttling.width import Control, Write

NOW = 1_000_000.0


def written(control: Control, row_s: float, *, writes: int, at_s: float = NOW) -> Control:
    """Return the state after so many writes, each row of which takes so long at any width."""
    for _ in range(writes):
        seconds = control.batch * row_s
        at_s += seconds / control.width
        control = after_write(control, Write(max(at_s, control.at_s) + seconds, seconds, control.batch, control.width))
    return control
