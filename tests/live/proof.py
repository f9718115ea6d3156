"""One proof from its first look to the last thing removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import httpx

from linker.dataverse import Dataverse
from linker.errors import ConfigurationError, LinkerError, ThrottledError, UnknownOutcomeError
from linker.verdict import CUSTOMIZATION_LOCK
from tests.live import columns, ground, insights, reading, surroundings, writing
from tests.live.check import Check, Finding, Unanswered, Verdict
from tests.live.own import Own
from tests.live.site import Pause, Site, new_tag, patiently

ROWS = 5_001  # one more than a page holds (dataverse.md 5.1)
CHECKS = tuple(chain(reading.CHECKS, writing.CHECKS, columns.CHECKS, insights.CHECKS, surroundings.CHECKS))
# Types of organization on which nobody depends: sandboxes, trials, developers' own (OrganizationType in Microsoft's reference).
HARMLESS = frozenset(
    {"CustomerTest", "CustomerFreeTest", "CustomerPreview", "TestDrive", "EmailTrial", "Developer", "Trial"}
)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for. `certain` overrides the look for production; `only` are names of checks, () is all."""

    rows: int = ROWS
    certain: bool = False
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The environment that is asked."""

    url: str
    name: str
    version: str
    kind: str  # OrganizationType, "" where it is not told

    @property
    def is_harmless(self) -> bool:
        """Whether it is known not to be somebody's production."""
        return self.kind in HARMLESS


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a proof."""

    place: Place
    findings: tuple[Finding, ...]

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        """Return the findings of one verdict."""
        return tuple(finding for finding in self.findings if finding.verdict is verdict)

    @property
    def is_good(self) -> bool:
        """Whether nothing asks anything of anybody."""
        return not any(finding.counts for finding in self.findings)


async def look(dataverse: Dataverse) -> Place:
    """Return what environment it is. Writes nothing."""
    kind = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'"
    path = f"RetrieveCurrentOrganization(AccessType=@p1)?@p1={kind}"
    detail = (await dataverse.get(path))["Detail"]
    name, version = str(detail["FriendlyName"]), str(detail["OrganizationVersion"])
    return Place(dataverse.connection.url, name, version, str(detail.get("OrganizationType") or ""))


def refuse_production(place: Place, order: Order) -> None:
    """Raise ConfigurationError for what may be somebody's production, unless somebody is certain."""
    if not (place.is_harmless or order.certain):
        kind = f"is of type '{place.kind}'" if place.kind else "does not tell its type"
        raise ConfigurationError(
            f"'{place.name}' ({place.url}) {kind}, so it may be somebody's production. Nothing was written. A proof makes and "
            "deletes tables there; use a sandbox or developer environment, or say --yes-this-environment."
        )


async def prove(
    dataverse: Dataverse,
    order: Order,
    say: Callable[[str], None],
    *,
    stranger: Dataverse | None = None,
    pause: Pause = asyncio.sleep,
) -> Report:
    """Ask every check and remove everything again, whatever happens. Raises what made it impossible to ask."""
    place = await look(dataverse)
    refuse_production(place, order)
    await clean(dataverse, say, pause)
    own = Own(new_tag())
    say(f"In '{place.name}' ({place.url}) this makes, and removes in the end:")
    for thing in (*own.things, f"{order.rows:,} rows in the first table, some in the second"):
        say(f"  {thing}")
    try:
        async with _listening(dataverse.connection.client) as refusals:
            made = await ground.make(dataverse, own, order.rows, pause)
            site = replace(made, stranger=stranger, refusals=refusals)
            return Report(place, tuple([await _answered(check, site, say) for check in _chosen(order)]))
    finally:
        say(f"Removing what was made. If that fails, 'make live ARGS=--clean' removes it ('{own.publisher}').")
        await ground.remove(dataverse, own, pause, say)


async def clean(dataverse: Dataverse, say: Callable[[str], None], pause: Pause = asyncio.sleep) -> None:
    """Remove what this user's earlier proofs left; name what others left, which may be at work."""
    mine, others = await ground.leftovers(dataverse, (await dataverse.user()).lower())
    for own in mine:
        say(f"An earlier proof left '{own.publisher}'.")
        await ground.remove(dataverse, own, pause, say)
    for own in others:
        say(f"Somebody else's proof '{own.publisher}' is there; it is left alone.")


def _chosen(order: Order) -> tuple[Check, ...]:
    return tuple(check for check in CHECKS if not order.only or check.name in order.only)


async def _answered(check: Check, site: Site, say: Callable[[str], None]) -> Finding:
    """Return what the environment says to one check; a refusal that the check does not expect is a difference."""
    try:
        observed = await patiently(partial(check.ask, site), site.pause)
        verdict = Verdict.SAME if observed == check.expected else Verdict.DIFFERENT
    except (Unanswered, ThrottledError, UnknownOutcomeError) as error:
        observed, verdict = str(error), Verdict.UNANSWERED
    except LinkerError as error:  # a passing fault that did not pass is a difference too, unless others caused it
        busy = CUSTOMIZATION_LOCK in str(error)
        observed, verdict = str(error)[:300], Verdict.UNANSWERED if busy else Verdict.DIFFERENT
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # what the linker reads is not there
        observed, verdict = f"an answer of another shape: {error!r}"[:300], Verdict.DIFFERENT
    say(f"{verdict:>14}  {check.name}")
    return Finding(check, observed, verdict)


@asynccontextmanager
async def _listening(client: httpx.AsyncClient) -> AsyncIterator[list[str | None]]:
    """Give the list that every 429 of a client adds its Retry-After to."""
    heard: list[str | None] = []

    async def note(answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            heard.append(answer.headers.get("Retry-After"))

    hooks = client.event_hooks
    client.event_hooks = {**hooks, "response": [*hooks["response"], note]}
    try:
        yield heard
    finally:
        client.event_hooks = hooks
