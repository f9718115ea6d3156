"""Capabilities: each is found as it is, whatever the tables are; a refusal, a wrong answer or silence never fails a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.dataverse.probing import MAX_REQUESTS, probe_capabilities
from linker.adapters.dataverse.sampled_tables import LinkedColumn
from linker.core.capabilities import Capabilities, Capability, Finding, TableKind, is_current, table_kind, with_earlier
from linker.core.odata import MappingColumns
from linker.core.serialization import dumps, from_json, loads, to_json
from tests.fakes.elastic import ElasticTables
from tests.fakes.requests import COLUMN
from tests.fakes.world import World

NOW = "2026-11-30T12:00:00Z"
CONTACTS = LinkedColumn("contacts", COLUMN)
ELASTIC_ID, OTHER_ID = "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74", "7015a531-cc0d-4537-b5f2-c882a1eb65ad"


async def probed(tables: ElasticTables) -> Capabilities:
    linked = (CONTACTS,) if tables.linked else ()
    return await probe_capabilities(tables.client(), MappingColumns("msdynci_entityname"), NOW, linked)


def of(found: Capabilities, capability: Capability) -> Finding:
    return next(one for one in found.findings if one.capability is capability)


C = Capability
CASES: list[tuple[dict[str, Any], Capability, bool | None]] = [
    ({}, C.IN_FILTER, True),
    ({"in_filter": "refuse"}, C.IN_FILTER, False),
    ({"in_filter": "ignore", "page_max": 10}, C.IN_FILTER, False),
    ({"rows": 0}, C.IN_FILTER, None),
    ({}, C.TEXT_RANGES, True),
    ({"case": "fold"}, C.TEXT_RANGES, True),
    ({"ranges": "refuse"}, C.TEXT_RANGES, False),
    ({"ranges": "ignore"}, C.TEXT_RANGES, False),
    ({"rows": 1}, C.TEXT_RANGES, None),
    ({}, C.COUNT, True),
    ({"rows": 20}, C.COUNT, True),
    ({"count": "refuse"}, C.COUNT, False),
    ({"count": "wrong"}, C.COUNT, False),
    ({"count": "capped", "rows": 6_000}, C.COUNT, False),
    ({"count": "exact", "rows": 6_000}, C.COUNT, True),
    ({"rows": 0}, C.COUNT, None),
    ({}, C.LARGE_PAGES, False),
    ({"page_max": 5_000}, C.LARGE_PAGES, True),
    ({"rows": 400}, C.LARGE_PAGES, None),
    ({"most_rows": 600}, C.LARGE_PAGES, False),
    ({}, C.FOLDS_CASE, False),
    ({"case": "fold"}, C.FOLDS_CASE, True),
    ({"rows": 0}, C.FOLDS_CASE, None),
    ({"linked": 5}, C.LABELS, True),
    ({"linked": 5, "labels": "none"}, C.LABELS, False),
    ({"linked": 5, "labels": "other"}, C.LABELS, False),
    ({"lookup": "filled"}, C.LABELS, True),
    ({}, C.LABELS, None),
    ({"linked": 5}, C.PID_COLUMN, True),
    ({"linked": 5, "pid": False}, C.PID_COLUMN, False),
    ({"lookup": "filled"}, C.PID_COLUMN, True),
    ({}, C.PID_COLUMN, None),
    ({}, C.PARTITION_COLUMN, True),
    ({"partition": "null"}, C.PARTITION_COLUMN, True),
    ({"partition": "absent"}, C.PARTITION_COLUMN, False),
    ({}, C.MODIFIED_FILTER, True),
    ({"rows": 1}, C.MODIFIED_FILTER, True),
    ({"modified": "refuse"}, C.MODIFIED_FILTER, False),
    ({"modified": "ignore"}, C.MODIFIED_FILTER, False),
    ({"modified": "absent"}, C.MODIFIED_FILTER, False),
    ({}, C.CHANGE_TRACKING, False),
    ({"tracking": "on"}, C.CHANGE_TRACKING, True),
    ({"tracking": "ignore"}, C.CHANGE_TRACKING, False),
    ({}, C.MAPPING_NAMES_PROFILE, False),
    ({"lookup": "filled"}, C.MAPPING_NAMES_PROFILE, True),
    ({"lookup": "mixed"}, C.MAPPING_NAMES_PROFILE, True),
    ({"lookup": "wrong"}, C.MAPPING_NAMES_PROFILE, False),
    ({"lookup": "absent"}, C.MAPPING_NAMES_PROFILE, False),
    ({}, C.SORTING, True),
    ({"sorting": "refuse"}, C.SORTING, False),
    ({"sorting": "ignore"}, C.SORTING, False),
    ({"modified": "absent"}, C.SORTING, False),
    ({"rows": 0}, C.SORTING, None),
]


@pytest.mark.parametrize(("switches", "capability", "available"), CASES, ids=[f"{c}-{s}" for s, c, _ in CASES])
async def test_each_finding_is_what_the_tables_can_do(
    switches: dict[str, Any], capability: Capability, available: bool | None
) -> None:
    found = of(await probed(ElasticTables(**switches)), capability)
    assert found.available is available, found.evidence
    assert found.evidence
    assert found.cost


@pytest.mark.parametrize("capability", Capability)
async def test_every_capability_has_a_finding(capability: Capability) -> None:
    assert of(await probed(ElasticTables()), capability).probed_at == NOW


@pytest.mark.parametrize(
    "switches",
    [{}, {"linked": 5}, {"lookup": "filled", "tracking": "on"}, {"most_rows": 50, "modified": "absent"}, {"rows": 0}],
    ids=str,
)
async def test_it_takes_few_requests(switches: dict[str, Any]) -> None:
    tables = ElasticTables(**switches)
    await probed(tables)
    assert len(tables.asked) <= MAX_REQUESTS


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
async def test_tables_that_answer_nothing_have_no_capability_and_cause_no_error(status: int) -> None:
    found = await probed(ElasticTables(fails=status))
    assert not any(found.has(one) for one in Capability)
    assert all(one.evidence for one in found.findings)


async def test_a_virtual_table_that_refuses_many_rows_is_still_sampled() -> None:
    found = await probed(ElasticTables(most_rows=200, provider=OTHER_ID))
    assert (found.profile_kind, found.mapping_kind) == (TableKind.VIRTUAL, TableKind.VIRTUAL)
    assert found.has(Capability.IN_FILTER)
    assert "Too many rows" in of(found, Capability.LARGE_PAGES).evidence


async def test_a_data_provider_that_is_not_stated_leaves_the_kind_to_the_table_type() -> None:
    found = await probed(ElasticTables(provider=None, mapping_type="Standard"))
    assert found.kinds == (TableKind.ELASTIC, TableKind.STANDARD)


async def test_an_environment_without_a_mapping_has_kinds_and_open_findings() -> None:
    found = await probe_capabilities(ElasticTables().client(), None, NOW)
    assert {one.available for one in found.findings} == {None}
    assert len(found.findings) == len(Capability)


@pytest.mark.parametrize(
    ("table_type", "provider", "kind"),
    [
        ("Standard", None, TableKind.STANDARD),
        ("standard", OTHER_ID, TableKind.STANDARD),
        ("Elastic", ELASTIC_ID, TableKind.ELASTIC),
        ("Elastic", None, TableKind.ELASTIC),
        ("Virtual", ELASTIC_ID.upper(), TableKind.ELASTIC),
        ("Virtual", None, TableKind.ELASTIC),
        ("Virtual", OTHER_ID, TableKind.VIRTUAL),
        (None, OTHER_ID, TableKind.VIRTUAL),
        (None, None, TableKind.ELASTIC),
        ("Activity", None, TableKind.ELASTIC),
        ("Elastic", "no guid", TableKind.ELASTIC),
        ("Elastic", f"{{{ELASTIC_ID}}}", TableKind.ELASTIC),
    ],
)
def test_the_kind_of_a_table(table_type: str | None, provider: str | None, kind: TableKind) -> None:
    assert table_kind(table_type, provider) is kind


async def test_findings_are_stored_and_shown_whole() -> None:
    found = await probed(ElasticTables(lookup="filled"))
    assert loads(Capabilities, dumps(found)) == found
    assert from_json(Capabilities, to_json(found)) == found
    assert to_json(found)["findings"][0]["capability"] == "inFilter"


@pytest.mark.parametrize(
    ("before", "kind", "kept"),
    [
        pytest.param("2026-11-30T11:00:00Z", TableKind.ELASTIC, True, id="an hour ago"),
        pytest.param("2026-11-29T11:59:59Z", TableKind.ELASTIC, False, id="more than a day ago"),
        pytest.param("2026-12-01T00:00:00Z", TableKind.ELASTIC, False, id="by a clock that was ahead"),
        pytest.param("2026-11-30T11:00:00Z", TableKind.STANDARD, False, id="of another kind of table"),
    ],
)
def test_a_question_without_an_answer_keeps_the_earlier_one(before: str, kind: TableKind, kept: bool) -> None:
    known = Capabilities(kind, kind, (Finding(C.COUNT, False, "capped", before, ""),), before)
    silent, proved = Finding(C.COUNT, None, "busy", NOW, ""), Finding(C.SORTING, True, "sorted", NOW, "")
    found = Capabilities(TableKind.ELASTIC, TableKind.ELASTIC, (silent, proved), NOW)
    merged = with_earlier(found, known)
    assert merged.findings == ((known.findings[0] if kept else silent), proved)
    assert with_earlier(found, None) == found
    assert merged.lacks(C.COUNT) is kept


@pytest.mark.parametrize(
    ("probed_at", "open_ones", "kinds", "current"),
    [
        ("2026-11-30T00:00:00Z", False, None, True),
        ("2026-11-29T11:59:59Z", False, None, False),
        ("2026-11-30T11:30:00Z", True, None, True),
        ("2026-11-30T10:59:00Z", True, None, False),
        ("2026-12-01T00:00:00Z", False, None, False),
        ("", False, None, False),
        ("2026-11-30T11:00:00Z", False, (TableKind.ELASTIC, TableKind.ELASTIC), True),
        ("2026-11-30T11:00:00Z", False, (TableKind.STANDARD, TableKind.ELASTIC), False),
    ],
)
def test_how_long_findings_count(
    probed_at: str, open_ones: bool, kinds: tuple[TableKind, TableKind] | None, current: bool
) -> None:
    one = Finding(Capability.COUNT, None if open_ones else True, "evidence", probed_at, "cost")
    known = Capabilities(TableKind.ELASTIC, TableKind.ELASTIC, (one,), probed_at)
    assert is_current(known, NOW, kinds) is current


async def test_findings_are_probed_once_and_kept() -> None:
    world, tables = World(), ElasticTables()
    world.deps = replace(world.deps, connection=tables.client().connection)
    first = await world.deps.capabilities()
    asked = len(tables.asked)
    assert await world.deps.capabilities() == first == await world.host().capability_store.load()
    assert len(tables.asked) == asked
    assert await world.deps.check_capabilities() == first
    assert len(tables.asked) == asked + 2  # the kinds alone


@pytest.mark.parametrize(
    ("change", "probes"),
    [
        ("nothing", False),
        ("a day", True),
        ("another kind", True),
        ("on request", True),
        ("stored by another version", True),
    ],
)
async def test_findings_are_probed_again(change: str, probes: bool) -> None:
    world, tables = World(), ElasticTables(rows=600, linked=5)
    world.deps = replace(world.deps, connection=tables.client().connection)
    await world.deps.check_capabilities((CONTACTS,))
    match change:
        case "a day":
            world.clock.pass_s(86_400)
        case "another kind":
            tables.profile_type = "Standard"
        case "stored by another version":
            await world.deps.documents.save("capabilities", {"profileKind": "made of wood"})
    asked = len(tables.asked)
    await world.deps.check_capabilities((CONTACTS,), again=change == "on request")
    assert (len(tables.asked) > asked + 2) is probes
