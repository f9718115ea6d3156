"""Each probe distinguishes the settings of the sandbox: for every value of a switch its verdict names that value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.customer_insights.unification import UnificationRequest
from sandbox.identity.accounts import ADMIN, LINKER
from sandbox.switches.config import SandboxConfig
from sandbox.switches.registry import at_start, read_assignments, registry, value_text
from tests.live.conftest import Tenant, linked_tenant
from tests.live.probes.asking import READING
from tests.live.probes.points import Point, Result
from tests.live.probes.watching import MINUTE_S
from tests.live.proof import WRITING, Order, prove
from tests.live.site import Pause

HYDRATION_S = 6.0  # seconds that a unification writes, in two steps: the look after the first one has half of them
MANY = 5_200  # mapping rows: more than counts, groups, and pages can hide
POINTS = {
    point.name: (probe.name, point) for probes in (READING, WRITING) for probe in probes for point in probe.points
}
SWITCHED = [(name, point) for name, point in POINTS.values() if point.switch]
# Values that reads of the sandbox do not show; remove a line as soon as they do.
NOT_SHOWN = {
    "second_writer_partition=null": pytest.mark.xfail(
        strict=True, reason="a partition that is not stored shows as the default"
    )
}
CASES = [
    pytest.param(
        probe,
        point,
        value,
        id=f"{point.name} {point.switch}={value}",
        marks=NOT_SHOWN.get(f"{point.switch}={value}", ()),
    )
    for probe, point in SWITCHED
    for value in dict.fromkeys(point.plays.values())
]
# These switches shape rows that the sandbox writes when a unification is loaded.
ROWS_OF_JOBS = {"workflow_words", "job_ends_first"}
ROWS_AT_START = ROWS_OF_JOBS | {"second_writer_partition"}
ASKED_AS_THE_APP = {"P14"}  # what an administrator may do says nothing about the app
# Unproved switches that no probe asks about, and why.
NOT_ASKED = {
    "string_order": "about standard tables, whose order no run relies on",
    "guid_ranges": "about standard tables, whose ranges no run uses",
    "expired_delta": "a delta token expires after days, and a proof takes minutes",
    "protection_scope": "to find out which limit counts by what is to be throttled",
    "metadata_lag_scope": "a-new-column-is-known shows a lag, and not which servers have it",
    "stale_s": "a reader has no token of the writer: a change that comes late looks like a late change",
    "profile_ids_change": "a share of 1 % of the profiles rarely shows in the sample that W4 compares",
    "error_language": "the language of a user is a setting of that user, and no run relies on a text",
    "insights_api": "another service than Dataverse: preflight shows what it answers",
}


def kinds(point: Point) -> dict[str, Any]:
    """Return of which kind the tables are for a point: elastic, except where it is about virtual tables."""
    kind = "virtual" if point.switch.startswith("virtual") else "elastic"
    rows = {"workflow_tables": "filled"} if point.switch in ROWS_OF_JOBS else {}
    return {"profile_table": kind, "mapping_table": kind, "stale_s": 0, **rows}


@pytest.fixture(scope="module")
def tenants() -> Iterator[dict[str, Tenant]]:
    """Large tenants by kind, made when they are needed."""
    made: dict[str, Tenant] = {}
    yield made
    for tenant in made.values():
        tenant.sandbox.environment.database.close()


def tenant_for(tenants: dict[str, Tenant], point: Point, value: str) -> Tenant:
    """Return a sandbox with one switch set; a new one for a switch that only counts at the start."""
    chosen = kinds(point) | {point.switch: value}
    is_early = point.switch in at_start(SandboxConfig) | ROWS_AT_START
    name = f"{point.switch}={value}" if is_early else kinds(point)["mapping_table"]
    if name not in tenants:
        tenants[name] = linked_tenant(**chosen) if is_early else linked_tenant(rows=MANY * 2 // 3, **kinds(point))
    if not is_early:
        tenants[name].configure(**kinds(point), **read_assignments(SandboxConfig, [f"{point.switch}={value}"]))
    return tenants[name]


async def ask(tenant: Tenant, probe: str) -> dict[str, Result]:
    """Return what one probe settles, by point."""
    tenant.waits.clear()
    if probe.startswith("W"):
        chosen = ("W1", probe) if probe == "W2" else (probe,)
        report = await tenant.prove(*chosen, rows=1, watch_minutes=2, pause=unifying(tenant))
    else:
        dataverse = tenant.dataverse(user=LINKER if probe in ASKED_AS_THE_APP else ADMIN)
        report = await prove(dataverse, Order(only=(probe,)), tenant.said.append, pause=tenant.wait)
    return {result.point.name: result for one in report.asked for result in one.results}


def unifying(tenant: Tenant) -> Pause:
    """Return a pause in whose first minute a unification begins, which writes on into the second."""
    simulator = tenant.sandbox.simulator

    async def pause(seconds: float) -> None:
        if seconds == MINUTE_S and MINUTE_S not in tenant.waits:
            await tenant.later()
            await simulator.run(UnificationRequest(move=0.2, hydration_s=HYDRATION_S, steps=2))
        elif seconds == MINUTE_S and simulator.hydration is not None:
            await simulator.hydration
        await tenant.wait(seconds)

    return pause


@pytest.mark.parametrize(("probe", "point", "value"), CASES)
async def test_the_verdict_names_the_value(tenants: dict[str, Tenant], probe: str, point: Point, value: str) -> None:
    result = (await ask(tenant_for(tenants, point, value), probe))[point.name]
    assert result.setting == f"{point.switch}={value}", (result.answer, result.evidence)


def test_every_value_of_a_switch_is_an_answer() -> None:
    known = registry(SandboxConfig)
    for _, point in SWITCHED:
        assert set(map(value_text, known[point.switch].values)) == set(point.plays.values()), point.name


def test_every_unproved_switch_is_asked_about_or_has_a_reason() -> None:
    unproved = {name for name, entry in registry(SandboxConfig).items() if not entry.switch.proved}
    asked = {point.switch for _, point in SWITCHED}
    assert unproved - asked == set(NOT_ASKED)
