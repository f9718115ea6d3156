"""Whether a run may write a table now, and what that sets in motion. Pure: facts in, words out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from linker.core.model import WIRE, Status, TableRun
from linker.core.names import LOOKUP_DISPLAY_NAME, PROFILE_TABLE
from linker.core.permissions import automations as judgement
from linker.core.permissions.automations import Automation, Estimate, count_noun
from linker.core.permissions.privileges import Missing, complaint

type Policy = Literal["warn", "block", "bypass"]
MAX_ROLES_NAMED = 10
MAX_LISTED = 20  # automations kept with a table of a run
UNREAD = "unread"  # stands for automations that could not be read, among the ids that an approval names


class Refusal(StrEnum):
    """Why nothing is written to a table."""

    NONE = ""
    PRIVILEGE = "missing privilege"
    UNFIT = "unfit"
    BLOCKED = "blocked"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class SecondWriter:
    """Rows of a table that carry the link and were last written by the vendor's account; 5,000 means that many or more."""

    __pydantic_config__ = WIRE
    account: str
    rows: int
    newest: str  # ISO 8601


@dataclass(frozen=True, slots=True)
class Approval:
    """An operator allowed the first link of a table although these automations (by id) would fire."""

    __pydantic_config__ = WIRE
    by: str
    at: str  # ISO 8601
    automations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableLook:
    """What was seen of a table. `registered` is None when it could not be read, and `unread` says why."""

    table: str
    rows: int = 0  # that a first link may write, at most
    rows_a_request: int = 1
    linked: bool = False  # a run went through the whole table before
    registered: tuple[Automation, ...] | None = ()
    unread: str = ""
    missing: tuple[Missing, ...] = ()
    unfit: str = ""  # why the table cannot have the lookup column
    customers: int = 0  # sampled from the mapping rows of the table
    without_profile: int = 0  # of these have no profile that the account can see
    approval: Approval | None = None
    second_writer: SecondWriter | None = None
    blind_roles: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # optional questions without an answer, in sentences


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a table may be written in this run. `automations` are those that its links fire; `detail` says why not."""

    __pydantic_config__ = WIRE
    table: str
    refusal: Refusal = Refusal.NONE
    detail: str = ""
    automations: tuple[Automation, ...] = ()
    estimate: Estimate | None = None
    missing: tuple[Missing, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unread: str = ""  # why the automations could not be read, empty when they could

    @property
    def approvable(self) -> tuple[str, ...]:
        """What an approval of the first link would name: ids of automations, or UNREAD."""
        return (UNREAD,) if self.unread else tuple(automation.id for automation in self.automations)

    @property
    def shown(self) -> tuple[str, ...]:
        """What an approver reads of it, a line for each; of very many the first ones and how many more there are."""
        if self.unread:
            return (f"Which automations a link fires could not be read: {self.unread}",)
        more = len(self.automations) - MAX_LISTED
        lines = tuple(map(judgement.describe, self.automations[:MAX_LISTED]))
        return (*lines, f"And {more} more.") if more > 0 else lines

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings with the refusal before them."""
        return (f"Table '{self.table}': {self.detail}", *self.warnings) if self.refusal else self.warnings


def permission(look: TableLook, *, policy: Policy, hold: bool, account: str) -> Permission:
    """Return what a run may do with a table. `hold`: a first link that fires anything waits for an approval."""
    fired = judgement.find_fired(look.registered or ())
    running = judgement.not_bypassed(fired) if policy == "bypass" else fired
    cost = judgement.estimate(running, look.rows, rows_a_request=look.rows_a_request)
    refusal, detail = _refusal(look, running, cost, policy=policy, hold=hold, account=account)
    warnings, notes = _told(look, running, refused=bool(refusal))
    unread = look.unread or "no reason was given" if look.registered is None else ""
    return Permission(look.table, refusal, detail, running, cost, look.missing, warnings, notes, unread)


def apply_permission(run: TableRun, found: Permission | None, *, dry_run: bool) -> TableRun:
    """Return a table that was about to be linked with what became of that. A dry run writes nothing and counts on."""
    if found is None or run.status is not Status.QUEUED:
        return run
    run = replace(run, automations=tuple(map(judgement.describe, found.automations[:MAX_LISTED])))
    if not found.refusal:
        return run
    if dry_run and found.refusal is not Refusal.UNFIT:
        return replace(run, refusal=found.refusal)
    status = Status.FAILED if found.refusal is Refusal.PRIVILEGE else Status.SKIPPED
    return replace(run, status=status, detail=found.detail, refusal=found.refusal)


def obstacle(found: Iterable[Permission]) -> str:
    """Return why no table can be written although some might be, empty when one can or waits for a decision."""
    tables = list(found)
    if not tables or any(one.refusal is not Refusal.PRIVILEGE for one in tables):
        return ""
    return " ".join(dict.fromkeys(one.detail for one in tables))


def _refusal(
    look: TableLook, running: Sequence[Automation], cost: Estimate, *, policy: Policy, hold: bool, account: str
) -> tuple[Refusal, str]:
    if look.missing:
        return Refusal.PRIVILEGE, f"Nothing was written. {complaint(look.missing, account)}"
    if look.unfit:
        return Refusal.UNFIT, look.unfit
    if not running and look.registered is not None:
        return Refusal.NONE, ""
    what = _what_fires(look, running, cost)
    if policy == "block":
        how = "Fix that, or set LINKER_AUTOMATIONS to 'warn' or 'bypass'. (See docs/automations.md.)"
        return Refusal.BLOCKED, f"Nothing was written: LINKER_AUTOMATIONS is 'block'. {what} {how}"
    if hold and not look.linked and not covers(look.approval, running, look.registered):
        return Refusal.HELD, f"Held for approval; nothing was written. {what} {_how_to_approve(look.table)}"
    return Refusal.NONE, ""


def covers(
    approval: Approval | None, running: Sequence[Automation], registered: tuple[Automation, ...] | None = ()
) -> bool:
    """Whether an approval allows these automations: none of them came since. What could not be read is allowed only by an
    approval that was given although it could not be read.
    """
    if approval is None:
        return False
    needed = {UNREAD} if registered is None else {automation.id for automation in running}
    return needed <= set(approval.automations)


def _what_fires(look: TableLook, running: Sequence[Automation], cost: Estimate) -> str:
    if look.registered is None:
        return f"Which automations a link would fire could not be read: {look.unread}"
    if look.linked:
        return f"Each link fires {count_noun(len(running), 'automation')}. {judgement.describe_all(running)}"
    return f"Its first link would cost at most {cost}. {judgement.describe_all(running)}"


def _how_to_approve(table: str) -> str:
    return (
        f"Approve it with 'python -m linker approve {table}' or POST /api/tables/{table}/approve; "
        "LINKER_AUTOMATIONS=bypass switches custom logic and flows off for these writes. (See docs/automations.md.)"
    )


def _told(look: TableLook, running: Sequence[Automation], *, refused: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return warnings and notes: what was approved needs no action."""
    table, warnings, notes = look.table, [], list(look.unseen)
    if running and not refused:
        fires = (
            f"Each link on '{table}' fires {count_noun(len(running), 'automation')}. {judgement.describe_all(running)}"
        )
        if look.approval is not None and covers(look.approval, running):
            notes.append(f"{fires} Approved by {look.approval.by} on {look.approval.at}.")
        else:
            warnings.append(fires)
    if look.registered is None and not refused:
        warnings.append(f"Which automations a link on '{table}' fires could not be read: {look.unread}")
    if look.without_profile and not refused:
        warnings.append(_without_profile(look))
    if look.second_writer is not None:
        warnings.append(_second_writer(table, look.second_writer))
    if look.blind_roles:
        warnings.append(_blind_roles(table, look.blind_roles))
    return tuple(warnings), tuple(notes)


def _without_profile(look: TableLook) -> str:
    """Return the warning on customers without a visible profile: the mapping belongs to the root business unit, profiles may
    not, so an account may see all of the mapping and only some profiles.
    """
    return (
        f"Of {count_noun(look.customers, 'sampled customer')} of table '{look.table}', {look.without_profile} have no profile "
        "that the app can see. Their rows are deferred and no link is cleared. If no unification is running, give the app's "
        f"role read access to table '{PROFILE_TABLE}' for the whole organization; business units may hide the other profiles."
    )


def _second_writer(table: str, writer: SecondWriter) -> str:
    rows = "5,000 or more rows" if writer.rows == 5_000 else count_noun(writer.rows, "row")
    return (
        f"{writer.account} was the last to write {rows} of '{table}' that carry the link, most recently on {writer.newest}. "
        "It probably fills this column too; this is evidence, no proof, since a row names its last writer and not the "
        "column. Links that are right are left alone; still, keep one of the two."
    )


def _blind_roles(table: str, roles: Sequence[str]) -> str:
    more = f" and {len(roles) - MAX_ROLES_NAMED} more" if len(roles) > MAX_ROLES_NAMED else ""
    return (
        f"People with these roles read '{table}' but no customer profiles, unless another role lets them, and see an empty "
        f"{LOOKUP_DISPLAY_NAME}: {', '.join(roles[:MAX_ROLES_NAMED])}{more}. "
        f"Give the roles read access to table '{PROFILE_TABLE}'."
    )
