"""Hash blocks: packing, digests, damage, limits, and the rules of entries."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.blocks import (
    CHUNK_BYTES,
    MOST_ENTRIES,
    UNCONFIRMED,
    BlockTooLargeError,
    HashBlock,
    Header,
    confirmed,
    digest,
    header_properties,
    intend,
    names,
    pack,
    row_hash,
    to_block,
    to_header,
    to_properties,
    unconfirm,
    unpack,
    wanted_entries,
)
from linker.errors import StateError
from linker.table_rules import check_entity

A, B, C = 2, 4, 6  # confirmed hashes
SALT = b"salt"
keys = st.binary(min_size=16, max_size=16)
hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3, unique=True).map(
    lambda found: tuple(sorted(found))
)
entries_of_pages = st.dictionaries(keys, hashes, max_size=50)


def key(number: int) -> bytes:
    return number.to_bytes(16)


@given(entries_of_pages)
def test_entries_come_back_as_they_went(entries: dict[bytes, tuple[int, ...]]) -> None:
    assert unpack(pack(entries)) == entries


@given(entries_of_pages)
def test_a_block_comes_back_as_it_went(entries: dict[bytes, tuple[int, ...]]) -> None:
    block = HashBlock().saved_by("run", "epoch", entries).owned_by("attempt", 12.5)
    assert to_block(to_properties(block)) == block


@given(entries_of_pages, st.randoms(use_true_random=False))
def test_equal_contents_have_equal_digests_in_any_order(entries: dict[bytes, tuple[int, ...]], chance) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(entries.items())
    chance.shuffle(shuffled)
    assert digest(dict(shuffled)) == digest(entries)


@given(entries_of_pages, keys, st.integers(0, 2**64 - 1))
def test_any_other_entry_has_another_digest(entries: dict[bytes, tuple[int, ...]], row: bytes, value: int) -> None:
    other = {**entries, row: (value,)}
    assert (digest(other) == digest(entries)) == (other == entries)


@given(st.text(max_size=40), st.binary(min_size=1, max_size=64))
def test_a_row_hash_has_63_bits_and_no_mark(customer: str, salt: bytes) -> None:
    assert 0 <= row_hash(customer, salt) < 2**64
    assert confirmed([row_hash(customer, salt)])


def test_the_salt_decides_about_the_hash() -> None:
    assert row_hash("a", b"one") != row_hash("a", b"two")
    assert row_hash("a", b"one") != row_hash("b", b"one")


def test_the_packed_form_is_24_bytes_an_entry_sorted_by_key_and_hash() -> None:
    assert pack({key(2): (A,), key(1): (B, A)}) == b"".join(
        row + value.to_bytes(8) for row, value in [(key(1), A), (key(1), B), (key(2), A)]
    )


def test_bytes_that_are_no_whole_number_of_entries_are_refused() -> None:
    with pytest.raises(StateError, match="25 bytes"):
        unpack(bytes(25))


# ---- the header ----


def test_the_header_counts_rows_and_those_that_are_unconfirmed() -> None:
    header = (
        HashBlock().saved_by("run", "", {key(1): (A, B | UNCONFIRMED), key(2): (A,), key(3): (A | UNCONFIRMED,)}).header
    )
    assert (header.rows, header.unconfirmed, header.known, header.run) == (3, 2, True, "run")


def test_saving_gives_the_page_back_and_owning_keeps_the_contents() -> None:
    owned = HashBlock().saved_by("run1", "e", {key(1): (A,)}).owned_by("attempt", 9.0)
    assert (owned.header.attempt, owned.header.until, owned.entries) == ("attempt", 9.0, {key(1): (A,)})
    assert owned.saved_by("run2", "", {}).header == Header(digest=digest({}), run="run2", known=True)


def test_the_header_alone_is_small_and_comes_back() -> None:
    header = Header("d" * 32, 4_700, 3, "epoch", "run", "attempt", 1.5, True)
    properties = header_properties(header)
    assert to_header(properties) == header
    assert sum(len(str(value)) for value in properties.values()) < 200


@pytest.mark.parametrize("name", ["digest", "rows", "unconfirmed", "epoch", "run", "attempt", "until", "known"])
def test_a_header_that_lacks_a_property_is_damaged(name: str) -> None:
    properties = header_properties(Header())
    del properties[name]
    assert to_header(properties) is None


def test_a_header_of_an_earlier_version_tells_nothing_of_what_its_run_linked() -> None:
    properties = header_properties(Header(digest="d", run="run", known=True, linked=3, drift=1))
    del properties["linked"], properties["drift"]
    assert to_header(properties) == Header(digest="d", run="run", known=True)


@pytest.mark.parametrize("format_", [0, 2, "1"])
def test_a_header_of_another_format_is_not_read(format_: int | str) -> None:
    assert to_header({**header_properties(Header()), "format": format_}) is None


def test_other_entries_leave_what_the_run_did_and_who_owns_the_block() -> None:
    block = HashBlock().saved_by("run", "epoch", {}, linked=3, drift=1).owned_by("attempt", 5.0)
    changed = block.holding({bytes(16): (2 | UNCONFIRMED,)})
    assert changed.header == replace(block.header, rows=1, unconfirmed=1, digest=digest(changed.entries))


# ---- damage ----


@given(entries_of_pages.filter(bool), st.data())
def test_a_block_with_any_byte_changed_is_unknown(entries: dict[bytes, tuple[int, ...]], data: st.DataObject) -> None:
    properties = to_properties(HashBlock().saved_by("run", "epoch", entries))
    packed = bytearray(properties["b00"])  # type: ignore[arg-type]
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    block = to_block({**properties, "b00": bytes(packed)})
    assert (block.known, block.entries) == (False, {})


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param({"b00": b""}, id="the entries are gone"),
        pytest.param({"b00": b"x" * 25}, id="no whole number of entries"),
        pytest.param({"digest": "other"}, id="another digest"),
        pytest.param({"format": 7}, id="another format"),
        pytest.param({"rows": "many"}, id="a header of another kind"),
    ],
)
def test_a_damaged_block_knows_nothing(harm: dict[str, str | int | bytes]) -> None:
    properties = to_properties(HashBlock().saved_by("run", "epoch", {key(1): (A,)}))
    block = to_block({**properties, **harm})
    assert (block.known, block.entries, block.header.epoch) == (False, {}, "")


def test_a_damaged_block_still_says_who_owns_the_page() -> None:
    properties = to_properties(HashBlock().saved_by("run", "", {key(1): (A,)}).owned_by("attempt", 9.0))
    header = to_block({**properties, "b00": b""}).header
    assert (header.attempt, header.until) == ("attempt", 9.0)


def test_a_block_that_was_taken_before_it_was_ever_saved_knows_nothing() -> None:
    assert not to_block(header_properties(Header(attempt="one", until=9.0))).known


# ---- limits ----


def full(number: int) -> dict[bytes, tuple[int, ...]]:
    return {key(n): (A,) for n in range(number)}


def test_the_largest_block_fits_an_entity_and_is_read_again() -> None:
    block = HashBlock().saved_by("r" * 64, "e" * 64, full(MOST_ENTRIES)).owned_by("a" * 64, 1e9)
    properties = to_properties(block)
    check_entity("p" * 200, "r" * 200, properties)
    assert to_block(properties) == block
    assert max(len(value) for value in properties.values() if isinstance(value, bytes)) <= CHUNK_BYTES


def test_one_entry_more_is_refused_before_anything_is_saved() -> None:
    with pytest.raises(BlockTooLargeError, match="38,230 entries"):
        pack(full(MOST_ENTRIES + 1))


# ---- entries of one row ----


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        pytest.param((), A, (A | UNCONFIRMED,), id="a new row has the intent alone"),
        pytest.param((A,), B, (A, B | UNCONFIRMED), id="the intent stands beside the old link"),
        pytest.param((A, B | UNCONFIRMED), C, (A, B | UNCONFIRMED, C | UNCONFIRMED), id="beside an older intent"),
        pytest.param((A, B | UNCONFIRMED), B, (A, B | UNCONFIRMED), id="intending again changes nothing"),
        pytest.param((A,), A, (A, A | UNCONFIRMED), id="writing the same link again is an intent too"),
    ],
)
def test_intend(before: tuple[int, ...], wanted: int, after: tuple[int, ...]) -> None:
    assert intend(before, wanted) == after


def test_unconfirm_doubts_every_entry() -> None:
    assert unconfirm((A, A | UNCONFIRMED, B)) == (A | UNCONFIRMED, B | UNCONFIRMED)
    assert unconfirm(()) == ()


@pytest.mark.parametrize(("found", "expected"), [((A,), True), ((), True), ((A, B | UNCONFIRMED), False)])
def test_confirmed(found: tuple[int, ...], expected: bool) -> None:
    assert confirmed(found) is expected


@pytest.mark.parametrize(("live", "expected"), [(A, True), (B, True), (C, False)])
def test_a_live_link_is_ours_when_any_entry_names_it(live: int, expected: bool) -> None:
    assert names((A, B | UNCONFIRMED), live) is expected


def test_wanted_entries_are_what_a_page_holds_when_every_link_is_confirmed() -> None:
    wanted = wanted_entries({key(1): "a", key(2): "b", key(3): "a"}, SALT)
    assert wanted == {key(1): (row_hash("a", SALT),), key(2): (row_hash("b", SALT),), key(3): (row_hash("a", SALT),)}
    assert HashBlock().saved_by("run", "", wanted).header.unconfirmed == 0


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        HashBlock().header.rows = 1  # type: ignore[misc]
    assert replace(Header(), rows=1) != Header()
