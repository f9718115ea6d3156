"""What the profile and the mapping table of this environment can do beyond what every table type offers.

The linker relies on little: equality and date filters on one column, and next links with whatever page size the server
chooses. Everything in `Capability` is optional. It is probed, kept with its evidence and date, and used for speed only: a
wrong finding may cost time, never a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from linker.core.model import WIRE, Target

ELASTIC_PROVIDER: Final = UUID("1d9bde74-9ebd-4da9-8ff5-aa74945b9f74")  # of every elastic table
STANDARD_TYPE: Final = "standard"
GOOD_FOR: Final = timedelta(days=1)  # a finding is asked for again after this time
OPEN_FOR: Final = timedelta(hours=1)  # the same while some question has no answer: a table was empty, or did not answer


class TableKind(StrEnum):
    """How Dataverse keeps a table."""

    STANDARD = "standard"
    ELASTIC = "elastic"
    VIRTUAL = "virtual"


class Capability(StrEnum):
    """What a table may be able to do. The value is the name in JSON."""

    IN_FILTER = "inFilter"  # Microsoft.Dynamics.CRM.In on a text column
    TEXT_RANGES = "textRanges"  # ge and lt on a text column
    COUNT = "count"  # $count is exact
    LARGE_PAGES = "largePages"  # more than 500 rows in one response
    FOLDS_CASE = "foldsCase"  # eq on text ignores case
    LABELS = "labels"  # the formatted value of a lookup to a profile is its CustomerId
    PARTITION_COLUMN = "partitionColumn"  # partitionid of a profile can be selected
    PID_COLUMN = "pidColumn"  # the companion column of the lookup can be selected on rows
    MODIFIED_FILTER = "modifiedFilter"  # modifiedon ge on mapping rows
    CHANGE_TRACKING = "changeTracking"  # odata.track-changes on mapping rows
    MAPPING_NAMES_PROFILE = (
        "mappingNamesProfile"  # a filled lookup of a mapping row names the profile of its CustomerId
    )
    SORTING = "sorting"  # one $orderby column, on both tables


NAMES: Final = {
    Capability.IN_FILTER: "Filter by a list of texts (In)",
    Capability.TEXT_RANGES: "Filter by ranges of text",
    Capability.COUNT: "Exact $count",
    Capability.LARGE_PAGES: "More than 500 rows in a response",
    Capability.FOLDS_CASE: "Comparison regardless of letter case",
    Capability.LABELS: "Label of a link",
    Capability.PARTITION_COLUMN: "Partition of a profile",
    Capability.PID_COLUMN: "Partition column of a link",
    Capability.MODIFIED_FILTER: "Filter by time of change",
    Capability.CHANGE_TRACKING: "Change tracking",
    Capability.MAPPING_NAMES_PROFILE: "Mapping rows name the profile",
    Capability.SORTING: "Sorting by time of change",
}
COSTS: Final = {
    Capability.IN_FILTER: "Profiles are looked up with at most 50 CustomerIds in a query instead of 500, so more requests.",
    Capability.TEXT_RANGES: "Each data source is read in one stream instead of several, so a full scan takes longer.",
    Capability.COUNT: "Rows are counted while they are read, so a removal without other changes waits for a full scan.",
    Capability.LARGE_PAGES: "A full scan takes a request for every 500 rows instead of every 5,000.",
    Capability.FOLDS_CASE: "A CustomerId in other letter case is asked for again in other spellings, so more requests.",
    Capability.LABELS: "A link is checked by its profile id alone, not by the CustomerId.",
    Capability.PARTITION_COLUMN: "Every profile is taken to be in its default partition.",
    Capability.PID_COLUMN: "Links are compared by profile id alone. A row whose profile is in another partition is rejected.",
    Capability.MODIFIED_FILTER: "Every run reads the whole mapping instead of its changes.",
    Capability.CHANGE_TRACKING: "Removed rows are found by a full scan only.",
    Capability.MAPPING_NAMES_PROFILE: "Each profile is looked up by its CustomerId, so more requests.",
    Capability.SORTING: "The newest change is unknown, so a run waits a fixed time before it reads.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a capability is available: True when proved, False when refused or wrong, None when it could not be asked.

    `probed_at` is an ISO 8601 time in UTC. `cost` says what a missing capability costs, in one sentence.
    """

    __pydantic_config__ = WIRE
    capability: Capability
    available: bool | None
    evidence: str
    probed_at: str
    cost: str

    @property
    def name(self) -> str:
        """The capability's name for people."""
        return NAMES[self.capability]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The kinds of both tables and what was found out about them. An empty one proves nothing: everything works, slowly."""

    __pydantic_config__ = WIRE
    profile_kind: TableKind
    mapping_kind: TableKind
    findings: tuple[Finding, ...] = ()
    probed_at: str = ""

    def has(self, capability: Capability) -> bool:
        """Whether a capability is proved."""
        return any(finding.capability is capability and finding.available is True for finding in self.findings)

    def lacks(self, capability: Capability) -> bool:
        """Whether a capability was refused, or answered wrongly; False while nothing is known of it."""
        return any(finding.capability is capability and finding.available is False for finding in self.findings)

    @property
    def kinds(self) -> tuple[TableKind, TableKind]:
        """Kind of the profile table, kind of the mapping table."""
        return self.profile_kind, self.mapping_kind


def table_kind(table_type: str | None, data_provider_id: str | None) -> TableKind:
    """Return the kind of a table from its metadata TableType and DataProviderId; either may be unknown (None).

    Anything but a standard table is treated as elastic, which is the most restricted kind that holds its rows in Dataverse,
    unless another data provider serves it. Elastic tables have a data provider too, so its presence alone decides nothing.
    """
    if (table_type or "").strip().lower() == STANDARD_TYPE:
        return TableKind.STANDARD
    provider = _uuid(data_provider_id)
    return TableKind.ELASTIC if provider in (None, ELASTIC_PROVIDER) else TableKind.VIRTUAL


def is_current(known: Capabilities, now: str, kinds: tuple[TableKind, TableKind] | None = None) -> bool:
    """Whether what was found still counts at `now` (ISO 8601): it is young enough, and the tables are of the same `kinds`.

    `kinds` is None where the tables were not looked at again.
    """
    if not known.probed_at or (kinds is not None and kinds != known.kinds):
        return False
    is_open = any(one.available is None for one in known.findings)
    age = datetime.fromisoformat(now) - datetime.fromisoformat(known.probed_at)
    return timedelta(0) <= age < (OPEN_FOR if is_open else GOOD_FOR)


def with_earlier(found: Capabilities, known: Capabilities | None) -> Capabilities:
    """Return new findings, with what was known before where a question has no answer now, such as while Dataverse pauses.

    Findings of other kinds of tables, and those that are older than a day, do not count.
    """
    if known is None or known.kinds != found.kinds:
        return found
    now = datetime.fromisoformat(found.probed_at)
    young = {
        one.capability: one
        for one in known.findings
        if one.available is not None and timedelta(0) <= now - datetime.fromisoformat(one.probed_at) < GOOD_FOR
    }
    findings = tuple(young.get(one.capability, one) if one.available is None else one for one in found.findings)
    return replace(found, findings=findings)


def finding(capability: Capability, available: bool | None, evidence: str, probed_at: str) -> Finding:
    """Return a finding with the cost of its capability."""
    return Finding(capability, available, evidence, probed_at, COSTS[capability])


def complete_findings(findings: Iterable[Finding], probed_at: str, evidence: str) -> tuple[Finding, ...]:
    """Return a finding for every capability, in their order. `evidence` says why the missing ones were not asked."""
    known = {one.capability: one for one in findings}
    return tuple(known.get(one) or finding(one, None, evidence, probed_at) for one in Capability)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID((text or "").strip())
    except ValueError:
        return None


def with_capabilities(target: Target, can: Capabilities) -> Target:
    """Return a table with what the profile and the mapping table can do. A mapping row's own lookup is believed only where the
    label of a written link can contradict it.
    """
    return replace(
        target,
        names_profile=can.has(Capability.MAPPING_NAMES_PROFILE) and can.has(Capability.LABELS),
        has_in=can.has(Capability.IN_FILTER),
        has_ranges=not can.lacks(Capability.TEXT_RANGES),
        has_partitions=can.has(Capability.PARTITION_COLUMN),
        profile_kind=can.profile_kind,
    )
