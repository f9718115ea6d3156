"""Hash blocks: packing, digests, damage, limits, and the rules of entries."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.storage.table_guards import check_entity
from linker.core.errors import StateError
from linker.core.linking.hash_blocks import (
    CHUNK_BYTES,
    MAX_ENTRIES,
    UNCONFIRMED,
    BlockTooLargeError,
    Entry,
    HashBlock,
    Header,
    digest_records,
    digest_wishes,
    hash_link,
    header_properties,
    intend,
    is_confirmed,
    names_link,
    pack,
    to_block,
    to_header,
    to_properties,
    unconfirm,
    unpack,
)
from linker.core.linking.segments import INDEX
from linker.core.linking.shards import Claim, hash_wish
from linker.core.model import Link

A, B, C = Entry(1, 2), Entry(3, 4), Entry(5, 6)  # confirmed entries
SALT = b"salt"
keys = st.binary(min_size=16, max_size=16)
hashes = st.integers(0, 2**64 - 1)
rows = st.lists(st.builds(Entry, hashes, hashes), min_size=1, max_size=3, unique=True).map(
    lambda found: tuple(sorted(found))
)
entries_of_shards = st.dictionaries(keys, rows, max_size=50)


def open_(entry: Entry) -> Entry:
    """Return an entry with the mark *unconfirmed*."""
    return Entry(entry.wish, entry.link | UNCONFIRMED)


def digest(entries: dict[bytes, tuple[Entry, ...]]) -> str:
    return HashBlock().saved_by("run", "epoch", entries).header.digest


def key(number: int) -> bytes:
    return number.to_bytes(16)


@given(entries_of_shards)
def test_entries_come_back_as_they_went(entries: dict[bytes, tuple[Entry, ...]]) -> None:
    assert unpack(pack(entries)) == entries


@given(entries_of_shards)
def test_a_block_comes_back_as_it_went(entries: dict[bytes, tuple[Entry, ...]]) -> None:
    block = HashBlock().saved_by("run", "epoch", entries).owned_by("attempt", 12.5)
    assert to_block(to_properties(block)) == block


@given(entries_of_shards, entries_of_shards)
def test_what_is_stored_are_the_entries_of_the_block_itself_and_not_those_from_which_it_came(
    before: dict[bytes, tuple[Entry, ...]], after: dict[bytes, tuple[Entry, ...]]
) -> None:
    saved = HashBlock().saved_by("run1", "", before)
    for block in (saved.holding(after), saved.saved_by("run2", "", after), saved.distrust(), saved.owned_by("me", 5.0)):
        properties = to_properties(block)
        assert b"".join(bytes(properties[name]) for name in sorted(properties) if name[0] == "b") == pack(block.entries)  # type: ignore[arg-type]


@given(entries_of_shards, st.randoms(use_true_random=False))
def test_equal_contents_have_equal_digests_in_any_order(entries: dict[bytes, tuple[Entry, ...]], chance) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(entries.items())
    chance.shuffle(shuffled)
    assert digest(dict(shuffled)) == digest(entries)


@given(entries_of_shards, keys, st.builds(Entry, hashes, hashes))
def test_any_other_entry_has_another_digest(entries: dict[bytes, tuple[Entry, ...]], row: bytes, entry: Entry) -> None:
    other = {**entries, row: (entry,)}
    assert (digest(other) == digest(entries)) == (other == entries)


@given(entries_of_shards)
def test_the_digest_of_wishes_is_that_of_the_staged_rows_in_any_order(entries: dict[bytes, tuple[Entry, ...]]) -> None:
    records = [INDEX.pack(row, found[0].wish) for row, found in entries.items()]
    assert digest_wishes(entries) == digest_records(reversed(records)) == digest_records([*records, *records])


GUID = "00000000-0000-4000-9000-000000000001"
OTHER = "00000000-0000-4000-9000-000000000002"


@given(keys, st.binary(min_size=1, max_size=64))
def test_a_link_hash_has_63_bits_and_no_mark(row: bytes, salt: bytes) -> None:
    found = hash_link(row, Link(GUID), salt)
    assert 0 <= found < 2**64
    assert is_confirmed([Entry(0, found)])


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        pytest.param(Claim("a"), Claim(" A "), True, id="case and outer blanks do not matter"),
        pytest.param(Claim("a"), Claim("b"), False, id="another customer"),
        pytest.param(Claim("a", GUID), Claim("a", OTHER), False, id="another profile, which the mapping row names"),
        pytest.param(Claim("a", GUID, "x"), Claim("a", GUID, "y"), False, id="another partition"),
    ],
)
def test_a_wish_hash_covers_what_the_mapping_row_asks_for(one: Claim, other: Claim, equal: bool) -> None:
    first, second = (hash_wish(key(1), claim, SALT, names_profile=True) for claim in (one, other))
    assert (first == second) is equal


def test_a_profile_that_is_not_believed_does_not_count() -> None:
    named, plain = Claim("a", GUID, "x"), Claim("a")
    assert hash_wish(key(1), named, SALT, names_profile=False) == hash_wish(key(1), plain, SALT, names_profile=False)


@pytest.mark.parametrize("other", [Link(OTHER), Link(GUID, "p")])
def test_a_link_hash_covers_profile_and_partition(other: Link) -> None:
    assert hash_link(key(1), Link(GUID), SALT) != hash_link(key(1), other, SALT)


def test_the_salt_and_the_row_decide_about_both_hashes() -> None:
    wishes = {
        hash_wish(row, Claim("a"), salt, names_profile=False) for row in (key(1), key(2)) for salt in (b"1", b"2")
    }
    links = {hash_link(row, Link(GUID), salt) for row in (key(1), key(2)) for salt in (b"1", b"2")}
    assert (len(wishes), len(links)) == (4, 4)


def test_the_packed_form_is_32_bytes_an_entry_sorted_by_key_and_hashes() -> None:
    assert pack({key(2): (A,), key(1): (B, A)}) == b"".join(
        row + entry.wish.to_bytes(8) + entry.link.to_bytes(8) for row, entry in [(key(1), A), (key(1), B), (key(2), A)]
    )


def test_bytes_that_are_not_a_whole_number_of_entries_are_refused() -> None:
    with pytest.raises(StateError, match="33 bytes"):
        unpack(bytes(33))


# ---- the header ----


def test_the_header_counts_rows_and_those_that_are_unconfirmed() -> None:
    header = HashBlock().saved_by("run", "", {key(1): (A, open_(B)), key(2): (A,), key(3): (open_(A),)}).header
    assert (header.rows, header.unconfirmed, header.known, header.run) == (3, 2, True, "run")


def test_saving_gives_the_page_back_and_owning_keeps_the_contents() -> None:
    owned = HashBlock().saved_by("run1", "e", {key(1): (A,)}).owned_by("attempt", 9.0)
    assert (owned.header.attempt, owned.header.until, owned.entries) == ("attempt", 9.0, {key(1): (A,)})
    assert owned.saved_by("run2", "", {}).header == Header(
        digest=digest({}), wishes=digest_wishes({}), run="run2", known=True
    )


def test_the_header_alone_is_small_and_comes_back() -> None:
    header = Header("d" * 32, "w" * 32, 4_700, 3, "epoch", "run", "attempt", 1.5, True)
    properties = header_properties(header)
    assert to_header(properties) == header
    assert sum(len(str(value)) for value in properties.values()) < 250


@pytest.mark.parametrize(
    "name", ["digest", "wishes", "rows", "unconfirmed", "epoch", "run", "attempt", "until", "known"]
)
def test_a_header_that_lacks_a_property_is_damaged(name: str) -> None:
    properties = header_properties(Header())
    del properties[name]
    assert to_header(properties) is None


def test_a_header_of_an_earlier_version_does_not_show_what_its_run_linked() -> None:
    properties = header_properties(Header(digest="d", run="run", known=True, linked=3, drift=1))
    del properties["linked"], properties["drift"]
    assert to_header(properties) == Header(digest="d", run="run", known=True)


@pytest.mark.parametrize("format_", [0, 1, 3, "2"])
def test_a_header_of_another_format_is_not_read(format_: int | str) -> None:
    assert to_header({**header_properties(Header()), "format": format_}) is None


def test_other_entries_leave_what_the_run_did_and_who_owns_the_block() -> None:
    block = HashBlock().saved_by("run", "epoch", {}, linked=3, drift=1).owned_by("attempt", 5.0)
    changed = block.holding({bytes(16): (open_(A),)})
    assert changed.header == replace(
        block.header, rows=1, unconfirmed=1, digest=digest(changed.entries), wishes=digest_wishes(changed.entries)
    )


# ---- damage ----


@given(entries_of_shards.filter(bool), st.data())
def test_a_block_with_any_byte_changed_is_unknown(entries: dict[bytes, tuple[Entry, ...]], data: st.DataObject) -> None:
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
        pytest.param({"b00": b"x" * 33}, id="no whole number of entries"),
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


def full(number: int) -> dict[bytes, tuple[Entry, ...]]:
    return {key(n): (A,) for n in range(number)}


def test_the_largest_block_fits_an_entity_and_is_read_again() -> None:
    block = HashBlock().saved_by("r" * 64, "e" * 64, full(MAX_ENTRIES)).owned_by("a" * 64, 1e9)
    properties = to_properties(block)
    check_entity("p" * 200, "r" * 200, properties)
    assert to_block(properties) == block
    assert max(len(value) for value in properties.values() if isinstance(value, bytes)) <= CHUNK_BYTES


def test_one_entry_more_is_refused_before_anything_is_saved() -> None:
    with pytest.raises(BlockTooLargeError, match="28,673 entries"):
        pack(full(MAX_ENTRIES + 1))


# ---- entries of one row ----


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        pytest.param((), A, (open_(A),), id="a new row has the intent alone"),
        pytest.param((A,), B, (A, open_(B)), id="the intent stands beside the old link"),
        pytest.param((A, open_(B)), C, (A, open_(B), open_(C)), id="beside an older intent"),
        pytest.param((A, open_(B)), B, (A, open_(B)), id="intending again changes nothing"),
        pytest.param((A,), A, (A, open_(A)), id="writing the same link again is an intent too"),
    ],
)
def test_intend(before: tuple[Entry, ...], wanted: Entry, after: tuple[Entry, ...]) -> None:
    assert intend(before, wanted) == after


def test_unconfirm_doubts_every_entry() -> None:
    assert unconfirm((A, open_(A), B)) == (open_(A), open_(B))
    assert unconfirm(()) == ()


@pytest.mark.parametrize(("found", "expected"), [((A,), True), ((), True), ((A, open_(B)), False)])
def test_is_confirmed(found: tuple[Entry, ...], expected: bool) -> None:
    assert is_confirmed(found) is expected


@pytest.mark.parametrize(("live", "expected"), [(A.link, True), (B.link, True), (C.link, False)])
def test_a_live_link_is_ours_when_any_entry_names_it(live: int, expected: bool) -> None:
    assert names_link((A, open_(B)), live) is expected


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        HashBlock().header.rows = 1  # type: ignore[misc]
    assert replace(Header(), rows=1) != Header()
