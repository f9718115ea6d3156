"""Environments in which the lookup column cannot be created or is not as it should be."""

from __future__ import annotations

from sandbox.schema.column_types import Column
from sandbox.schema.columns import lookup
from tests.fakes.requests import COLUMN
from tests.requirements.made import (
    MEMBERS,
)
from tests.requirements.situations import (
    BLOCKED,
    BOTH_READY,
    GOOD,
    MEMBER,
    READY,
    WARNINGS,
    case,
    changed,
    fed_by,
    member_table,
    solution,
    with_column,
)

CASES = [
    case(
        "column: of another type",
        GOOD.but(after=with_column(Column(COLUMN))),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        f"Column '{COLUMN}' of table 'contact' is of type String, not a lookup",
    ),
    case(
        "column: points elsewhere",
        GOOD.but(after=with_column(lookup(COLUMN, "account"))),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        f"Column '{COLUMN}' of table 'contact' points to 'account'",
    ),
    case(
        "column: the table takes no new columns",
        GOOD.but(after=changed("contact", takes_columns=False)),
        WARNINGS,
        {"contact": "refused", "lead": "ready"},
        "Table 'contact' takes no new columns (CanCreateAttributes is false)",
    ),
    case(
        "column: an elastic table",
        fed_by(MEMBER, before=member_table("Elastic"), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is elastic: nothing would empty its links when profiles are deleted. Nothing was written to it.",
    ),
    case(
        "column: a virtual table",
        fed_by(MEMBER, before=member_table("Virtual"), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is virtual: its rows are kept outside Dataverse.",
    ),
    case(
        "column: an elastic table that already has the column",
        fed_by(MEMBER, before=member_table("Elastic", with_lookup=True), rows={"new_member": MEMBERS}),
        BLOCKED,
        {"new_member": "refused"},
        "Table 'new_member' is elastic",
    ),
    case(
        "column: the solution does not exist",
        GOOD.but(settings={"solution": "nowhere"}),
        BLOCKED,
        {"contact": "refused", "lead": "refused"},
        "The lookup column of table 'lead' belongs into solution 'nowhere' (LINKER_SOLUTION), which does not exist.",
    ),
    case(
        "column: the solution is managed",
        GOOD.but(settings={"solution": "vendor"}, after=solution("vendor", managed=True)),
        BLOCKED,
        {"contact": "refused", "lead": "refused"},
        "solution 'vendor' (LINKER_SOLUTION), which is managed",
    ),
    case(
        "column: a solution of our own",
        GOOD.but(settings={"solution": "links"}, after=solution("links", managed=False)),
        READY,
        BOTH_READY,
    ),
    case(
        "column: customisation is locked, which a run waits for",
        GOOD.but(switches={"customizing": True}),
        READY,
        BOTH_READY,
    ),
]
