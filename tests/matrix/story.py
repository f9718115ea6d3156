"""The main job as a story, and an oracle that reads the sandbox's own rows: each link right, or left alone for a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from linker.core.model import Mode, Run, Status
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import scan
from sandbox.database.collation import guid_key
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.switches.config import SandboxConfig
from tests.matrix.place import TABLES, Place, place

ENDED_WELL = (Status.SUCCESSFUL, Status.WARNINGS)


@dataclass(slots=True)
class Told:
    """What a story came to. `faults` is empty when every act ended as promised."""

    faults: list[str] = field(default_factory=list)
    skipped: str = ""  # why the app linked nothing, where that is the promised end


def play(config: SandboxConfig) -> Told:
    """Play the story in an environment with these switches."""
    told = Told()
    with place(config) as here:
        for name, act in ACTS.items():
            if told.faults or told.skipped:
                break
            before = here.written
            try:
                run = act(here)
            except Exception as error:
                told.faults.append(f"{name}: {error!r}")
                break
            _judge(here, told, name, run, here.written - before)
            if here.changed != here.reported:
                told.faults.append(f"{name}: {here.changed} rows were changed so far, {here.reported} reported")
    return told


# ---- acts ----


def first_link(here: Place) -> Run:
    """Everything is linked."""
    return here.run()


def nothing_changed(here: Place) -> Run:
    """Nothing is written."""
    return here.run()


def some_move(here: Place) -> Run:
    """Rows go to other customers."""
    here.unify(move=0.1, snapshot="before")
    return here.run()


def profile_recreated(here: Place) -> Run:
    """Profiles vanish, and come back under other ids. Nothing in the mapping changes."""
    here.unify(delete_profiles=0.1)
    here.run()
    here.unify(bring_back="new id")
    return here.run()


def rows_removed(here: Place) -> Run:
    """Rows leave the mapping; a full scan finds them."""
    here.unify(drop=0.1)
    here.clock.pass_s(25 * 3_600)
    return here.run()


def restored(here: Place) -> Run:
    """The customer data go back to an earlier state."""
    here.unify(restore="before")
    return here.run(mode=Mode.FULL)


ACTS: Mapping[str, Callable[[Place], Run]] = {
    "first link": first_link,
    "nothing changed": nothing_changed,
    "some move": some_move,
    "profile recreated": profile_recreated,
    "rows removed": rows_removed,
    "restored": restored,
}


# ---- the oracle ----


def _judge(here: Place, told: Told, name: str, run: Run, written: int) -> None:
    if run.status not in ENDED_WELL:
        waits = run.status is Status.RETRYING and here.sandbox.environment.config.customizing  # nothing to do but wait
        if name == "first link" and (run.status is Status.SKIPPED or waits) and not written:
            told.skipped = run.status_detail
            return
        told.faults.append(f"{name}: {run.status}: {run.status_detail}")
        return
    if name == "nothing changed" and written:
        told.faults.append(f"{name}: {written} rows were written")
    counts = run.counts
    if counts.rows_read != counts.outcomes:
        told.faults.append(f"{name}: {counts.rows_read} rows read, {counts.outcomes} accounted for")
    told.faults += [f"{name}: {fault}" for fault in wrong_links(here)]


def wrong_links(here: Place) -> list[str]:
    """Return each link that is not what mapping and profiles say."""
    profiles: dict[str, set[str]] = {}
    for profile, customer in scan(here.database, PROFILES, ["msdynci_customerprofileid", "msdynci_customerid"]):
        if _is_visible(str(profile), here.sandbox.environment.config.hidden_profiles):
            profiles.setdefault(_customer(customer), set()).add(str(profile))
    wanted = {_key(value): _customer(customer) for value, customer in scan(here.database, MAPPING, _MAPPED)}
    found: list[str] = []
    for table, key in TABLES.items():
        for row, link in scan(here.database, table, [key, LOOKUP]):
            customer = wanted.get(_key(row))
            right = profiles.get(customer or "", set()) if customer else {None}
            if link not in right and right:
                found.append(f"{table} {row} is linked to {link}, {customer or 'nothing'} is wanted")
    return found[:5]


def _is_visible(profile: str, hidden: float) -> bool:
    """Return whether the app sees a profile. Rows of a customer whose profile it does not see have to wait."""
    return guid_key(profile) >= round(hidden * 0xFFFF).to_bytes(2)


_MAPPED = ["msdynci_alternatevalue", "msdynci_customerid"]


def _customer(value: object) -> str:
    return str(value).lower().replace("-", "")


def _key(value: object) -> str:
    return str(value).strip("{}() ").lower()
