"""Names, keys and texts of others in requests: whatever they say, they stay one literal, and only names of metadata address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.storage.table_guards import check_entity, key_text
from linker.core import odata
from linker.core.linking.mapping_scan import KeySpan
from linker.core.model import Mode, Run, RunRequest, Source, Status
from linker.core.odata import MappingColumns
from linker.core.runs.activity_values import RunRef
from linker.durable.activities.discover_tables import survey
from linker.entrypoints import api, portal
from linker.entrypoints.api import Operation
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Compare, Condition, CrmFunction, Junction, Kind, Literal, Not, Path
from tests.fakes.requests import API, URL, Request
from tests.fakes.world import World

COLUMNS = MappingColumns("msdynci_tablename")
# Texts that mean something to a filter, a path, an address, SQL, JSON or a line of HTTP, and any other.
TEXTS = st.text(st.sampled_from("'\"\\()[]{},:;/?&#%+=@|*_ \r\n\0aé\u2028💥"), max_size=12) | st.text(max_size=12)
EVIL = [
    "contact') or ('1' eq '1",
    "contact)/systemusers",
    "../systemusers",
    "contact?$select=*",
    "contact#",
    "contact&$top=0",
    "contact%27",
    "contact\r\nX: y",
    "contact/$count",
    "x' or startswith(msdynci_identifier,'",
]


def heard(expression: str) -> Condition:
    """Return what a server understands that gets a query with this filter."""
    url = httpx.URL(URL + API + "contacts" + odata.query(filter=expression, top=1))
    assert url.path == f"{API}contacts"
    options = parse_qsl(url.query.decode(), keep_blank_values=True, strict_parsing=True)
    assert [name for name, _ in options] == ["$filter", "$top"]
    return parse_filter(options[0][1])


def compared(condition: Condition) -> Iterator[tuple[str, str, object]]:
    """Yield each comparison of a filter: operator, column, literal."""
    match condition:
        case Junction("and", parts):
            for part in parts:
                yield from compared(part)
        case Compare(operator, Path((column,)), Literal(value, Kind.TEXT)):
            yield operator, column, value
        case _:
            raise AssertionError(f"the filter became {condition}")


# ---- literals ----


def operators(name: str, as_range: str) -> tuple[str, ...]:
    """Return how a name is compared: one with any of these characters as a range from itself to itself."""
    return ("ge", "le") if set(name) & set(as_range) else ("eq",)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_name_and_any_key_stays_one_literal(source: str, table: str, lower: str, upper: str) -> None:
    condition = heard(COLUMNS.in_stream(Source(source, table), KeySpan(lower, upper)))
    named = {"msdynci_datasourcename": source, "msdynci_tablename": table}
    assert list(compared(condition)) == [
        *((operator, column, name) for column, name in named.items() for operator in operators(name, "[")),
        ("ge", "msdynci_alternatevalue", lower),
        ("lt", "msdynci_alternatevalue", upper),
    ]


@given(TEXTS, TEXTS)
def test_a_source_that_is_left_out_leaves_out_nothing_else(source: str, table: str) -> None:
    condition = heard(COLUMNS.outside([Source(source, table)]))
    parts = condition.parts if isinstance(condition, Junction) else (condition,)
    (left_out,) = [part.condition for part in parts if isinstance(part, Not)]
    named = {"msdynci_datasourcename": source, "msdynci_tablename": table}
    assert list(compared(left_out)) == [
        (operator, column, name) for column, name in named.items() for operator in operators(name, "%_[")
    ]


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_list_of_values_stays_a_list_of_values(values: list[str]) -> None:
    assert heard(odata.is_in("msdynci_customerid", values)) == CrmFunction(
        "In", Path(("msdynci_customerid",)), tuple(values)
    )


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_list_of_values_stays_a_chain_of_literals_where_in_is_missing(values: list[str]) -> None:
    (expression,) = odata.any_of("msdynci_customerid", values, has_in=False)
    condition = heard(expression)
    parts = condition.parts if isinstance(condition, Junction) and condition.word == "or" else (condition,)
    found = [next(iter(compared(part)))[1:] for part in parts]
    assert found == [("msdynci_customerid", value) for value in values]


@given(TEXTS)
def test_a_partition_stays_one_part_of_an_address(partition: str) -> None:
    address = odata.address("msdynci_customerprofiles", "msdynci_customerprofileid", "0f", partition)
    url = httpx.URL(URL + API[:-1] + address)
    assert (url.query, url.fragment) == (b"", "")
    quoted = partition.replace("'", "''")
    end = f"(msdynci_customerprofileid=0f,partitionid='{quoted}')" if partition else "(0f)"
    assert unquote(url.raw_path.decode()) == f"{API}msdynci_customerprofiles{end}"


# ---- addresses ----


async def test_no_name_in_the_mapping_gets_into_an_address() -> None:
    world, asked = World(), list[Request]()
    world.people(2)
    for number, name in enumerate(EVIL):
        world.dataverse.add_mapping(f"key-{number}", "c1", table=name, source=name)
    world.dataverse.hooks.append(asked.append)
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.REFRESHING))
    await survey(world.deps, RunRef("run1"))
    assert len(asked) > len(EVIL)
    address = re.compile(r"\w+(\(LogicalName='\w+'\)|\([0-9a-f-]{36}\)|\(\))?(/[\w.$]+(\(\))?)?")
    assert [one.path for one in asked if not address.fullmatch(one.path)] == []


@pytest.mark.parametrize("name", EVIL)
async def test_a_table_that_a_caller_asks_for_is_looked_up_and_never_an_address(name: str) -> None:
    world, asked = World(), list[str]()
    world.people(1)
    world.dataverse.hooks.append(lambda request: asked.append(request.path))
    await world.deps.lock.request(RunRequest(tables=(name,)))
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.REFRESHING, requested_tables=(name,)))
    await survey(world.deps, RunRef("run1"))
    assert [path for path in asked if name in path] == []


# ---- storage, and what people open ----


@given(TEXTS)
def test_any_text_makes_a_key_that_storage_takes_and_no_other_text_makes_the_same(text: str) -> None:
    check_entity("p", key_text(text), {})
    assert key_text(text) != key_text(text + "~")


@pytest.mark.parametrize("one", [*api.OPERATIONS, *portal.PAGES], ids=lambda one: f"{one.method} {one.path}")
async def test_no_answer_carries_a_line_end_in_a_header(one: Operation) -> None:
    world, evil = World(), "x\r\nSet-Cookie: a=b"
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.SUCCESSFUL))
    names = one.query.model_fields if one.query else {}
    for run in ("run1", evil):
        for query in ({}, dict.fromkeys(names, evil)):
            path = {name: run if name == "run" else evil for name in one.parameters}
            sent = {"accept": evil, "idempotency-key": evil, "host": evil}
            reply = await api.Api(lambda: world.deps).serve(one, api.Request(path, query, sent, b"{}", "https://app"))
            assert [value for value in reply.headers.values() if not value.isprintable()] == []
