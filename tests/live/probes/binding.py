"""W1 and W2: a relationship to the profile table and the ways to bind a link, on tables of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from linker.adapters.dataverse import lookup_column
from linker.core import odata
from linker.core.names import PROFILE_KEY, PROFILE_TABLE
from tests.live import ground
from tests.live.check import Unanswered
from tests.live.probes.points import Point, Probe, Result
from tests.live.probes.scene import LABEL, Row, Scene, profile_id
from tests.live.probes.wire import ANNOTATIONS, Answer, Asker, Maker
from tests.live.site import Site

PARTITION = "linkerlive"  # written where a partition of our own is tried


@dataclass(frozen=True, slots=True)
class WritingProbe:
    """A probe that writes into tables of our own. `writes` says what it makes; it is removed with these tables."""

    name: str
    title: str
    points: tuple[Point, ...]
    writes: str
    ask: Callable[[Maker, Scene, Site], Awaitable[Sequence[Result]]]

    def on(self, site: Site) -> Probe:
        """Return the probe for one site."""

        async def ask(asker: Asker, scene: Scene) -> Sequence[Result]:
            maker = Maker(asker.connection, asker.pause, asker.exchanges, asker.values, asker.throttles)
            return await self.ask(maker, scene, site)

        return Probe(self.name, self.title, self.points, ask, self.writes)


@dataclass(frozen=True, slots=True)
class Link:
    """A lookup of the first of our tables to an elastic table."""

    site: Site
    target: str  # logical name
    entity_set: str
    key: str
    column: str
    navigation: str = ""
    has_pid: bool = False

    @property
    def value(self) -> str:
        """The property that holds the id."""
        return f"_{self.column}_value"

    def plain(self, target: str) -> dict[str, Any]:
        """Return the update that binds a row by its id."""
        return {f"{self.navigation}@odata.bind": f"/{self.entity_set}({target})"}

    def keyed(self, target: str, partition: str) -> dict[str, Any]:
        """Return the update that binds a row by its id and partition."""
        key = f"{self.key}={target},partitionid={odata.literal(partition)}"
        return {f"{self.navigation}@odata.bind": f"/{self.entity_set}({key})"}

    async def create(self, make: Maker, delete: str) -> Answer:
        """Send the relationship with one behavior on delete, and NoCascade otherwise."""
        body = lookup_column.definition(self.site.rows, delete, self.site.own.language)
        body |= {
            "SchemaName": f"{self.site.own.row}_{self.column}",
            "ReferencedEntity": self.target,
            "ReferencedAttribute": self.key,
            "Lookup": {**body["Lookup"], "SchemaName": self.column},
        }
        headers = {"MSCRM.SolutionUniqueName": self.site.own.publisher}
        return await make.send("POST", "RelationshipDefinitions", body, headers)

    async def remove(self, make: Maker) -> Answer:
        """Delete the relationship and the lookup with it."""
        name = odata.literal(f"{self.site.own.row}_{self.column}")
        return await make.send("DELETE", f"RelationshipDefinitions(SchemaName={name})")

    async def write(self, make: Maker, row: str, body: Mapping[str, Any]) -> Answer:
        """Update one of our rows; a row that does not exist is not created."""
        return await make.send("PATCH", f"{self.site.rows.entity_set}({row})", body, {"If-Match": "*"})

    async def read(self, ask: Asker, row: str) -> Answer:
        """Read one of our rows with its link, its label, and its partition."""
        select = f"{self.value},{self.column}pid" if self.has_pid else self.value
        return await ask.get(f"{self.site.rows.entity_set}({row})" + odata.query(select=select), prefer=ANNOTATIONS)


def profile_link(site: Site, scene: Scene) -> Link:
    """Return the lookup to the vendor's profile table that W1 makes and W2 uses."""
    definition = scene.definitions[PROFILE_TABLE]
    return Link(site, PROFILE_TABLE, str(definition["EntitySetName"]), PROFILE_KEY, f"{site.own.prefix}_vendor")


CASCADE = Point(
    "cascade-refusal",
    "3",
    "What becomes of a relationship to the profile table with Delete: RemoveLink?",
    "cascade_refusal",
    {f"refused: 400 {code}": code for code in ("0x80047014", "0x80048d0b", "0x80040216")},
)
NO_CASCADE = Point("no-cascade", "3", "What becomes of that relationship with NoCascade throughout?")
COMPANION = Point("new-partition-column", "3", "Does the new lookup get a column for the partition?")


async def ask_cascade(make: Maker, scene: Scene, site: Site) -> Sequence[Result]:
    link = profile_link(site, scene)
    refused = await link.create(make, "RemoveLink")
    if refused.is_ok:
        await link.remove(make)
    made = await link.create(make, "NoCascade")
    if refused.is_ok and not made.is_ok:  # a standard table: W2 uses the relationship that it takes
        await link.create(make, "RemoveLink")
    names = await _columns_of(make, site)
    return (
        CASCADE.settle(describe_outcome(refused), refused.text),
        NO_CASCADE.settle(describe_outcome(made), made.text),
        COMPANION.settle("yes" if f"{link.column}pid" in names else "no")
        if link.column in names
        else COMPANION.leave_open("The lookup could not be made."),
    )


def describe_outcome(answer: Answer) -> str:
    """Return 'accepted', or how a write was refused."""
    return "accepted" if answer.is_ok else f"refused: {answer.refusal}"


async def _columns_of(make: Maker, site: Site) -> set[str]:
    path = f"EntityDefinitions(LogicalName={odata.literal(site.own.row)})/Attributes"
    answer = await make.get(path + odata.query(select="LogicalName"), headers={"Consistency": "Strong"})
    return {str(row["LogicalName"]) for row in answer.rows}


PLAIN_BIND = Point("bind-by-id", "3", "What is a link that was bound by the profile's id?")
KEY_BIND = Point("bind-by-id-and-partition", "3", "What is a link that was bound by id and partition?")
MISSING_BIND = Point(
    "bind-to-a-missing-profile",
    "3",
    "What becomes of a link to a profile that does not exist?",
    "bind_missing",
    {"accepted": "accept", "refused": "refuse"},
)
WRONG_BIND = Point("bind-with-the-wrong-partition", "3", "What becomes of a link with the wrong partition?")
PID_WRITE = Point("partition-column-written-alone", "3", "Can the partition column be written alone?")
EMPTIED = Point("emptied-link", "3", "What holds the partition column after the link is emptied?")
MULTIPLE = Point("update-multiple-with-both", "3", "Does UpdateMultiple take both ways to bind?")


async def ask_binds(make: Maker, scene: Scene, site: Site) -> Sequence[Result]:
    if not scene.profiles:
        raise Unanswered("There is no profile that this account can read: run a unification.")
    link = await read_names(make, profile_link(site, scene))
    target = profile_id(scene.profiles[0])
    partition, missing = str(scene.profiles[0].get("partitionid") or target), str(uuid4())
    rows = await site.new_rows(6)
    return (
        PLAIN_BIND.settle(await bind(make, link, rows[0], link.plain(target), target)),
        KEY_BIND.settle(await bind(make, link, rows[1], link.keyed(target, partition), target)),
        MISSING_BIND.settle(describe_missing(await bind(make, link, rows[2], link.plain(missing), missing))),
        WRONG_BIND.settle(await bind(make, link, rows[3], link.keyed(target, missing), target)),
        PID_WRITE.settle(await bind(make, link, rows[0], {f"{link.column}pid": PARTITION}, target)),
        EMPTIED.settle(await bind(make, link, rows[1], {f"{link.navigation}@odata.bind": None}, target)),
        MULTIPLE.settle(await _bind_several(make, link, rows[4:], target, partition)),
    )


def describe_missing(said: str) -> str:
    """Return whether a link to nothing was taken, and what it then shows."""
    return said if said.startswith("refused") else f"accepted: {said}"


async def read_names(make: Maker, link: Link) -> Link:
    """Return the link with its names from metadata. Raises Unanswered when the lookup is missing."""
    names = await _columns_of(make, link.site)
    navigation = await ground.navigation(link.site.dataverse, link.site.rows, link.column)
    if navigation is None:
        raise Unanswered(f"The lookup to {link.target} could not be made.")
    pid = f"{link.column}pid"
    shown = await make.get(link.site.rows.entity_set + odata.query(select=pid, top=1)) if pid in names else None
    return replace(link, navigation=navigation, has_pid=shown is not None and shown.is_ok)


async def bind(make: Maker, link: Link, row: str, body: Mapping[str, Any], target: str) -> str:
    written = await link.write(make, row, body)
    if not written.is_ok:
        return describe_outcome(written)
    return describe_link(await link.read(make, row), link, target)


async def _bind_several(make: Maker, link: Link, rows: Sequence[str], target: str, partition: str) -> str:
    site = link.site
    kind = f"Microsoft.Dynamics.CRM.{site.own.row}"
    bodies = (link.plain(target), link.keyed(target, partition))
    targets = [{"@odata.type": kind, site.rows.primary_id: row, **body} for row, body in zip(rows, bodies, strict=True)]
    path = f"{site.rows.entity_set}/Microsoft.Dynamics.CRM.UpdateMultiple"
    written = await make.send("POST", path, {"Targets": targets})
    if not written.is_ok:
        return describe_outcome(written)
    found = [describe_link(await link.read(make, row), link, target) for row in rows]
    return " and ".join(dict.fromkeys(found))


def describe_link(answer: Answer, link: Link, target: str) -> str:
    """Return what a row shows after a write: link, label, and partition."""
    if not answer.rows:
        return f"accepted, reading it back is {describe_outcome(answer)}"
    row = answer.rows[0]
    value = row.get(link.value)
    is_there = "empty" if value is None else "linked" if str(value).lower() == target.lower() else "another link"
    label = "with a label" if row.get(link.value + LABEL) else "without a label"
    parts = [is_there if value is None else f"{is_there} {label}", *([_pid(row, link, target)] if link.has_pid else [])]
    return ", ".join(parts)


def _pid(row: Row, link: Link, target: str) -> str:
    value = row.get(f"{link.column}pid")
    known = {
        None: "null",
        target: "the row's id",
        target.upper(): "the row's id in upper case",
        PARTITION: "as written",
    }
    return f"partition {known.get(value, 'another value')}"


WRITING = (
    WritingProbe(
        "W1",
        "Relationship to the profile table",
        (CASCADE, NO_CASCADE, COMPANION),
        "A relationship from a table of our own to msdynci_customerprofile, with its lookup column.",
        ask_cascade,
    ),
    WritingProbe(
        "W2",
        "Ways to bind a link",
        (PLAIN_BIND, KEY_BIND, MISSING_BIND, WRONG_BIND, PID_WRITE, EMPTIED, MULTIPLE),
        "Links of our own rows to a profile that exists and to one that does not. No profile is written.",
        ask_binds,
    ),
)
