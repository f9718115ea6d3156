"""Properties of filter and paging, against a plain Python evaluation of the same question."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.database import Database, Stamp, bulk_load
from sandbox.database.collation import SORT_KEYS
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import application

type Row = dict[str, Any]

ORDERS = ("word", "ordinal")
# Few letters make ties; these are the ones that the two orders treat differently, and the wildcards.
TEXT = st.text("aAbÉé-' 0|{", max_size=5)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "lastname": st.none() | TEXT.filter(bool),
            "jobtitle": st.none() | st.sampled_from(["a", "A", "b"]),
            "gendercode": st.none() | st.integers(0, 3),
        }
    ),
    max_size=12,
)
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass
class World:
    """A sandbox whose contacts are replaced for each example."""

    environment: Environment
    ask: Callable[[str, int], Row]

    def hold(self, rows: list[Row]) -> None:
        self.environment.database.execute("DELETE FROM contact")
        bulk_load(self.environment.database, "contact", rows, Stamp(self.environment.clock(), bytes(16)))

    def pages(self, query: str, size: int) -> Iterator[list[Row]]:
        url = f"contacts?$select=lastname,jobtitle,gendercode{query}"
        while url:
            page = self.ask(url, size)
            yield page["value"]
            url = page.get("@odata.nextLink", "")

    def all(self, query: str) -> list[Row]:
        return [row for page in self.pages(query, 5000) for row in page]


@pytest.fixture(scope="module", params=ORDERS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    database = Database()
    environment = Environment(database, base_url="http://dataverse")
    environment.configure(SandboxConfig(string_order=request.param))
    loop = asyncio.new_event_loop()
    transport = httpx.ASGITransport(application(environment))
    client = httpx.AsyncClient(transport=transport, base_url=f"{environment.api_url}/")

    def ask(url: str, size: int) -> Row:
        answer = loop.run_until_complete(client.get(url, headers={"Prefer": f"odata.maxpagesize={size}"}))
        assert answer.status_code == 200, answer.text
        document: Row = answer.json()
        return document

    yield World(environment, ask)
    loop.run_until_complete(client.aclose())
    loop.close()
    database.close()


def _key(world: World, value: object) -> Any:
    if isinstance(value, str):
        return SORT_KEYS[world.environment.config.string_order](value)
    return value


def _literal(value: object) -> str:
    return quote("'" + value.replace("'", "''") + "'") if isinstance(value, str) else str(value)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}


@dataclass(frozen=True)
class Question:
    """A filter as text, and what it means in Python; None is SQL's unknown."""

    text: str
    holds: Callable[[World, Row], bool | None]


def _comparison(column: str, word: str, value: object) -> Question:
    def holds(world: World, row: Row) -> bool | None:
        return None if row[column] is None else COMPARISONS[word](_key(world, row[column]), _key(world, value))

    return Question(f"{column} {word} {_literal(value)}", holds)


def _null(column: str, word: str) -> Question:
    return Question(f"{column} {word} null", lambda _, row: (row[column] is None) == (word == "eq"))


def _not(question: Question) -> Question:
    def holds(world: World, row: Row) -> bool | None:
        inner = question.holds(world, row)
        return None if inner is None else not inner

    return Question(f"not ({question.text})", holds)


def _junction(word: str, left: Question, right: Question) -> Question:
    deciding = word == "or"

    def holds(world: World, row: Row) -> bool | None:
        found = [left.holds(world, row), right.holds(world, row)]
        if deciding in found:
            return deciding
        return None if None in found else not deciding

    return Question(f"({left.text} {word} {right.text})", holds)


WORDS = st.sampled_from(sorted(COMPARISONS))
SIMPLE = st.one_of(
    st.builds(_comparison, st.just("lastname"), WORDS, TEXT),
    st.builds(_comparison, st.just("gendercode"), WORDS, st.integers(0, 3)),
    st.builds(_null, st.sampled_from(["lastname", "gendercode"]), st.sampled_from(["eq", "ne"])),
)
QUESTIONS = st.recursive(
    SIMPLE,
    lambda inner: st.builds(_not, inner) | st.builds(_junction, st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=5,
)


@SETTINGS
@given(rows=ROWS, question=QUESTIONS)
def test_a_filter_finds_what_python_finds(world: World, rows: list[Row], question: Question) -> None:
    world.hold(rows)
    everything = world.all("")
    expected = [row["contactid"] for row in everything if question.holds(world, row)]
    assert [row["contactid"] for row in world.all(f"&$filter={question.text}")] == expected


@SETTINGS
@given(
    rows=ROWS,
    size=st.integers(1, 5),
    order=st.sampled_from(
        ["", "lastname", "lastname desc", "jobtitle,lastname desc", "gendercode desc,jobtitle", "createdon"]
    ),
)
def test_pages_never_lose_repeat_or_reorder_rows(world: World, rows: list[Row], size: int, order: str) -> None:
    world.hold(rows)
    query = f"&$orderby={order}" if order else ""
    pages = list(world.pages(query, size))
    assert [row for page in pages for row in page] == world.all(query)
    assert all(len(page) == size for page in pages[:-1])
    assert len({row["contactid"] for page in pages for row in page}) == len(rows)


@SETTINGS
@given(rows=ROWS, descending=st.booleans())
def test_rows_are_ordered_by_their_sort_keys_with_nulls_lowest(world: World, rows: list[Row], descending: bool) -> None:
    world.hold(rows)
    found = [row["lastname"] for row in world.all(f"&$orderby=lastname{' desc' if descending else ''}")]
    keys = [_key(world, name) or b"" for name in found]
    assert keys == sorted(keys, reverse=descending)


@SETTINGS
@given(rows=ROWS, cuts=st.lists(TEXT, max_size=4))
def test_half_open_ranges_partition_any_set_of_keys(world: World, rows: list[Row], cuts: list[str]) -> None:
    world.hold(rows)
    bounds = sorted(cuts, key=lambda cut: _key(world, cut))
    pieces = [
        " and ".join(
            [f"lastname ge {_literal(low)}"] * (low is not None)
            + [f"lastname lt {_literal(high)}"] * (high is not None)
        )
        for low, high in zip([None, *bounds], [*bounds, None], strict=True)
    ]
    found = [row["contactid"] for piece in pieces for row in world.all(f"&$filter={piece or 'lastname ne null'}")]
    assert sorted(found) == sorted(row["contactid"] for row in world.all("&$filter=lastname ne null"))


@SETTINGS
@given(rows=ROWS, prefix=st.text("aAbé0", min_size=1, max_size=3))
def test_startswith_finds_what_python_finds(world: World, rows: list[Row], prefix: str) -> None:
    world.hold(rows)
    plain = prefix.lower().replace("é", "e")
    expected = [
        row["contactid"]
        for row in world.all("&$filter=lastname ne null")
        if row["lastname"].lower().replace("é", "e").startswith(plain)
    ]
    query = f"&$filter=startswith(lastname,{_literal(prefix)})"
    assert [row["contactid"] for row in world.all(query)] == expected


GUIDS = st.uuids().map(str)


@SETTINGS
@given(keys=st.lists(GUIDS, min_size=1, max_size=10, unique=True), cuts=st.lists(GUIDS, max_size=3))
def test_canonical_guid_texts_order_alike_in_both_orders(world: World, keys: list[str], cuts: list[str]) -> None:
    world.hold([{"lastname": key} for key in keys])
    found = [row["lastname"] for row in world.all("&$orderby=lastname")]
    assert found == sorted(keys)
    for cut in cuts:
        below = [row["lastname"] for row in world.all(f"&$filter=lastname lt '{cut[:6]}'&$orderby=lastname")]
        assert below == [key for key in sorted(keys) if key < cut[:6]]
