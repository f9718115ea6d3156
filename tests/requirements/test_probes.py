"""Capabilities in every environment that the sandbox can be: each finding is what the switches say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from linker.adapters.dataverse import lookup_column, metadata
from linker.adapters.dataverse.probing import MAX_REQUESTS
from linker.adapters.dataverse.sampled_tables import LinkedColumn
from linker.core.capabilities import Capability, TableKind
from linker.core.names import LOOKUP_SCHEMA_NAME
from linker.deps import Deps
from tests.requirements.made import Fed, Made, administrator, ids, running

C = Capability
ROWS = 620  # more than a response of an elastic table holds
MANY = 5_100  # more than a capped count
ELASTIC = {"profile_table": "elastic", "mapping_table": "elastic"}
STANDARD = {"profile_table": "standard", "mapping_table": "standard"}
VIRTUAL = {"profile_table": "virtual", "mapping_table": "virtual"}

type Findings = dict[C, bool | None]
ALL_TRUE: Findings = dict.fromkeys((C.IN_FILTER, C.TEXT_RANGES, C.COUNT, C.MODIFIED_FILTER, C.SORTING), True)
OF_ELASTIC: Findings = ALL_TRUE | {
    C.LARGE_PAGES: False,
    C.FOLDS_CASE: False,
    C.PARTITION_COLUMN: True,
    C.PID_COLUMN: True,
    C.LABELS: True,
    C.MAPPING_NAMES_PROFILE: False,
}
OF_STANDARD: Findings = ALL_TRUE | {
    C.LARGE_PAGES: True,
    C.FOLDS_CASE: True,
    C.PARTITION_COLUMN: False,
    C.PID_COLUMN: False,
    C.LABELS: True,
}
OF_VIRTUAL: Findings = {
    C.IN_FILTER: True,
    C.TEXT_RANGES: True,
    C.COUNT: True,
    C.FOLDS_CASE: False,
    C.PARTITION_COLUMN: False,
    C.MODIFIED_FILTER: False,
    C.CHANGE_TRACKING: False,
    C.SORTING: False,
}
CASES: dict[str, tuple[int, dict[str, Any], Findings]] = {
    "elastic": (ROWS, ELASTIC, OF_ELASTIC),
    "standard": (ROWS, STANDARD, OF_STANDARD),
    "virtual": (ROWS, VIRTUAL, OF_VIRTUAL),
    "elastic profiles, standard mapping": (
        ROWS,
        {"profile_table": "elastic", "mapping_table": "standard"},
        OF_ELASTIC | {C.LARGE_PAGES: True},
    ),
    "standard profiles, elastic mapping": (
        ROWS,
        {"profile_table": "standard", "mapping_table": "elastic"},
        OF_STANDARD | {C.LARGE_PAGES: False, C.FOLDS_CASE: False},
    ),
    "few rows": (60, ELASTIC, OF_ELASTIC | {C.LARGE_PAGES: None}),
    "no rows": (0, ELASTIC, dict.fromkeys((C.IN_FILTER, C.COUNT, C.FOLDS_CASE, C.MODIFIED_FILTER, C.SORTING))),
    "large pages": (ROWS, ELASTIC | {"page_max": 5000}, OF_ELASTIC | {C.LARGE_PAGES: True}),
    "case is folded": (ROWS, ELASTIC | {"elastic_case": "fold"}, OF_ELASTIC | {C.FOLDS_CASE: True}),
    "In is refused": (ROWS, ELASTIC | {"elastic_in": "400"}, OF_ELASTIC | {C.IN_FILTER: False}),
    "In is refused by the mapping alone": (
        ROWS,
        {"profile_table": "standard", "mapping_table": "elastic", "elastic_in": "400"},
        OF_STANDARD | {C.LARGE_PAGES: False, C.FOLDS_CASE: False, C.IN_FILTER: False},
    ),
    "In is refused by the profiles alone": (
        ROWS,
        {"profile_table": "elastic", "mapping_table": "standard", "elastic_in": "400"},
        OF_ELASTIC | {C.LARGE_PAGES: True, C.IN_FILTER: False},
    ),
    "ranges are refused": (ROWS, ELASTIC | {"elastic_ranges": "400"}, OF_ELASTIC | {C.TEXT_RANGES: False}),
    "count is refused": (ROWS, ELASTIC | {"elastic_count": "400"}, OF_ELASTIC | {C.COUNT: False}),
    "count is capped": (MANY, ELASTIC | {"elastic_count": "capped"}, OF_ELASTIC | {C.COUNT: False}),
    "count is exact": (MANY, ELASTIC | {"elastic_count": "exact"}, OF_ELASTIC | {C.COUNT: True}),
    "partitions in capitals": (ROWS, ELASTIC | {"partition_shown": "upper"}, OF_ELASTIC),
    "partitions are null": (ROWS, ELASTIC | {"partition_shown": "null"}, OF_ELASTIC),
    "lists without labels": (ROWS, ELASTIC | {"elastic_list_labels": "absent"}, OF_ELASTIC | {C.LABELS: False}),
    "lists join nothing": (ROWS, ELASTIC | {"elastic_expand": "null"}, OF_ELASTIC),
    "ordering is refused in other words": (ROWS, ELASTIC | {"elastic_orderby": "plain"}, OF_ELASTIC),
    "mapping names profiles": (
        ROWS,
        ELASTIC | {"mapping_lookup": "filled"},
        OF_ELASTIC | {C.MAPPING_NAMES_PROFILE: True},
    ),
    "links without a partition that rows show": (
        ROWS,
        ELASTIC | {"link_partition": "metadata_only", "mapping_lookup": "filled"},
        OF_ELASTIC | {C.PID_COLUMN: False, C.MAPPING_NAMES_PROFILE: False},
    ),
    "changes are tracked": (ROWS, ELASTIC, OF_ELASTIC | {C.CHANGE_TRACKING: True}),
    "changes are not tracked": (
        ROWS,
        ELASTIC | {"elastic_change_tracking": "off"},
        OF_ELASTIC | {C.CHANGE_TRACKING: False},
    ),
    "mapping names half": (ROWS, ELASTIC | {"mapping_lookup": "mixed"}, OF_ELASTIC | {C.MAPPING_NAMES_PROFILE: True}),
    "mapping names wrong": (ROWS, ELASTIC | {"mapping_lookup": "wrong"}, OF_ELASTIC | {C.MAPPING_NAMES_PROFILE: False}),
    "virtual with times": (
        ROWS,
        VIRTUAL | {"virtual_modifiedon": "present"},
        OF_VIRTUAL | {C.MODIFIED_FILTER: True, C.SORTING: True},
    ),
    "virtual beyond its limit": (1_300, VIRTUAL, OF_VIRTUAL | {C.LARGE_PAGES: False}),
    "virtual cut at its limit": (1_300, VIRTUAL | {"virtual_limit": "cut"}, OF_VIRTUAL | {C.COUNT: False}),
    "virtual in pages": (1_300, VIRTUAL | {"virtual_limit": "page"}, OF_VIRTUAL | {C.LARGE_PAGES: True}),
    "times are ordered as text": (ROWS, ELASTIC | {"string_order": "ordinal"}, OF_ELASTIC),
}


async def link_contacts(deps: Deps, sandbox: Any, keys: tuple[str, ...]) -> LinkedColumn:
    """Give contacts their lookup column, and some of them a link to a profile."""
    dataverse = deps.dataverse()
    (table,) = await metadata.find_tables(dataverse, "contact")
    kind = (await deps.probe_capabilities()).profile_kind
    navigation = await lookup_column.create(dataverse, table, None, kind)
    admin = administrator(sandbox)
    profiles = (await admin.get("msdynci_customerprofiles?$select=msdynci_customerid&$top=5")).json()["value"]
    for key, profile in zip(keys, profiles, strict=False):
        bind = {f"{navigation}@odata.bind": f"/msdynci_customerprofiles({profile['msdynci_customerprofileid']})"}
        (await admin.patch(f"contacts({key})", json=bind)).raise_for_status()
    return LinkedColumn("contacts", LOOKUP_SCHEMA_NAME)


@pytest.mark.parametrize(("rows", "switches", "expected"), CASES.values(), ids=CASES.keys())
async def test_each_finding_is_what_the_switches_say(rows: int, switches: dict[str, Any], expected: Findings) -> None:
    keys = ids("contact", rows)
    made = Made(fed=(Fed("crm", "contact", keys, "contactid"),), rows={"contact": keys}, switches=switches)
    with running(made) as (deps, sandbox, _):
        linked = (await link_contacts(deps, sandbox, keys),) if switches != VIRTUAL else ()
        asked: list[str] = []

        async def count(request: httpx.Request) -> None:
            asked.append(str(request.url))

        deps.connection.client.event_hooks = {"request": [count]}
        found = await deps.probe_capabilities(linked)
    assert found.kinds == (TableKind(switches["profile_table"]), TableKind(switches["mapping_table"]))
    findings = {one.capability: one for one in found.findings}
    wrong = {c: findings[c].evidence for c, available in expected.items() if findings[c].available is not available}
    assert not wrong
    assert 0 < len(asked) <= MAX_REQUESTS
