"""Whatever happens in whatever order: after at most two quiet runs every link is what mapping and profiles say.

The reference model is `Linked.must_be`. Longer: HYPOTHESIS_PROFILE=long, or `make stateful`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from linker.core.model import Mode, Run, Status
from sandbox.schema.insights_tables import MAPPING, PROFILES
from tests.model_checking.link_machine import CONTACT, KEY, Linking, contact_id, mapped, profile

CONTACTS, CUSTOMERS, STRANGER = range(1, 9), range(1, 5), 99
ENDED_WELL = (Status.SUCCESSFUL, Status.WARNINGS)
contacts, customers = st.sampled_from(CONTACTS), st.sampled_from(CUSTOMERS)
modes = st.sampled_from(Mode)
effects = st.integers(0, 90)


class Linked(RuleBasedStateMachine):
    """Contact 0 belongs to customer 0 for ever, so that the mapping is never empty; no other contact has the stranger."""

    def __init__(self) -> None:
        super().__init__()
        self.linking = Linking()
        self.mapping: dict[int, int] = {}
        self.profiles: dict[int, int] = {}  # customer -> generation of the profile's id
        self.kept: dict[int, int] = {}
        self.there: set[int] = set()
        self.by_vendor: set[int] = set()  # the app may not know of their links
        self.drifted: set[int] = set()  # others wrote their links since every row was compared: only verify sees that
        self.interrupted = False

    def teardown(self) -> None:
        try:
            self.quiet()
        finally:
            self.linking.close()

    @initialize(linked=st.booleans())
    def begin(self, linked: bool) -> None:
        for number in (0, *CUSTOMERS, STRANGER):
            self.come_back(number, generation=1)
        for number in (0, *CONTACTS):
            self._contact(number)
            self.move(number, min(number, CUSTOMERS[-1]))
        if linked:
            self.run(Mode.INCREMENTAL)

    # ---- unification ----

    @rule(contact=contacts, customer=customers)
    def move(self, contact: int, customer: int) -> None:
        """The mapping names a customer for a contact, for the first time or another one."""
        row = mapped(contact, customer)
        changed = {name: row[name] for name in ("msdynci_alternatekeyid", "msdynci_customerid")}
        there = contact in self.mapping
        self.linking.change("update" if there else "insert", MAPPING, changed if there else row)
        self.mapping[contact] = customer

    @precondition(lambda self: len(self.mapping) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A contact leaves the mapping."""
        contact = data.draw(st.sampled_from(sorted(self.mapping.keys() - {0})))
        self.linking.change("delete", MAPPING, mapped(contact, self.mapping.pop(contact)))

    @rule()
    def keep(self) -> None:
        """Remember the mapping as it is."""
        self.kept = dict(self.mapping)

    @rule()
    def go_back(self) -> None:
        """The mapping is again what it was."""
        for contact in self.mapping.keys() - self.kept.keys() - {0}:
            self.linking.change("delete", MAPPING, mapped(contact, self.mapping.pop(contact)))
        for contact, customer in self.kept.items():
            self.move(contact, customer)

    @precondition(lambda self: len(self.profiles) > 2)
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        """A profile is deleted, and with it the links to it."""
        customer = data.draw(st.sampled_from(sorted(self.profiles.keys() - {0, STRANGER})))
        self.linking.change("delete", PROFILES, profile(customer, self.profiles.pop(customer)))

    @rule(customer=customers, generation=st.integers(1, 3))
    def come_back(self, customer: int, generation: int) -> None:
        """A profile is written, under its old id or another one."""
        if customer not in self.profiles:
            self.linking.change("insert", PROFILES, profile(customer, generation))
            self.profiles[customer] = generation

    # ---- others ----

    @rule(contact=contacts)
    def recreate(self, contact: int) -> None:
        """A contact is deleted and created under the same id, so its link is lost."""
        self.delete(contact)
        self._contact(contact)

    @rule(contact=contacts)
    def delete(self, contact: int) -> None:
        """A contact is deleted; the mapping still names it."""
        if contact in self.there:
            self.linking.change("delete", CONTACT, {KEY: contact_id(contact)})
            self.there.remove(contact)

    @precondition(lambda self: self.linking.has_column)
    @rule(contact=contacts, cleared=st.booleans())
    def edit(self, contact: int, cleared: bool) -> None:
        """A person sets a link, to a profile that the mapping never asks for, or clears it."""
        if contact in self.there:
            self.linking.link(contact_id(contact), None if cleared else self._profile(STRANGER))
            self.drifted |= set() if cleared else {contact}

    @rule()
    def vendor_writes(self) -> None:
        """The vendor's own task fills the column."""
        before = self.linking.links()
        self.linking.vendor_links()
        changed = {
            number for number in self.there if self.linking.links()[contact_id(number)] != before[contact_id(number)]
        }
        self.by_vendor |= changed
        self.drifted |= changed

    # ---- runs ----

    @rule(mode=modes)
    def run(self, mode: Mode) -> None:
        """A run that nothing disturbs."""
        self._recover()
        self._ran(mode=mode)

    @rule(mode=modes)
    def dry_run(self, mode: Mode) -> None:
        """A dry run changes nothing."""
        self._recover()
        before = (self.linking.links(), self.linking.written(), self.linking.remembered(), self.linking.has_column)
        run = self.linking.run(mode=mode, dry_run=True)
        assert run is not None and run.status in ENDED_WELL, run
        assert (
            self.linking.links(),
            self.linking.written(),
            self.linking.remembered(),
            self.linking.has_column,
        ) == before
        assert run.counts.rows_read == run.counts.outcomes

    @rule(mode=modes, number=effects)
    def run_and_die(self, mode: Mode, number: int) -> None:
        """The process dies between two requests or writes of a run."""
        self._disturbed(mode, number, self.linking.die)

    @rule(mode=modes, number=effects)
    def run_and_cancel(self, mode: Mode, number: int) -> None:
        """An administrator stops the run."""
        self._disturbed(mode, number, self.linking.cancel)

    @rule(mode=modes, number=effects, contact=contacts, customer=customers)
    def run_meanwhile_moved(self, mode: Mode, number: int, contact: int, customer: int) -> None:
        """A unification writes while a run is under way."""
        self._disturbed(mode, number, lambda: self.move(contact, customer))

    @rule(mode=modes, number=effects, data=st.data())
    def run_meanwhile_vanished(self, mode: Mode, number: int, data: st.DataObject) -> None:
        """A profile is deleted while a run is under way."""
        if len(self.profiles) > 2:
            self._disturbed(mode, number, lambda: self.vanish(data))

    @rule()
    def quiet(self) -> None:
        """Two runs that nothing disturbs lead to what the mapping says, whatever happened before."""
        self._recover()
        before = self.linking.links()
        self._ran()
        run = self._ran()
        assert run.counts.rows_read >= len(self.mapping)
        self._all_right(self.there - self.drifted, before)
        if self.drifted:
            self._ran(mode=Mode.VERIFY)
            self._all_right(self.there, before)
        self.by_vendor -= {contact for contact, customer in self.mapping.items() if customer in self.profiles}
        self.drifted = set()

    # ---- what must always hold ----

    @invariant()
    def no_row_was_created(self) -> None:
        assert self.linking.links().keys() == {contact_id(number) for number in self.there}

    def must_be(self, contact: int, link: str | None) -> str | None:
        """Return what the link of a contact must become when it is `link`: the reference model."""
        if contact not in self.mapping:
            return link if link == self._profile(STRANGER) else None
        customer = self.mapping[contact]
        return self._profile(customer) if customer in self.profiles else link

    def _all_right(self, numbers: set[int], before: dict[str, str | None]) -> None:
        links = self.linking.links()
        wrong = {number: links[contact_id(number)] for number in numbers if not self._is_right(number, before, links)}
        assert not wrong, (wrong, self.mapping, self.profiles, before)

    def _is_right(self, contact: int, before: dict[str, str | None], after: dict[str, str | None]) -> bool:
        was, found = before[contact_id(contact)], after[contact_id(contact)]
        unknown = contact in self.by_vendor and contact not in self.mapping  # the owner of the link is unknown
        return found == self.must_be(contact, was) or (unknown and found == was)

    # ---- parts ----

    def _contact(self, number: int) -> None:
        self.linking.change("insert", CONTACT, {KEY: contact_id(number)})
        self.there.add(number)

    def _profile(self, customer: int) -> str:
        return str(profile(customer, self.profiles[customer])["msdynci_customerprofileid"])

    def _disturbed(self, mode: Mode, number: int, mishap: Callable[[], Any]) -> None:
        self._recover()

        async def happens() -> None:
            result = mishap()
            if isinstance(result, Awaitable):
                await result

        self.linking.effects.plan(number, happens)
        self._ran(mode=mode)
        self.linking.effects.plan(0, None)

    def _recover(self) -> None:
        if self.interrupted:
            self.interrupted = False
            self.linking.recover()

    def _ran(self, **request: Any) -> Run:
        """Run, and hold the run against what holds for every run."""
        strangers = self._strangers()
        run = self.linking.run(**request)
        self.interrupted = run is None
        links = self.linking.links()
        kept = {contact_id(number) for number in strangers if number not in self.mapping}
        assert all(links[row] == self._profile(STRANGER) for row in kept), "a link that is not ours was cleared"
        if run is not None and run.status in ENDED_WELL:
            assert run.counts.rows_read == run.counts.outcomes
        return run  # type: ignore[return-value]

    def _strangers(self) -> set[int]:
        links, stranger = self.linking.links(), self._profile(STRANGER)
        return {n for n in self.there if n not in self.mapping and links[contact_id(n)] == stranger}


SHORT = settings(
    max_examples=10, stateful_step_count=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
)  # fmt: skip
LONG = settings(max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_whatever_happens_two_quiet_runs_make_every_link_right() -> None:
    """Fast and the same each time; LONG looks for more."""
    long = os.environ.get("HYPOTHESIS_PROFILE") == "long"
    run_state_machine_as_test(Linked, settings=LONG if long else SHORT)  # type: ignore[no-untyped-call]
