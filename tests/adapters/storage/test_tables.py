"""The contract of ports.Tables, kept by the store in memory and by Microsoft's client on Azurite alike."""

import asyncio
from collections.abc import Callable
from itertools import count
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.storage.table_client import AzureTables, key_text
from linker.adapters.storage.table_guards import entity_bytes
from linker.core.errors import AlreadyThereError, ChangedError, ConfigurationError, LimitError
from linker.core.ports import Properties, Tables, Value

_numbers = count()


@pytest.fixture
def table() -> str:
    """Name of a table that does not exist yet."""
    return f"contract{next(_numbers)}"


async def rows_of(tables: Tables, table: str, partition: str = "p", **options: str | None) -> list[str]:
    return [entity.row async for entity in tables.query(table, partition, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("text ä 😀", id="text"),
        pytest.param("", id="empty text"),
        pytest.param("2026-01-02T03:04:05Z", id="text that looks like a time"),
        pytest.param(b"\x00\xff", id="binary"),
        pytest.param(b"", id="empty binary"),
        pytest.param(2**31 - 1, id="largest int32"),
        pytest.param(2**31, id="smallest int64"),
        pytest.param(-(2**63), id="most negative int64"),
        pytest.param(1.5, id="fraction"),
        pytest.param(1.0, id="whole float"),
        pytest.param(True, id="bool"),
    ],
)
async def test_a_value_comes_back_as_it_went(tables: Tables, table: str, value: Value) -> None:
    await tables.insert(table, "p", "r", {"value": value})
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.properties == {"value": value}
    assert type(found.properties["value"]) is type(value)


@pytest.mark.parametrize("key", ["", "it's", "a b", "a+b&c=d", "ä😀", "x" * 512, key_text("50% of a/b\\c#d?e~f\n")])
async def test_a_key_comes_back_as_it_went(tables: Tables, table: str, key: str) -> None:
    etag = await tables.insert(table, key, key, {"n": 1})
    await tables.replace(table, key, key, {"n": 2}, etag=etag)
    found = [entity async for entity in tables.query(table, key)]
    assert [(one.partition, one.row, one.properties) for one in found] == [(key, key, {"n": 2})]
    assert await tables.get(table, key, key) == found[0]


async def test_reading_what_is_not_there_finds_nothing(tables: Tables, table: str) -> None:
    assert await tables.get(table, "p", "r") is None
    assert await rows_of(tables, table) == []
    await tables.delete(table, "p", "r")
    await tables.insert(table, "p", "other", {})
    assert await tables.get(table, "p", "r") is None
    await tables.delete(table, "p", "r")


async def test_insert_refuses_a_key_that_is_taken(tables: Tables, table: str) -> None:
    await tables.insert(table, "p", "r", {"n": 1})
    with pytest.raises(AlreadyThereError):
        await tables.insert(table, "p", "r", {"n": 2})


async def test_inserting_the_same_again_is_refused_since_content_does_not_say_who_wrote(
    tables: Tables, table: str
) -> None:
    properties: Properties = {"n": 2**40, "text": "x", "bytes": b"y"}
    await tables.insert(table, "p", "r", properties)
    with pytest.raises(AlreadyThereError):
        await tables.insert(table, "p", "r", properties)


async def test_every_write_gives_the_etag_that_reading_shows(tables: Tables, table: str) -> None:
    etags = [await tables.insert(table, "p", "r", {"n": 1})]
    etags.append(await tables.replace(table, "p", "r", {"n": 2}, etag=etags[-1]))
    etags.append(await tables.merge(table, "p", "r", {"n": 3}, etag=etags[-1]))
    etags.append(await tables.replace(table, "p", "r", {"n": 4}))
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.etag == etags[-1]
    assert len(set(etags)) == 4


async def test_replace_without_etag_inserts_or_overwrites_everything(tables: Tables, table: str) -> None:
    await tables.replace(table, "p", "r", {"old": 1})
    await tables.replace(table, "p", "r", {"new": 2})
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.properties == {"new": 2}


async def test_merge_keeps_the_properties_it_does_not_name(tables: Tables, table: str) -> None:
    etag = await tables.insert(table, "p", "r", {"kept": b"1", "changed": 1})
    await tables.merge(table, "p", "r", {"changed": 2, "added": 3}, etag=etag)
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.properties == {"kept": b"1", "changed": 2, "added": 3}


type Write = Callable[[Tables, str, str], object]
CONDITIONAL = [
    pytest.param(lambda tables, table, etag: tables.replace(table, "p", "r", {"n": 9}, etag=etag), id="replace"),
    pytest.param(lambda tables, table, etag: tables.merge(table, "p", "r", {"n": 9}, etag=etag), id="merge"),
    pytest.param(lambda tables, table, etag: tables.delete(table, "p", "r", etag=etag), id="delete"),
]


@pytest.mark.parametrize("write", CONDITIONAL)
async def test_a_conditional_write_refuses_an_entity_that_changed(tables: Tables, table: str, write) -> None:
    stale = await tables.insert(table, "p", "r", {"n": 1})
    await tables.replace(table, "p", "r", {"n": 2})
    with pytest.raises(ChangedError):
        await write(tables, table, stale)
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.properties == {"n": 2}


@pytest.mark.parametrize("write", CONDITIONAL)
async def test_a_conditional_write_refuses_an_entity_that_is_gone(tables: Tables, table: str, write) -> None:
    etag = await tables.insert(table, "p", "r", {"n": 1})
    await tables.delete(table, "p", "r", etag=etag)
    with pytest.raises(ChangedError):
        await write(tables, table, etag)
    assert await tables.get(table, "p", "r") is None


@pytest.mark.parametrize("write", CONDITIONAL)
async def test_a_conditional_write_in_a_table_that_never_was_finds_it_changed(
    tables: Tables, table: str, write
) -> None:
    with pytest.raises(ChangedError):
        await write(tables, table, "W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"")


async def test_of_many_conditional_writers_one_wins(tables: Tables, table: str) -> None:
    etag = await tables.insert(table, "p", "r", {"n": 0})
    writes = (tables.replace(table, "p", "r", {"n": n}, etag=etag) for n in range(1, 9))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results if not isinstance(result, str)] == [ChangedError] * 7


async def test_query_gives_a_half_open_range_in_row_order(tables: Tables, table: str) -> None:
    for row in ("b", "a", "d", "c'c"):
        await tables.insert(table, "p", row, {})
    await tables.insert(table, "q", "b", {})
    assert await rows_of(tables, table) == ["a", "b", "c'c", "d"]
    assert await rows_of(tables, table, first="b", end="d") == ["b", "c'c"]
    assert await rows_of(tables, table, first="c'c") == ["c'c", "d"]
    assert await rows_of(tables, table, end="") == []


async def test_query_gives_more_than_one_server_page(tables: Tables, table: str) -> None:
    rows = [f"{number:04}" for number in range(1001)]
    await asyncio.gather(*(tables.insert(table, "p", row, {}) for row in rows))
    assert await rows_of(tables, table) == rows


async def test_select_names_the_properties_to_fetch(tables: Tables, table: str) -> None:
    etag = await tables.insert(table, "p", "r", {"small": 1, "large": b"x" * 60_000})
    found = await tables.get(table, "p", "r", select=["small", "absent"])
    assert found is not None
    assert (found.properties, found.etag) == ({"small": 1}, etag)
    assert [one async for one in tables.query(table, "p", select=["small", "absent"])] == [found]


def entity_of(size: int) -> dict[str, Value]:
    """Properties that make an entity 'p' / 'r' of exactly `size` bytes."""
    many: dict[str, Value] = {f"p{number:02}": b"x" * 60_000 for number in range(17)}
    many["rest"] = b""
    return many | {"rest": b"x" * (size - entity_bytes("p", "r", many))}


@pytest.mark.parametrize(
    ("partition", "row", "properties"),
    [
        pytest.param("p", "r", {"text": "x" * 32_769}, id="text over 64 KiB in UTF-16"),
        pytest.param("p", "r", {"text": "😀" * 16_385}, id="text over 64 KiB by surrogate pairs"),
        pytest.param("p", "r", {"bytes": b"x" * 65_537}, id="binary over 64 KiB"),
        pytest.param("p", "r", {f"n{n}": n for n in range(253)}, id="253 properties"),
        pytest.param("p", "r", entity_of(2**20 + 1), id="entity over 1 MiB"),
        pytest.param("x" * 513, "r", {}, id="partition key of 513 characters"),
        pytest.param("p", "😀" * 257, {}, id="row key over 1 KiB by surrogate pairs"),
        *(pytest.param("p", f"a{bad}b", {}, id=f"{bad!r} in a key") for bad in "/\\#?\n\x7f\x9f"),
        pytest.param("p", "r", {"a-b": 1}, id="dash in a property name"),
        pytest.param("p", "r", {"n" * 256: 1}, id="property name of 256 characters"),
        pytest.param("p", "r", {"RowKey": "x"}, id="property named as a key"),
        pytest.param("p", "r", {"n": 2**63}, id="number over 64 bits"),
    ],
)
async def test_a_limit_is_reported_before_sending(
    tables: Tables, table: str, partition: str, row: str, properties: Properties
) -> None:
    with pytest.raises(LimitError, match="Nothing was sent"):
        await tables.insert(table, partition, row, properties)
    with pytest.raises(LimitError):
        await tables.replace(table, partition, row, properties)
    with pytest.raises(LimitError):
        await tables.merge(table, partition, row, properties, etag="*")
    assert await rows_of(tables, table, "p") == []


# aiohttp's advice for bodies over 1 MiB: binary is sent as base64, so an entity of 1 MiB is a body of 1.4 MB.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"text": "x" * 32_768}, id="text of 64 KiB"),
        pytest.param({"text": "😀" * 16_384}, id="text of 64 KiB in surrogate pairs"),
        pytest.param({"bytes": b"x" * 65_536}, id="binary of 64 KiB"),
        pytest.param({f"n{n}": n for n in range(252)}, id="252 properties"),
        pytest.param(entity_of(2**20), id="entity of 1 MiB"),
    ],
)
async def test_what_just_fits_is_stored(tables: Tables, table: str, properties: Properties) -> None:
    await tables.insert(table, "p", "r", properties)
    found = await tables.get(table, "p", "r")
    assert found is not None
    assert found.properties == properties


@given(st.text())
def test_key_text_holds_nothing_forbidden_and_can_be_reversed(text: str) -> None:
    key = key_text(text)
    assert not set("/\\#?%") & set(key)
    assert not [one for one in key if ord(one) < 0x20 or 0x7F <= ord(one) <= 0x9F]
    assert unquote(key.replace("~", "%")) == text


def test_key_text_leaves_ordinary_keys_readable() -> None:
    assert key_text("new_member-0a.1") == "new_member-0a.1"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"endpoint": "https://x.table.core.windows.net"}, id="endpoint without credential"),
        pytest.param({"endpoint": "https://x.table.core.windows.net", "connection_string": "x"}, id="both"),
    ],
)
def test_a_store_is_named_in_one_way(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        AzureTables(**options)  # type: ignore[arg-type]
