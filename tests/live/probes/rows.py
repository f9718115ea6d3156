"""P4 and P5: how rows look, and how one row is addressed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linker.core import odata
from linker.core.names import MAPPING_SET, MAPPING_TABLE, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE
from tests.live.probes.labels import (
    ask_labels,
)
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.privacy import describe_kinds
from tests.live.probes.scene import (
    CUSTOMER,
    IDENTIFIER,
    MAPPING_KEY,
    OWN_LOOKUP,
    VALUE,
    Row,
    Scene,
    need_rows,
    profile_id,
)
from tests.live.probes.wire import Answer, Asker

_COSMOS = re.compile(r'W/"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', re.IGNORECASE)
_NUMBER = re.compile(r'W/"\d+"')

PARTITION = Point(
    "partition-of-a-profile",
    "2.2",
    "What does the column partitionid of a profile hold?",
    "partition_shown",
    {"own id in lower case": "lower", "own id in upper case": "upper", "null": "null"},
)
SAME_ID = Point("profile-id-and-customer-id", "6", "Is the profile's id its CustomerId read as a GUID?")
CUSTOMER_FORM = Point("form-of-customer-ids", "6", "How are CustomerIds written?")
VALUE_FORM = Point("form-of-keys", "6", "How are the keys of Dataverse rows written in the mapping?")
IDENTIFIER_FORM = Point("form-of-identifiers", "6", "Is the identifier data source, table, and key, joined by '|'?")
NAME_COLUMN = Point(
    "name-column",
    "6",
    "Which column of the mapping names the source table?",
    "mapping_name_column",
    {name: name for name in ("msdynci_entityname", "msdynci_tablename")},
)
TABLE_NAMES = Point("table-names", "6", "Does that column hold logical names of tables?")
OWN_PROFILE = Point(
    "profile-of-mapping-rows",
    "6",
    "Do mapping rows name their profile in their own lookup?",
    "mapping_lookup",
    {"empty": "empty", "filled": "filled", "filled for some rows": "mixed", "wrong for some rows": "wrong"},
)
STAMPS = Point("time-stamps", "2.3", "What do modifiedon and createdon hold?")
VIRTUAL_STAMPS = Point(
    "time-stamps-of-virtual-rows",
    "4",
    "Do rows of a virtual table show when they changed?",
    "virtual_modifiedon",
    {"no": "absent", "yes": "present"},
)
VERSIONS = Point("row-versions", "2.3", "What does versionnumber hold?")
ETAGS = Point("etags", "2.4", "Of which form are ETags of profiles?")


@probe(
    "P4",
    "Shape of profiles and mapping rows",
    (
        PARTITION, SAME_ID, CUSTOMER_FORM, VALUE_FORM, IDENTIFIER_FORM, NAME_COLUMN, TABLE_NAMES, OWN_PROFILE, STAMPS,
        VIRTUAL_STAMPS, VERSIONS, ETAGS,
    ),
)  # fmt: skip
async def ask_shapes(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    named = [row for row in scene.mappings if str(row.get(scene.name_column, "")).lower() in scene.definitions]
    both = [*scene.profiles, *scene.mappings]
    named_profiles = {str(row[OWN_LOOKUP]) for row in scene.mappings if row.get(OWN_LOOKUP)}
    found = (await ask.get(_by_ids(named_profiles))).rows if named_profiles else []
    return (
        PARTITION.settle(describe_partitions(scene.profiles)),
        SAME_ID.settle(compare_ids(scene.profiles)),
        CUSTOMER_FORM.settle(describe_kinds(row.get(CUSTOMER) for row in scene.profiles)),
        VALUE_FORM.settle(describe_kinds(row.get(VALUE) for row in named))
        if named
        else VALUE_FORM.leave_open("None of the rows read comes from a table of Dataverse."),
        IDENTIFIER_FORM.settle(describe_identifiers(scene.mappings, scene.name_column)),
        NAME_COLUMN.settle(scene.name_column or "neither of the two known ones"),
        TABLE_NAMES.settle("logical names" if named else "no name of a table among the rows read"),
        OWN_PROFILE.settle(describe_own_profiles(scene.mappings, found), f"{len(scene.mappings)} rows"),
        STAMPS.settle(describe_kinds(row.get(name) for row in both for name in ("modifiedon", "createdon"))),
        describe_virtual_stamps(scene),
        VERSIONS.settle(describe_versions(row.get("versionnumber") for row in both)),
        ETAGS.settle(describe_etags(row.get("@odata.etag") for row in scene.profiles)),
    )


def _by_ids(ids: Iterable[str]) -> str:
    terms = " or ".join(f"{PROFILE_KEY} eq {key}" for key in sorted(ids)[:50])
    return PROFILE_SET + odata.query(select=CUSTOMER, filter=terms, top=50)


def describe_partitions(profiles: Sequence[Row]) -> str:
    """Return what partitionid holds: null, the row's own id in lower or upper case, or something else."""
    return ", ".join(dict.fromkeys(map(_partition, profiles)))


def _partition(row: Row) -> str:
    if "partitionid" not in row:
        return "no such column"
    value, key = row["partitionid"], profile_id(row)
    known = {None: "null", key: "own id in lower case", key.upper(): "own id in upper case"}
    return known.get(value, "another value")


def compare_ids(profiles: Sequence[Row]) -> str:
    """Return whether the ids of profiles are their CustomerIds."""
    same = {profile_id(row).replace("-", "") == plain(str(row.get(CUSTOMER))) for row in profiles}
    return "for some profiles" if len(same) > 1 else "yes" if same.pop() else "no"


def plain(text: str) -> str:
    """Return the hexadecimal digits of a GUID, however it is written."""
    return text.strip("{} ").replace("-", "").lower()


def describe_identifiers(mappings: Sequence[Row], name_column: str) -> str:
    """Return whether identifiers are put together as documented, and whether letter case is kept."""
    forms = set()
    for row in mappings:
        parts = "|".join(str(row.get(name)) for name in ("msdynci_datasourcename", name_column, VALUE))
        identifier = str(row.get(IDENTIFIER))
        same = identifier == parts
        forms.add("yes" if same else "yes, in another case" if identifier.lower() == parts.lower() else "no")
    return ", ".join(sorted(forms))


def describe_own_profiles(mappings: Sequence[Row], profiles: Sequence[Row]) -> str:
    """Return how far the mapping's own lookup is filled, and whether it leads to the profile of the CustomerId."""
    if not any(OWN_LOOKUP in row for row in mappings):
        return "no such column"
    filled = [row for row in mappings if row.get(OWN_LOOKUP)]
    if not filled:
        return "empty"
    customers = {profile_id(row): plain(str(row[CUSTOMER])) for row in profiles}
    known = [row for row in filled if str(row[OWN_LOOKUP]).lower() in customers]
    wrong = [row for row in known if customers[str(row[OWN_LOOKUP]).lower()] != plain(str(row.get(CUSTOMER)))]
    if wrong or not known:
        return "wrong for some rows"
    return "filled" if len(filled) == len(mappings) else "filled for some rows"


def describe_virtual_stamps(scene: Scene) -> Result:
    """Return whether rows of virtual tables have modifiedon; open where both tables keep their rows in Dataverse."""
    virtual = [
        row
        for table, rows in ((PROFILE_TABLE, scene.profiles), (MAPPING_TABLE, scene.mappings))
        for row in rows
        if scene.definitions[table].get("TableType") == "Virtual"
    ]
    if not virtual:
        return VIRTUAL_STAMPS.leave_open("Neither table is virtual.")
    return VIRTUAL_STAMPS.settle("yes" if all(row.get("modifiedon") for row in virtual) else "no")


def describe_versions(values: Iterable[Any]) -> str:
    """Return whether row versions are ticks of the clock, small numbers, or missing."""
    kinds = {
        "missing" if value is None else "ticks of .NET time" if int(value) > 10**17 else "small numbers"
        for value in values
    }
    return ", ".join(sorted(kinds))


def describe_etags(values: Iterable[Any]) -> str:
    """Return of which form ETags are."""
    return ", ".join(sorted({_etag(value) for value in values}))


def _etag(value: Any) -> str:
    if not value:
        return "missing"
    forms: Mapping[str, re.Pattern[str]] = {"a tag of Cosmos DB": _COSMOS, "a number": _NUMBER}
    return next((name for name, pattern in forms.items() if pattern.fullmatch(str(value))), "another form")


BY_ID = Point("address-by-id", "2.2", "Is a profile found by its id alone?")
BY_KEY = Point("address-by-key", "2.2", "Is a profile found by id and partitionid as its key?")
BY_PARAMETER = Point("address-by-parameter", "2.2", "Is a profile found by its id with the parameter partitionId?")
WRONG_PARTITION = Point("wrong-partition", "2.2", "What comes for the id with the wrong partition?")


@probe("P5", "Addresses of one row", (BY_ID, BY_KEY, BY_PARAMETER, WRONG_PARTITION))
async def ask_addresses(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    row = scene.profiles[0]
    key, select = profile_id(row), odata.query(select=CUSTOMER)
    partition = str(row.get("partitionid") or key)
    wrong = "00000000-0000-4000-8000-000000000000"
    by_id = await ask.get(f"{PROFILE_SET}({key}){select}")
    by_key = await ask.get(f"{PROFILE_SET}({PROFILE_KEY}={key},partitionid={odata.literal(partition)}){select}")
    by_parameter = await ask.get(f"{PROFILE_SET}({key}){select}&partitionId={partition}")
    elsewhere = await ask.get(f"{PROFILE_SET}({key}){select}&partitionId={wrong}")
    mapping = str(scene.mappings[0][MAPPING_KEY])
    of_mapping = await ask.get(f"{MAPPING_SET}({mapping})" + odata.query(select=CUSTOMER))
    both = {found_or_refused(by_id, key), found_or_refused(of_mapping, mapping.lower(), MAPPING_KEY)}
    return (
        BY_ID.settle(" and ".join(sorted(both)), "a profile and a mapping row"),
        BY_KEY.settle(found_or_refused(by_key, key)),
        BY_PARAMETER.settle(found_or_refused(by_parameter, key)),
        WRONG_PARTITION.settle(found_or_refused(elsewhere, key)),
    )


def found_or_refused(answer: Answer, key: str, column: str = PROFILE_KEY) -> str:
    """Return 'found', what refused it, or that another row came."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    return "found" if any(str(row.get(column)).lower() == key for row in answer.rows) else "another row"


PROBES = (ask_shapes, ask_addresses, ask_labels)
