"""Runs in every state that the page has to show, as the app would have stored them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from linker.core import records
from linker.core.model import Counts, Mode, Progress, Run, Status, Touches
from linker.core.names import SKIPPED_MESSAGE
from linker.core.permissions.automations import Automation, Kind, describe, estimate
from linker.core.records import PlannedChange, RowIssue
from linker.core.runs.lifecycle import why_ended

from .building import NOW, met, row_id, run, soon, table, violated

HOSTILE: Final = '<script>document.title="taken over"</script><img src=x onerror="document.title=1">'
ENVIRONMENT: Final = (
    met("R5", "The environment is set up for individual customers (B2C), says the Customer Insights API."),
    met("R6", "Profiles and mapping are in Dataverse."),
)
ELIGIBLE: Final = (
    met("R1", "20 of 20 sampled keys exist in this environment."),
    met("R4", "Sampled keys are values of its primary key."),
)
RENAMED: Final = violated(
    "R3",
    "'Loyalty members' looks renamed: its keys are those of Dataverse table 'new_member'.",
    "Name it 'new_member' again in Customer Insights and run unification.",
)
AUTOMATIONS: Final = (
    Automation("Contoso.Scoring: Update", Kind.STEP, id=row_id(900)),
    Automation("Notify owner of a change", Kind.FLOW, asynchronous=True, id=row_id(901)),
)
ESTIMATE: Final = estimate(AUTOMATIONS, 48_120, rows_a_request=500)
FIRED: Final = tuple(describe(automation) for automation in AUTOMATIONS)


CONTACTS, LEADS = 312_480, 48_120
ROWS: Final = CONTACTS + LEADS


def explained(run: Run) -> Run:
    """Return a run that ended with what the product says about it."""
    return replace(run, status_detail=why_ended(run, run.status))


# ---- runs that have ended ----


def successful(begun: float = 95, took: float = 2.4, linked: int = 1_204) -> Run:
    """A run of two tables after which nothing is left to do."""
    return run(
        begun,
        Status.SUCCESSFUL,
        table("contact", Status.SUCCESSFUL, Counts(312_480, linked, 312_480 - linked), findings=ELIGIBLE),
        table("lead", Status.SUCCESSFUL, Counts(48_120, 318, 47_802), findings=ELIGIBLE),
        took=took,
        findings=ENVIRONMENT,
        touches=Touches(1_390, 1_390),
    )


def first_full(begun: float, took: float = 41.0) -> Run:
    """The first run, which linked everything."""
    reason = "no run has linked this table before"
    return run(
        begun,
        Status.SUCCESSFUL,
        table(
            "contact", Status.SUCCESSFUL, Counts(311_902, 311_902), mode=Mode.FULL, mode_reason=reason, column="created"
        ),
        table("lead", Status.SUCCESSFUL, Counts(47_960, 47_960), mode=Mode.FULL, mode_reason=reason, column="created"),
        took=took,
        mode=Mode.FULL,
        mode_reason=f"contact: {reason}; lead: {reason}",
        findings=ENVIRONMENT,
    )


def with_warnings(begun: float = 40) -> Run:
    """A run with rejected and deferred rows, and a table that is skipped."""
    found = run(
        begun,
        Status.WARNINGS,
        table("contact", Status.WARNINGS, Counts(312_480, 996, 311_471, 0, 9, 4), findings=ELIGIBLE, automations=FIRED),
        table("lead", Status.WARNINGS, Counts(48_120, 77, 48_040, 0, 3), findings=ELIGIBLE),
        table(
            "new_member", Status.SKIPPED, findings=(RENAMED,), detail=f"R3: {RENAMED.evidence}", mode=None, column=""
        ),
        took=3.2,
        findings=ENVIRONMENT,
        warnings=(f"Writing links of table 'contact' fires 2 automations. {FIRED[0]}",),
        follow_up=f"{(NOW - timedelta(minutes=begun - 5)).strftime('%Y%m%dT%H%M%SZ')}-5ce0f011",
    )
    return explained(found)


def failed() -> Run:
    """A run that a person has to do something about."""
    detail = (
        "The app's user lacks privilege prvWriteLead on table 'lead'. Nothing was written to this table. "
        "Give the role 'Customer Profile Linker' write access to it, then run again."
    )
    found = run(
        30,
        Status.FAILED,
        table("contact", Status.SUCCESSFUL, Counts(312_480, 12, 312_468), findings=ELIGIBLE),
        table("lead", Status.FAILED, detail=detail, refusal="missing privilege", findings=ELIGIBLE),
        took=1.1,
        findings=ENVIRONMENT,
    )
    return explained(found)


def skipped() -> Run:
    """A run in an environment for business accounts."""
    advice = "Automatic linking supports individual customers (B2C) only; there is nothing to change here."
    finding = violated("R5", "The environment is set up for business accounts (B2B).", advice)
    detail = f"{SKIPPED_MESSAGE}. R5: {finding.evidence} {advice}"
    return run(20, Status.SKIPPED, took=0.2, findings=(finding, ENVIRONMENT[1]), status_detail=detail)


def canceled() -> Run:
    """A run that a user stopped half-way."""
    detail = "Canceled by request. What was linked stays; the next run continues from there."
    table_run = table("contact", Status.CANCELED, Counts(160_000, 5_010, 154_990), detail=detail)
    return run(25, Status.CANCELED, table_run, took=1.5, status_detail=detail, trigger="api")


def held() -> Run:
    """A run whose table 'lead' waits until a user allows its first link."""
    detail = f"The first link of this table is held: {ESTIMATE}. Approve it, or take the column out of what would fire."
    found = run(
        22,
        Status.WARNINGS,
        table("contact", Status.SUCCESSFUL, Counts(312_480, 3, 312_477), findings=ELIGIBLE),
        table("lead", Status.SKIPPED, detail=detail, refusal="held", findings=ELIGIBLE, column="would be created"),
        took=1.0,
        findings=ENVIRONMENT,
        warnings=(f"Table 'lead': {detail}",),
    )
    return explained(found)


def held_back() -> Run:
    """A run that left links alone because too many rows of a table were gone at once."""
    departed = 41_007
    detail = (
        f"Links of departed rows were left alone: {departed:,} of 312,480 rows would be cleared, more than a share of 0.1. "
        f"If they were right to leave, run with '--allow-unlinking contact={departed}' (See docs/operations.md)."
    )
    counts = Counts(312_480, 2, 271_471, 0, 0, departed)
    found = run(
        18,
        Status.WARNINGS,
        table("contact", Status.WARNINGS, counts, held_back=departed, detail=detail, findings=ELIGIBLE),
        took=1.4,
        findings=ENVIRONMENT,
    )
    return explained(found)


def not_started() -> Run:
    """The first run, which found that something is missing."""
    missing = violated(
        "R6",
        "The Customer Insights API knows of no output to Dataverse, and Dataverse has no profiles and mapping.",
        "Set the output of Customer Insights - Data to Dataverse instead of your own Azure Data Lake Storage.",
    )
    detail = f"{missing.evidence} {missing.advice}"
    return run(5, Status.NOT_STARTED, took=0.1, findings=(ENVIRONMENT[0], missing), status_detail=detail)


def dry(begun: float = 10) -> Run:
    """A dry run with examples."""
    return run(
        begun,
        Status.SUCCESSFUL,
        table("contact", Status.SUCCESSFUL, Counts(312_480, 840, 311_610, 30)),
        table("lead", Status.SUCCESSFUL, Counts(48_120, 64, 48_056)),
        took=1.9,
        dry_run=True,
        trigger="api",
        jobs=(),
        notes=("This is a dry run: nothing was written.",),
    )


# ---- runs that have not ----


def queued() -> Run:
    """A run that waits until Dataverse rests."""
    detail = "Waiting until mapping and profiles have rested for 10 minutes."
    return run(3, Status.QUEUED, started_at=None, status_detail=detail)


def refreshing(done: int = 31, **progress: object) -> Run:
    """A run under way, so many of its 77 parts done; `progress` are more members of it."""
    read = done * 4_050
    shown: dict[str, object] = {"width": 6, "batch": 480, "rows_per_second": 1_890.0, "eta_seconds": (77 - done) * 2.5}
    shown |= {"rows_total": ROWS, "rows_done": read + 9_400}
    return run(
        4,
        Status.REFRESHING,
        table(
            "contact",
            Status.REFRESHING,
            Counts(read, read // 9, read - read // 9),
            findings=ELIGIBLE,
            rows_total=CONTACTS,
        ),
        table("lead", Status.REFRESHING, Counts(9_400, 61, 9_339), findings=ELIGIBLE, rows_total=LEADS),
        findings=ENVIRONMENT,
        progress=Progress(77, done, **shown | progress),  # type: ignore[arg-type]
    )


def paused() -> Run:
    """A run that Dataverse asked to wait."""
    return refreshing(40, paused_until=soon(4), eta_seconds=332.0, width=3)


def retrying() -> Run:
    """A run that Dataverse does not answer."""
    trouble = "Dataverse does not answer (503). It is asked again in 30 seconds; nothing is lost."
    return replace(refreshing(), status=Status.RETRYING, status_detail=trouble)


# ---- what belongs to runs ----


def rows_in_trouble() -> list[RowIssue]:
    """The rows of `with_warnings`."""
    plugin = "Contoso.Scoring: 'Credit limit' must not be empty."
    return [
        *(records.issue("contact", row_id(number), "PluginRefused", plugin) for number in range(7)),
        *(records.issue("contact", row_id(number), "AccessDenied") for number in range(20, 22)),
        *(records.issue("contact", row_id(number), "ProfileMissing") for number in range(30, 34)),
        *(records.issue("lead", row_id(number), "RowNotFound") for number in range(40, 43)),
    ]


def planned() -> tuple[list[PlannedChange], list[PlannedChange]]:
    """Examples of `dry`: links, and links to clear."""
    links = [PlannedChange("contact", row_id(n), "link", f"cid-{n:04}", row_id(n + 500)) for n in range(3)]
    return links, [PlannedChange("contact", row_id(n), "unlink") for n in range(60, 62)]


def ended(begun: Run) -> Run:
    """Return a run that was under way as it ended."""
    tables = tuple(replace(each, status=Status.SUCCESSFUL) for each in begun.tables)
    return replace(begun, status=Status.SUCCESSFUL, tables=tables, progress=None, ended_at=begun.last_updated)


def month() -> list[Run]:
    """Runs of a month, oldest first: two a day, a few of them not as usual."""
    days = [first_full(29 * 1440)]
    for day in range(28, 0, -1):
        begun = day * 1440 + 180
        days.append(successful(begun, took=2 + day % 5 * 0.6, linked=900 + day * 37 % 800))
        days.append(replace(failed(), **_moved(begun - 600)) if day == 12 else successful(begun - 600, took=2.2))
    return days


def _moved(begun: float) -> dict[str, str]:
    """Return id and times of a run that was asked for so many minutes ago."""
    other = successful(begun, took=1.1)
    return {name: getattr(other, name) for name in ("id", "requested_at", "started_at", "ended_at", "last_updated")}
