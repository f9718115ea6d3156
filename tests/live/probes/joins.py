"""P7: what becomes of a query that joins a profile to other rows."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from linker.core import odata
from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_SET, PROFILE_KEY, PROFILE_TABLE
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import CUSTOMER, LOOKUP, MAPPING_KEY, OWN_LOOKUP, Linked, Row, Scene, need_link
from tests.live.probes.wire import Answer, Asker

_OWN = OWN_LOOKUP.removeprefix("_").removesuffix("_value")

_LIST = {"refused": "refuse", "null instead of the profile": "null", "works": "work"}
_JOIN = {"refused": "refuse", "accepted, nothing of the profile came": "null", "works": "work"}

IN_LIST = Point(
    "expand-in-a-list", "3", "What becomes of $expand of the profile in a list of source rows?", "elastic_expand", _LIST
)
ALONE = Point(
    "expand-of-one-row", "3", "What becomes of $expand of the profile of one source row?", "elastic_expand_one", _LIST
)
OUTER = Point("outer-join", "2.3", "What becomes of an outer link-entity to the profile?", "elastic_expand", _JOIN)
INNER = Point("inner-join", "2.3", "What becomes of an inner link-entity to the profile?")
THROUGH = Point("filter-through-the-link", "3", "What becomes of a filter through the link?")
OF_MAPPING = Point("expand-of-mapping-rows", "2.3", "What becomes of $expand of the profile in a list of mapping rows?")


@probe("P7", "Joins with profiles", (IN_LIST, ALONE, OUTER, INNER, THROUGH, OF_MAPPING))
async def ask_joins(ask: Asker, scene: Scene) -> Sequence[Result]:
    own = odata.query(select=f"{MAPPING_KEY},{OWN_LOOKUP}", expand=f"{_OWN}($select={CUSTOMER})", top=5)
    of_mapping = OF_MAPPING.settle(describe_expand(await ask.get(MAPPING_SET + own), _OWN, OWN_LOOKUP))
    source, row = need_link(scene)
    key, navigation = str(row[source.key]), source.navigation
    select, expand = f"{source.key},{LOOKUP}", f"{navigation}($select={CUSTOMER})"
    one = odata.query(select=select, expand=expand)
    several = odata.query(select=select, expand=expand, filter=f"{LOOKUP} ne null", top=5)
    through = odata.query(select=select, filter=f"{navigation}/{CUSTOMER} ne null", top=5)
    return (
        _decide(IN_LIST, await ask.get(source.entity_set + several), navigation),
        _decide(ALONE, await ask.get(f"{source.entity_set}({key}){one}"), navigation),
        OUTER.settle(describe_join(await ask.get(_fetch(source, "outer")))),
        INNER.settle(describe_join(await ask.get(_fetch(source, "inner")))),
        THROUGH.settle(describe_join(await ask.get(source.entity_set + through), CUSTOMER)),
        of_mapping,
    )


def _decide(point: Point, answer: Answer, navigation: str) -> Result:
    return point.settle(describe_expand(answer, navigation, LOOKUP))


def describe_expand(answer: Answer, navigation: str, lookup: str) -> str:
    """Return whether rows came with the profile that their link leads to, without it, or not at all."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    linked = [row for row in answer.rows if row.get(lookup)]
    if not linked:
        return "accepted, no linked row among those that came"
    return "works" if any(row.get(navigation) for row in linked) else "null instead of the profile"


def describe_join(answer: Answer, column: str = "p.msdynci_customerid") -> str:
    """Return whether a join brought rows of the profile, none, or was refused."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    if column == CUSTOMER:
        return "works" if answer.rows else "accepted, no row came"
    return "works" if any(_has(row, column) for row in answer.rows) else "accepted, nothing of the profile came"


def _has(row: Row, column: str) -> bool:
    return bool(row.get(column) or row.get(column.replace(".", "_x002e_")))


def _fetch(source: Linked, kind: str) -> str:
    link = (
        f"<link-entity name='{PROFILE_TABLE}' from='{PROFILE_KEY}' to='{LOOKUP_SCHEMA_NAME}' link-type='{kind}' alias='p'>"
        f"<attribute name='{CUSTOMER}'/></link-entity>"
    )
    only = f"<filter><condition attribute='{LOOKUP_SCHEMA_NAME}' operator='not-null'/></filter>"
    query = (
        f"<fetch top='5'><entity name='{source.table}'><attribute name='{source.key}'/>{only}{link}</entity></fetch>"
    )
    return f"{source.entity_set}?fetchXml={quote(query, safe='')}"


PROBES = (ask_joins,)
