"""Search every state of a model, the shortest schedules first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable


def search[S: Hashable](
    start: S, moves: Callable[[S], Iterable[tuple[str, S]]], wrong: Callable[[S], str], limit: int
) -> tuple[int, list[str], str]:
    """Return the number of states, and the shortest schedule that breaks the promise with what it broke, if any.

    `moves` gives the named steps from a state, `wrong` what a state breaks or an empty text. Raises SystemExit when there are
    more than `limit` states.
    """
    came: dict[S, tuple[S, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if broken := wrong(state):
            return len(came), _schedule(came, state), broken
        for name, following in moves(state):
            if following not in came:
                came[following] = (state, name)
                queue.append(following)
                if len(came) > limit:
                    raise SystemExit("too many states")
    return len(came), [], ""


def _schedule[S](came: dict[S, tuple[S, str] | None], state: S) -> list[str]:
    """Return the names of the steps that lead from the start to a state."""
    names = []
    while (step := came[state]) is not None:
        state, name = step
        names.append(name)
    return names[::-1]
