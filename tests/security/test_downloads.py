"""Row errors as files: no cell of one is a formula, and no key of one names a person."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.storage.record_store import mask_key
from linker.adapters.storage.table_guards import check_entity
from linker.core.errors import TransientError
from linker.core.records import NO_KEY, RowIssue, invalid_key, issue
from linker.entrypoints import api
from linker.entrypoints.api.lists import as_csv
from tests.fakes.client import Client
from tests.fakes.world import World, contact_id

SEPARATORS = (",", ";", "\t", "|")  # of spreadsheets, by the settings of their users
STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    " =1",
    '"=1',
    "\uff1d1",
    "Bob;=1+1;x",
    'Bob;"=1+1";x',
    "a|=1",
    "a\t@x",
    "a\n+x",
]


def cells(text: str, separator: str) -> list[str]:
    """Return the cells of a file as spreadsheets with this separator see them: one minds quotes, another does not."""
    strict = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]
    loose = re.split(f"[\\r\\n{re.escape(separator)}]", text) if separator != "," else []
    return [*strict, *loose]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_download_is_a_formula(text: str) -> None:
    told = as_csv([issue("contact", text, "Refused", text)])
    for separator in SEPARATORS:
        for cell in cells(told, separator):
            assert not cell.lstrip('\0\t\r\n "').startswith(STARTS), (separator, cell)


@given(st.text(st.sampled_from([*'=+-@;|,\t\r\n\0" ab', "\uff1d"])))
def test_no_text_becomes_a_formula_whatever_it_is_made_of(text: str) -> None:
    test_no_cell_of_a_download_is_a_formula(text)


def test_ordinary_texts_stay_as_they_are() -> None:
    text = "Dataverse answered 400: the value 5 - 3 is odd, e.g. a=b, c@d"
    assert text in as_csv([issue("contact", contact_id(1), "Refused", text)])


# ---- odd keys ----

PERSON = "ada.lovelace@contoso.com +44 20 7946 0000"
ODD = ["Ada Lovelace", PERSON, "x", "", "\ud800 half", "a/b\\c#d?e", "name " * 400]


@pytest.mark.parametrize("key", ODD)
async def test_a_key_that_is_not_an_id_is_stored_so_that_it_names_no_person(key: str) -> None:
    world = World()
    found: list[RowIssue] = [invalid_key("contact", key), issue("contact", contact_id(1), "Refused")]
    await world.deps.issues.save("run1", found)
    stored = repr(world.store.entities)
    assert len(key) < 5 or key not in stored
    assert contact_id(1) in stored
    (row,) = [one.row async for _, one in world.deps.issues.of_run("run1") if one.row != contact_id(1)]
    assert (
        row == NO_KEY
        if not key
        else row.startswith(key[:3].replace("\ud800", "?")) and f"({len(key)} characters" in row
    )


def test_two_odd_keys_can_be_told_apart_by_who_has_the_salt() -> None:
    assert mask_key("Ada Lovelace", b"a") != mask_key("Ada Lovelocx", b"a")
    assert mask_key("Ada Lovelace", b"a") != mask_key("Ada Lovelace", b"b")
    assert mask_key("Ada Lovelace", b"a") == mask_key("Ada Lovelace", b"a")


@pytest.mark.parametrize("key", ODD)
async def test_a_storage_that_fails_logs_no_person(key: str, caplog: pytest.LogCaptureFixture) -> None:
    """Messages of the storage name the keys of what they could not write."""
    world, named = World(), list[str]()

    def fails(operation: str, partition: str, row: str) -> None:
        if operation == "replace":
            named.append(row)
            check_entity(partition, row, {})
            raise TransientError(f"Replacing linkererrors '{partition}' / '{row}'")

    world.store.hooks.append(fails)
    with pytest.raises(TransientError) as error:
        await world.deps.issues.save("run1", [invalid_key("contact", key)])
    assert named
    assert len(key) < 5 or key not in str(error.value)


async def test_the_same_row_is_found_again_by_its_odd_key() -> None:
    """Attempts count on over runs, so the key is the same each time."""
    world = World()
    for run in ("run1", "run2"):
        await world.deps.issues.save(run, [invalid_key("contact", PERSON)])
    (found,) = [one async for _, one in world.deps.issues.of_run("run2")]
    assert found.attempts == 2
    reply = await Client(world).ask(api.get_errors, run="run2")
    assert reply.status == 404 or PERSON not in json.dumps(reply.body)
