"""One proof from its first look at the environment to the last thing removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from urllib.parse import urlsplit

import httpx

from linker.adapters.dataverse import Dataverse, lookup_column
from linker.core.errors import ConfigurationError, LinkerError, ThrottledError, UnknownOutcomeError
from linker.core.throttling.error_classification import CUSTOMIZATION_LOCK
from tests.live import columns, ground, insights, reading, surroundings, writing
from tests.live.check import Check, Finding, Unanswered, Verdict
from tests.live.own import Own
from tests.live.probes import binding, elastic, watching
from tests.live.probes.asking import READING, Asked, ask_probes, read_probes
from tests.live.probes.binding import WritingProbe
from tests.live.probes.wire import reading_only
from tests.live.site import Pause, Site, new_tag, patiently

ROWS = 5_001  # one more than a page holds (docs/reference/dataverse.md 5.1)
CHECKS = tuple(chain(reading.CHECKS, writing.CHECKS, columns.CHECKS, insights.CHECKS, surroundings.CHECKS))
WRITING: tuple[WritingProbe, ...] = (*binding.WRITING, *elastic.WRITING, *watching.WRITING)
WRITING_NAMES = frozenset(probe.name for probe in WRITING) | {check.name for check in CHECKS}
NAMES = WRITING_NAMES | {probe.name for probe in READING}
# Types of organization without production data: sandboxes, trials, developers' own (OrganizationType in Microsoft's reference).
HARMLESS = frozenset(
    {"CustomerTest", "CustomerFreeTest", "CustomerPreview", "TestDrive", "EmailTrial", "Developer", "Trial"}
)


@dataclass(frozen=True, slots=True)
class Order:
    """What the caller asked for. Without `disposable` a proof sends GET requests alone.

    `host` confirms an environment that does not look disposable. `only` are names of probes and checks, () is all.
    `watch_minutes` is how long to look at a unification that you start.
    """

    rows: int = ROWS
    disposable: bool = False
    host: str = ""
    only: tuple[str, ...] = ()
    watch_minutes: int = 0

    def includes(self, name: str) -> bool:
        """Whether a probe or check is wanted."""
        return not self.only or name in self.only

    @property
    def writes(self) -> bool:
        """Whether tables of our own are made."""
        return self.disposable and any(map(self.includes, WRITING_NAMES))


@dataclass(frozen=True, slots=True)
class Place:
    """The environment that is asked."""

    url: str
    name: str
    version: str
    kind: str  # OrganizationType, "" where the environment does not show it

    @property
    def looks_disposable(self) -> bool:
        """Whether the environment says that it is a sandbox, a trial, or a developer's."""
        return self.kind in HARMLESS

    @property
    def host(self) -> str:
        """The host name, in lower case."""
        return str(urlsplit(self.url).hostname or "").lower()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a proof. `day` is its date in UTC."""

    place: Place
    day: str
    asked: tuple[Asked, ...] = ()
    findings: tuple[Finding, ...] = ()
    wrote: bool = False

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        """Return the findings of one verdict."""
        return tuple(finding for finding in self.findings if finding.verdict is verdict)

    @property
    def is_good(self) -> bool:
        """Whether nothing here needs action: no check differs, and the sandbox can play every answer."""
        unknown = any(result.is_unknown_to_the_sandbox for one in self.asked for result in one.results)
        return not unknown and not any(finding.counts for finding in self.findings)


async def look(dataverse: Dataverse) -> Place:
    """Return what environment it is. Writes nothing."""
    kind = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'"
    path = f"RetrieveCurrentOrganization(AccessType=@p1)?@p1={kind}"
    detail = (await dataverse.get(path))["Detail"]
    name, version = str(detail["FriendlyName"]), str(detail["OrganizationVersion"])
    return Place(dataverse.connection.url, name, version, str(detail.get("OrganizationType") or ""))


def refuse_other_environments(place: Place, order: Order) -> None:
    """Raise ConfigurationError unless the environment looks disposable or the order names its host."""
    named = order.host.strip().lower()
    if named and named != place.host:
        raise ConfigurationError(
            f"--confirm-host names '{named}', but LINKER_DATAVERSE_URL leads to '{place.host}'. Nothing was written. "
            "Correct whichever is wrong."
        )
    if not (place.looks_disposable or named):
        kind = f"is of type '{place.kind}'" if place.kind else "does not show its type"
        raise ConfigurationError(
            f"'{place.name}' {kind}, so it may be in production. Nothing was written. Use a sandbox or developer "
            f"environment, or confirm with --confirm-host {place.host}."
        )


async def prove(
    dataverse: Dataverse,
    order: Order,
    say: Callable[[str], None],
    *,
    stranger: Dataverse | None = None,
    pause: Pause = asyncio.sleep,
) -> Report:
    """Ask every probe and, with `order.disposable`, every check; remove what was made, also after a failure.

    Raises what made it impossible to ask.
    """
    client = dataverse.connection.client
    guard: AbstractAsyncContextManager[None] = nullcontext() if order.writes else reading_only(client)
    async with guard:
        place = await look(dataverse)
        if order.writes:
            refuse_other_environments(place, order)
        say(f"Asking '{place.name}' ({place.url}) with GET requests alone.")
        probes = [probe for probe in READING if order.includes(probe.name)]
        asked = await read_probes(dataverse.connection, probes, say, pause)
        report = Report(place, f"{datetime.now(UTC):%Y-%m-%d}", asked)
        if not order.writes:
            say("Nothing was written. The report lists what --disposable would write.")
            return report
        findings, written = await _check(dataverse, place, order, say, stranger, pause)
        return replace(report, asked=asked + written, findings=findings, wrote=True)


async def _check(  # what a proof consists of
    dataverse: Dataverse,
    place: Place,
    order: Order,
    say: Callable[[str], None],
    stranger: Dataverse | None,
    pause: Pause,
) -> tuple[tuple[Finding, ...], tuple[Asked, ...]]:
    """Make tables of our own and ask what needs them. What was made is removed, also after a failure or Ctrl-C."""
    await clean(dataverse, say, pause)
    own = Own(new_tag(), await lookup_column.base_language(dataverse))
    say(f"In '{place.name}' ({place.url}) this makes, and removes in the end:")
    for thing in (*own.things, f"{order.rows:,} rows in the first table, some in the second"):
        say(f"  {thing}")
    try:
        async with _listening(dataverse.connection.client) as refusals:
            made = await ground.make(dataverse, own, order.rows, pause)
            site = replace(made, stranger=stranger, refusals=refusals, watch_minutes=order.watch_minutes)
            findings = [await _answer(check, site, say) for check in CHECKS if order.includes(check.name)]
            return tuple(findings), await _ask_writing(site, order, say)
    finally:
        say(f"Removing what was made. If that fails, 'make live ARGS=--clean' removes it ('{own.publisher}').")
        await ground.remove(dataverse, own, pause, say)


async def _ask_writing(site: Site, order: Order, say: Callable[[str], None]) -> tuple[Asked, ...]:
    """Ask the probes that write, one after the other; those that look at a unification look at the same one."""
    connection = site.dataverse.connection
    bound, watched = (
        [probe.on(site) for probe in probes if order.includes(probe.name)]
        for probes in ((*binding.WRITING, *elastic.WRITING), watching.WRITING)
    )
    asked = await ask_probes(connection, bound, say, site.pause)
    if watched and order.watch_minutes:
        say(f"Start a unification now. This looks at it for {order.watch_minutes} minutes.")
    together = await asyncio.gather(*(ask_probes(connection, [probe], say, site.pause) for probe in watched))
    return asked + tuple(chain.from_iterable(together))


async def clean(dataverse: Dataverse, say: Callable[[str], None], pause: Pause = asyncio.sleep) -> None:
    """Remove what this user's earlier proofs left; name what others left, which may still be in use."""
    mine, others = await ground.leftovers(dataverse, (await dataverse.user()).lower())
    for own in mine:
        say(f"An earlier proof left '{own.publisher}'.")
        await ground.remove(dataverse, own, pause, say)
    for own in others:
        say(f"Another user's proof '{own.publisher}' is there; it is left alone.")


async def _answer(check: Check, site: Site, say: Callable[[str], None]) -> Finding:
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
