"""Whether a table may be written now, as a table of rules (docs/dev/proofs.md G21, G22, G25)."""

from dataclasses import replace

import pytest

from linker.core.model import Status, TableRun
from linker.core.permissions.automations import Automation, Kind, describe
from linker.core.permissions.privileges import Missing
from linker.core.permissions.write_permission import (
    Approval,
    Permission,
    Policy,
    Refusal,
    SecondWriter,
    TableLook,
    apply_permission,
    obstacle,
    permission,
)

STEP = Automation("Sync", Kind.STEP, id="1")
MICROSOFTS = Automation("Core", Kind.STEP, bypassable=False, id="2")
LACKS = Missing("prvWriteContact", "contact", "none", "write its lookup")
APPROVED = Approval("Ada", "2026-11-24T00:00:00Z", (STEP.id,))
BLIND = Approval("Ada", "2026-11-24T00:00:00Z", ("unread",))
NONE, HELD, BLOCKED, PRIVILEGE = Refusal.NONE, Refusal.HELD, Refusal.BLOCKED, Refusal.PRIVILEGE

QUIET = TableLook("contact", rows=10, rows_a_request=500)
LOUD = replace(QUIET, registered=(STEP,))
UNREAD = replace(QUIET, registered=None, unread="refused")


@pytest.mark.parametrize(
    ("look", "policy", "hold", "refusal"),
    [
        pytest.param(QUIET, "warn", True, NONE, id="nothing fires: it starts by itself"),
        pytest.param(QUIET, "block", True, NONE, id="nothing fires: nothing is blocked"),
        pytest.param(LOUD, "warn", True, HELD, id="first link: held"),
        pytest.param(LOUD, "warn", False, NONE, id="LINKER_FIRST_LINK=auto"),
        pytest.param(replace(LOUD, linked=True), "warn", True, NONE, id="linked before: not held"),
        pytest.param(replace(LOUD, approval=APPROVED), "warn", True, NONE, id="approved"),
        pytest.param(
            replace(LOUD, registered=(STEP, MICROSOFTS), approval=APPROVED), "warn", True, HELD, id="one came since"
        ),
        pytest.param(LOUD, "block", False, BLOCKED, id="block"),
        pytest.param(replace(LOUD, linked=True), "block", False, BLOCKED, id="block, linked before"),
        pytest.param(replace(LOUD, approval=APPROVED), "block", True, BLOCKED, id="block, approved"),
        pytest.param(LOUD, "bypass", True, NONE, id="bypassed"),
        pytest.param(replace(QUIET, registered=(MICROSOFTS,)), "bypass", True, HELD, id="cannot be bypassed"),
        pytest.param(UNREAD, "warn", True, HELD, id="not known: held"),
        pytest.param(UNREAD, "block", True, BLOCKED, id="not known: blocked"),
        pytest.param(
            replace(UNREAD, approval=APPROVED), "warn", True, HELD, id="not known, approved when it was known"
        ),
        pytest.param(replace(UNREAD, approval=BLIND), "warn", True, NONE, id="not known, approved all the same"),
        pytest.param(replace(LOUD, approval=BLIND), "warn", True, HELD, id="known by now, approved when it was not"),
        pytest.param(replace(UNREAD, linked=True), "warn", True, NONE, id="not known, linked before"),
        pytest.param(replace(QUIET, missing=(LACKS,)), "warn", True, PRIVILEGE, id="a privilege is missing"),
        pytest.param(replace(LOUD, missing=(LACKS,)), "block", True, PRIVILEGE, id="a privilege before all else"),
    ],
)
def test_the_rules(look: TableLook, policy: Policy, hold: bool, refusal: Refusal) -> None:
    found = permission(look, policy=policy, hold=hold, account="# linker")
    assert found.refusal is refusal
    assert bool(found.detail) == bool(refusal)
    assert not refusal or ("othing was written" in found.detail and "docs/" in found.detail)


@pytest.mark.parametrize(
    ("look", "told"),
    [
        pytest.param(LOUD, "Each link on 'contact' fires 1 automation. Plug-in step 'Sync'", id="automations"),
        pytest.param(UNREAD, "could not be read: refused", id="unread"),
        pytest.param(
            replace(QUIET, second_writer=SecondWriter("#X", 1, "t")), "#X was the last to write 1 row of", id="writer"
        ),
        pytest.param(
            replace(QUIET, second_writer=SecondWriter("#X", 5_000, "t")), "5,000 or more rows", id="many rows"
        ),
        pytest.param(replace(QUIET, blind_roles=("Seller",)), "Customer Profile: Seller. Give", id="roles"),
        pytest.param(replace(QUIET, blind_roles=("R",) * 12), "and 2 more. Give", id="many roles"),
    ],
)
def test_what_a_user_should_look_at_is_a_warning(look: TableLook, told: str) -> None:
    (warning,) = permission(look, policy="warn", hold=False, account="# linker").warnings
    assert told in warning


def test_what_was_approved_is_a_note() -> None:
    found = permission(replace(LOUD, approval=APPROVED), policy="warn", hold=True, account="# linker")
    assert (found.warnings, len(found.notes)) == ((), 1)
    assert found.notes[0].endswith("Approved by Ada on 2026-11-24T00:00:00Z.")


RUN = TableRun("contact", "crm", Status.QUEUED)


@pytest.mark.parametrize(
    ("refusal", "dry_run", "status"),
    [
        pytest.param(NONE, False, Status.QUEUED, id="linked"),
        pytest.param(HELD, False, Status.SKIPPED, id="held"),
        pytest.param(BLOCKED, False, Status.SKIPPED, id="blocked"),
        pytest.param(PRIVILEGE, False, Status.FAILED, id="without a privilege it failed"),
        pytest.param(HELD, True, Status.QUEUED, id="a dry run counts on"),
    ],
)
def test_a_table_of_a_run_ends_by_its_refusal(refusal: Refusal, dry_run: bool, status: Status) -> None:
    found = apply_permission(RUN, Permission("contact", refusal, "why"), dry_run=dry_run)
    assert (found.status, found.refusal) == (status, refusal)
    assert found.detail == ("why" if status is not Status.QUEUED else "")


def test_a_table_that_is_skipped_already_stays_so() -> None:
    skipped = replace(RUN, status=Status.SKIPPED, detail="R1")
    assert apply_permission(skipped, Permission("contact", HELD, "why"), dry_run=False) == skipped
    assert apply_permission(RUN, None, dry_run=False) == RUN


def test_a_table_keeps_what_its_links_fire_whether_or_not_it_may_be_written() -> None:
    for refusal in (Refusal.NONE, HELD):
        (told,) = apply_permission(RUN, Permission("contact", refusal, automations=(STEP,)), dry_run=False).automations
        assert told == describe(STEP)


@pytest.mark.parametrize(
    ("refusals", "told"),
    [
        pytest.param([PRIVILEGE, PRIVILEGE], "why", id="no table can be written"),
        pytest.param([PRIVILEGE, NONE], "", id="one can"),
        pytest.param([PRIVILEGE, HELD], "", id="one waits for a decision"),
        pytest.param([], "", id="there is none"),
    ],
)
def test_a_run_is_stopped_only_if_no_table_can_be_written(refusals: list[Refusal], told: str) -> None:
    assert obstacle([Permission("t", refusal, "why") for refusal in refusals]) == told
