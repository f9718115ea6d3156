"""A proof leaves nothing behind, whatever happens to it, and leaves those of other users alone."""

from __future__ import annotations

import asyncio

import pytest

from linker.core.errors import ConfigurationError, DataverseError
from sandbox.identity.accounts import ADMIN, VENDOR, ApplicationUser
from tests.live import ground
from tests.live.check import Verdict
from tests.live.conftest import Tenant
from tests.live.own import Own
from tests.live.proof import clean
from tests.live.twist import Twist

CHECK = "finding-tables"


async def leave(tenant: Tenant, tag: str, user: ApplicationUser = ADMIN) -> Own:
    """Make what a proof makes and leave it, as one does whose process was killed."""
    own = Own(tag)
    await ground.make(tenant.dataverse(user=user), own, 1, asyncio.sleep)
    return own


async def test_what_will_be_made_is_reported_before_anything_is(tenant: Tenant) -> None:
    there_when_told: dict[str, list[str]] = {}

    def say(line: str) -> None:
        there_when_told[line] = tenant.tables()

    await tenant.prove(CHECK, say=say)
    told = [line for line in there_when_told if "linkerlive" in line and line.startswith("  ")]
    assert len(told) == 1
    assert there_when_told[told[0]] == []
    assert any(there_when_told.values())


@pytest.mark.parametrize(
    "twist",
    [
        pytest.param(Twist("^POST .*solutions", status=403), id="a solution is refused"),
        pytest.param(Twist("^POST .*CreateEntities(.|\n)*_row", status=403), id="the second table is refused"),
        pytest.param(Twist("^POST .*CreateMultiple", status=403), id="rows are refused"),
    ],
)
async def test_nothing_is_left_when_making_it_fails(tenant: Tenant, twist: Twist) -> None:
    with pytest.raises(DataverseError):
        await tenant.prove(CHECK, twist=twist)
    assert await tenant.ours() == []


async def test_nothing_is_left_when_it_is_canceled(tenant: Tenant) -> None:
    def say(line: str) -> None:
        if line.strip().startswith(Verdict.SAME):
            running.cancel()

    running = asyncio.create_task(tenant.prove(say=say))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await tenant.ours() == []


async def test_what_an_earlier_proof_left_is_removed_first(tenant: Tenant) -> None:
    own = await leave(tenant, "00001")
    assert own.publisher in await tenant.ours()
    await tenant.prove(CHECK)
    assert await tenant.ours() == []
    assert f"An earlier proof left '{own.publisher}'." in tenant.said


@pytest.mark.parametrize("kept", ["publisher", "publisher and solution", "publisher, solution and table"])
async def test_leftovers_are_removed_in_whatever_state_they_are(tenant: Tenant, kept: str) -> None:
    own, dataverse = Own("00002"), tenant.dataverse()
    refused = {"publisher": "solutions", "publisher and solution": "CreateEntities"}.get(kept, "RelationshipDef")
    with pytest.raises(DataverseError):
        await ground.make(tenant.dataverse(Twist(f"^POST .*{refused}", status=403)), own, 1, asyncio.sleep)
    await clean(dataverse, tenant.said.append)
    assert await tenant.ours() == []


async def test_another_users_proof_is_left_alone(tenant: Tenant) -> None:
    own = await leave(tenant, "00003", VENDOR)
    before = await tenant.ours()
    await tenant.prove(CHECK)
    assert await tenant.ours() == before
    assert f"Another user's proof '{own.publisher}' is there; it is left alone." in tenant.said
    await ground.remove(tenant.dataverse(), own, asyncio.sleep, tenant.said.append)
    assert await tenant.ours() == []


async def test_a_passing_fault_is_waited_for(tenant: Tenant) -> None:
    locked = Twist("^POST .*CreateEntities", status=429, code="0x80071151", times=2)
    report = await tenant.prove(CHECK, twist=locked)
    assert [finding.verdict for finding in report.findings] == [Verdict.SAME]
    assert tenant.waits == [15.0, 15.0]


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        pytest.param("0x80071151", 429, Verdict.UNANSWERED, id="another customization runs all the time"),
        pytest.param("0x80072322", 429, Verdict.UNANSWERED, id="throttled all the time"),
        pytest.param("", 503, Verdict.DIFFERENT, id="unavailable all the time"),
    ],
)
async def test_a_fault_that_does_not_pass_is_a_difference_unless_others_cause_it(
    tenant: Tenant, code: str, status: int, verdict: Verdict
) -> None:
    faulty = Twist("PrimaryIdAttribute eq", status=status, code=code)
    (finding,) = (await tenant.prove(CHECK, twist=faulty)).findings
    assert finding.verdict is verdict


async def test_a_column_that_is_not_known_everywhere_yet_is_waited_for(tenant: Tenant) -> None:
    report = await tenant.prove(CHECK, twist=Twist(r"^GET .*_rows\?", status=400, times=2))
    assert [finding.verdict for finding in report.findings] == [Verdict.SAME]
    assert tenant.waits == [10.0, 10.0]


@pytest.mark.parametrize(
    "twist",
    [
        pytest.param(Twist("Organization", told=("CustomerTest", "Customer")), id="production"),
        pytest.param(Twist("Organization", told=('"OrganizationType":"CustomerTest",', "")), id="of unknown type"),
    ],
)
async def test_what_may_be_production_is_refused_without_its_host_name(tenant: Tenant, twist: Twist) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was written"):
        await tenant.prove(CHECK, twist=twist)
    assert tenant.said == []
    report = await tenant.prove(CHECK, twist=twist, host="127.0.0.1")
    assert report.is_good


@pytest.mark.parametrize("kind", ["CustomerTest", "Customer"])
async def test_the_wrong_host_is_refused_everywhere(tenant: Tenant, kind: str) -> None:
    twist = Twist("Organization", told=("CustomerTest", kind))
    with pytest.raises(ConfigurationError, match="Nothing was written"):
        await tenant.prove(CHECK, twist=twist, host="contoso.crm4.dynamics.com")
    assert tenant.said == []
