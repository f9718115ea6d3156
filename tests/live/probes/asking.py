"""Asks every probe of one environment and keeps what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from linker.adapters.dataverse import Connection
from linker.core.errors import LinkerError
from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
from tests.live.check import Unanswered
from tests.live.probes import comparison, cosmos, joins, links, metadata, paging, rows, signals
from tests.live.probes.points import Probe, Result
from tests.live.probes.privacy import hide_values
from tests.live.probes.scene import SOURCES, Scene, survey
from tests.live.probes.wire import Asker, Exchange, reading_only
from tests.live.site import Pause

READING: tuple[Probe, ...] = tuple(
    sorted(
        chain(
            metadata.PROBES,
            rows.PROBES,
            joins.PROBES,
            comparison.PROBES,
            paging.PROBES,
            cosmos.PROBES,
            signals.PROBES,
            links.PROBES,
        ),
        key=lambda probe: int(probe.name[1:]),
    )
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One probe, what it settled, and the requests that it sent.

    `throttles` are the Retry-After headers of answers with status 429, None for one that came without.
    """

    probe: Probe
    results: tuple[Result, ...]
    exchanges: tuple[Exchange, ...]
    throttles: tuple[str | None, ...] = ()


async def read_probes(
    connection: Connection, probes: Sequence[Probe], say: Callable[[str], None], pause: Pause = asyncio.sleep
) -> tuple[Asked, ...]:
    """Ask probes that only read. No request but GET leaves this machine. Raises what `ask_probes` raises."""
    async with reading_only(connection.client):
        return await ask_probes(connection, probes, say, pause)


async def ask_probes(
    connection: Connection, probes: Sequence[Probe], say: Callable[[str], None], pause: Pause = asyncio.sleep
) -> tuple[Asked, ...]:
    """Ask some probes, and remove from the answers what rows brought.

    Raises what the first look at the environment raises: afterwards a probe that fails leaves its points open.
    """
    asked: list[Asked] = []
    values: set[str] = set()
    first = Asker(connection, pause, values=values)
    scene = await _look(first) if probes else None
    for probe in probes:
        ask = Asker(connection, pause, values=values)
        results = await ask_one(ask, probe, scene)
        say(f"{_summary(results):>14}  {probe.name} {probe.title}")
        asked.append(Asked(probe, tuple(results), tuple(ask.exchanges), tuple(ask.throttles)))
    asked[:1] = [replace(one, exchanges=(*first.exchanges, *one.exchanges)) for one in asked[:1]]
    return tuple(_without_values(one, values - {*SOURCES, PROFILE_TABLE, MAPPING_TABLE}) for one in asked)


async def _look(ask: Asker) -> Scene | str:
    try:
        return await survey(ask)
    except Unanswered as why:
        return str(why)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"The definitions of tables have another shape than documented ({type(error).__name__})."


async def ask_one(ask: Asker, probe: Probe, scene: Scene | str | None) -> Sequence[Result]:
    """Return what a probe settles; every point is open where it cannot be asked, with the reason."""
    if not isinstance(scene, Scene):
        return [point.leave_open(scene or "") for point in probe.points]
    try:
        results = await probe.ask(ask, scene)
        return [result.without_switch for result in results] if scene.is_standard else results
    except Unanswered as why:
        reason = str(why)
    except LinkerError as error:
        reason = f"No answer: {type(error).__name__}: {str(error)[:200]}"
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"The answer has another shape than documented ({type(error).__name__})."
    return [point.leave_open(reason) for point in probe.points]


def _summary(results: Sequence[Result]) -> str:
    return f"{sum(result.settled for result in results)} of {len(results)} settled"


def _without_values(asked: Asked, values: set[str]) -> Asked:
    """Return what was asked without any text that rows brought."""
    return replace(
        asked,
        results=tuple(replace(one, evidence=hide_values(one.evidence, values)) for one in asked.results),
        exchanges=tuple(replace(one, text=hide_values(one.text, values)) for one in asked.exchanges),
    )
