"""Every check is able to fail: an environment that differs in what it asks about gives another verdict than the sandbox."""

from __future__ import annotations

import pytest

from tests.live.check import Verdict
from tests.live.conftest import FEW, Tenant
from tests.live.proof import CHECKS, ROWS
from tests.live.twist import Twist

ROWS_READ = r"^GET .*_rows\?"
WRITE = r"^POST .*UpdateMultiple"
BATCH = r"^POST .*\$batch"
FIRST_OF_LIST = (r"%5B%22[^%]*%22", "%5B%2200000000-0000-0000-0000-000000000000%22")
COLUMN = r"^POST .*RelationshipDefinitions(.|\n)*msdynci_lookupfield"

TWISTS = {
    "in-of-500-keys": (Twist(BATCH, FIRST_OF_LIST), "499 of 500 rows"),
    "pages-of-5000": (Twist(switches={"max_page": 2000}), "pages of [2000, 2000, 1001]"),
    "update-multiple-with-binds": (Twist(WRITE, (r'bind":"[^"]*"', 'bind":null')), "0 of 500 linked"),
    "reading-a-link-back": (Twist(BATCH, told=(r'_link_value":"', '_link_value":"{')), "{"),
    "a-row-twice-in-one-request": (
        Twist(WRITE, (r'\[(\{[^}]*\}),(\{[^}]*\})\]', r"[\2,\1]")),
        "the last counts",
    ),
    "a-missing-row-in-bulk": (Twist(WRITE, told=(r"Ids = [0-9a-fA-F-]{36}", "Ids = some")), "names no row"),
    "a-missing-profile-in-bulk": (Twist(WRITE, told=("0x80060891", "0x80040220")), "to stop"),
    "navigation-in-the-wrong-case": (Twist(WRITE, ("LNK[0-9A-F]{5}_LINK", lambda found: found[0].lower())), "accepted"),
    "an-old-etag": (Twist(BATCH, (r'If-Match: W/"\d+"', "If-Match: *")), "accepted, the link is gone"),
    "the-current-etag": (Twist(BATCH, (r'If-Match: W/"\d+"', 'If-Match: W/"1"')), "the link stays"),
    "updating-a-missing-row": (Twist(BATCH, (r"If-Match: [^\r]*\r\n", "")), "a row created"),
    "a-batch-goes-on": (Twist(BATCH, ("PATCH (.*_rows)", r"DELETE \1")), "0 written"),
    "the-same-value-again": (Twist(BATCH, told=(r'W/\\"\d+\\"', r'W/\\"7\\"')), "the same version"),
    "a-deleted-profile": (Twist("RelationshipDefinitions", ('"RemoveLink"', '"Restrict"')), "Dataverse answered"),
    "bypassing-automations": (Twist("(?i)BypassBusinessLogic", status=403, code="0x80040220"), "403 0x80040220"),
    "the-documented-name": (Twist(COLUMN, status=400, code="0x80044344"), "refused: 400 0x80044344"),
    "the-documented-name-in-a-solution": (Twist(COLUMN, status=400, code="0x80044344"), "refused: 400 0x80044344"),
    "a-new-column-is-known": (Twist(switches={"metadata_lag_s": 0.5}), "Consistency: Strong accepted"),
    "the-same-column-twice": (Twist(COLUMN, told=("0x8004432B", "0x80048888")), "refused: 400 0x80048888"),
    "a-column-to-real-profiles": (Twist(COLUMN, status=400, code="0x80044344"), "refused: 400 0x80044344"),
    "update-multiple-of-profiles": (Twist("sdkmessagefilters", told=(r'"value":\[.*\]', '"value":[]')), "not listed"),
    "update-multiple-is-listed": (Twist("sdkmessagefilters", told=(r'"value":\[.*\]', '"value":[]')), "not listed"),
    "finding-tables": (Twist("EntityDefinitions", (r"PrimaryIdAttribute eq '\w+'", "MetadataId eq null")), "not by key"),
    "what-a-link-fires": (Twist("callbackregistrations", status=403, code="0x80040220"), "403 0x80040220"),
    "privileges-of-a-table": (Twist("Privileges", told=('"PrivilegeType":"Append"', '"PrivilegeType":"X"')), "Read, Write"),
    "privileges-by-name": (Twist(r"^GET .*/privileges\?", asked=("prvReadEntity", "prvX")), "not prvReadEntity"),
    "privileges-of-a-user": (Twist("RetrieveUserPrivileges", told=('"Global"', '"Whole"')), "without a level"),
    "privileges-of-a-role": (Twist("RetrieveRolePrivileges", told=('"Global"', '"Whole"')), "without a level"),
    "a-hint-of-parallelism": (Twist(without="x-ms-dop-hint"), "missing"),
    "a-bad-token": (Twist("Bearer none", status=403, code="0x80040220"), "Dataverse answered 403"),
    "a-stranger": (Twist("WhoAmI", told=("0x80072560", "0x80040220")), "Dataverse answered 403"),
    "retry-after": (Twist(ROWS_READ, status=429, code="0x80072322", times=1), "absent"),
}  # fmt: skip


def test_every_check_has_a_twist() -> None:
    assert {check.name for check in CHECKS} == set(TWISTS)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
async def test_a_different_environment_gets_another_verdict(tenant: Tenant, name: str) -> None:
    twist, observed = TWISTS[name]
    tenant.configure(**twist.switches)
    rows = ROWS if name == "pages-of-5000" else FEW
    (finding,) = (await tenant.prove(name, twist=twist, rows=rows)).findings
    assert finding.verdict is Verdict.DIFFERENT
    assert observed in finding.observed
    assert await tenant.ours() == []
