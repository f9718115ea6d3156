"""Segments: what was staged comes back, in whatever slices, order and repetition; damage is noticed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker.adapters.storage.table_guards import check_entity
from linker.core.errors import StateError
from linker.core.linking.hash_blocks import Entry, digest_records, digest_wishes
from linker.core.linking.segments import CHUNK_BYTES, INDEX, MAX_ENTITY_BYTES, Segment, SliceSegments
from linker.core.linking.shards import Claim, ClaimRow, Shard, place_key

GUID = "00000001-0002-4003-8004-0a0b0c0d0e0f"
texts = st.text(st.characters(codec="utf-8"), max_size=20)
customers = texts.filter(bool) | st.uuids().map(str) | st.uuids().map(lambda one: one.hex) | st.just(GUID.upper())
claims = st.builds(Claim, customers, st.just("") | st.uuids().map(str), texts)
keys = st.binary(min_size=16, max_size=16)
wishes = st.integers(0, 2**64 - 1)
valid = st.tuples(st.builds(ClaimRow, keys, claims, st.just(""), st.just(b"")), wishes)
invalid = st.tuples(st.builds(ClaimRow, st.none(), st.just(Claim("")), texts, keys), st.just(0))
rows = st.lists(valid | invalid, max_size=12)


def staged(found: list[tuple[ClaimRow, int]], bits: int) -> list[tuple[int, Segment]]:
    segments = SliceSegments(bits)
    for row, wish in found:
        segments.add(row, wish)
    assert segments.rows == len(found)
    return [(bucket, Segment.read(bits, properties)) for bucket, _, properties in segments]


def by_all(row: tuple[ClaimRow, int]) -> str:
    return repr(row)


@given(rows, st.integers(0, 8))
def test_every_row_comes_back_as_it_was_in_the_bucket_of_its_key(found: list[tuple[ClaimRow, int]], bits: int) -> None:
    stored = staged(found, bits)
    assert sorted((row for _, segment in stored for row in segment.rows()), key=by_all) == sorted(found, key=by_all)
    for bucket, segment in stored:
        for row, _ in segment.rows():
            assert Shard(bits, bucket).holds(row.identity if row.key is None else row.key)


@given(
    st.lists(st.tuples(keys, wishes), max_size=10).flatmap(lambda one: st.tuples(st.just(one), st.permutations(one)))
)
def test_order_and_repetition_do_not_change_the_digest(
    found: tuple[list[tuple[bytes, int]], list[tuple[bytes, int]]],
) -> None:
    one, other = ([INDEX.pack(*row) for row in rows] for rows in found)
    assert digest_records(one) == digest_records(other + one)


@given(st.dictionaries(keys, wishes, max_size=8), st.dictionaries(keys, wishes, max_size=8))
def test_other_rows_have_another_digest_and_a_block_has_that_of_its_rows(
    one: dict[bytes, int], other: dict[bytes, int]
) -> None:
    digests = [digest_records(INDEX.pack(*row) for row in rows.items()) for rows in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)
    assert digests[0] == digest_wishes({key: (Entry(wish, 2),) for key, wish in one.items()})


@given(rows.filter(bool), st.data())
def test_a_segment_of_which_a_part_is_missing_is_damaged(
    found: list[tuple[ClaimRow, int]], data: st.DataObject
) -> None:
    """Index and claims have to fit together. Rows without a key stand alone, so only a cut inside a row is noticed."""
    ((_, segment),) = staged(found, 0)
    parts = {"index": segment.index, "claims": segment.claims, "invalid": segment.invalid}
    name = data.draw(st.sampled_from([name for name, part in parts.items() if part]))
    cut = data.draw(st.integers(1, len(parts[name])))
    parts[name] = parts[name][:-cut]
    try:
        read = list(Segment(0, **parts).rows())
    except StateError:
        return
    assert name == "invalid"
    assert len(read) < len(found)


def test_a_row_without_a_key_that_is_cut_off_at_any_byte_is_damaged() -> None:
    ((_, segment),) = staged([(ClaimRow(None, Claim(""), "no key", bytes(range(16))), 0)], 0)
    for length in range(1, len(segment.invalid)):
        with pytest.raises(StateError):
            list(Segment(0, b"", b"", segment.invalid[:length]).rows())


def test_a_damaged_segment_says_what_happens_next() -> None:
    ((_, segment),) = staged([(ClaimRow(bytes(16), Claim("c1"), "", b""), 1)], 0)
    with pytest.raises(StateError, match="Nothing was written; the next run scans the table again"):
        list(Segment(0, segment.index, b"", b"").rows())


@given(rows, st.integers(0, 8), st.integers(0, 8))
def test_a_slice_sorted_into_larger_buckets_has_the_same_rows_in_the_buckets_of_their_keys(
    found: list[tuple[ClaimRow, int]], fine: int, bits: int
) -> None:
    segments = SliceSegments(fine)
    for row, wish in found:
        segments.add(row, wish)
    segments.coarsen(bits)
    assert (segments.bits, segments.rows) == (min(fine, bits), len(found))
    coarse = [(bucket, Segment.read(segments.bits, properties)) for bucket, _, properties in segments]
    expected = {bucket: sorted(segment.rows(), key=by_all) for bucket, segment in staged(found, segments.bits)}
    assert {bucket: sorted(segment.rows(), key=by_all) for bucket, segment in coarse} == expected


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 40_000), st.integers(0, 3))
def test_entities_keep_the_limits_of_table_storage_and_lose_nothing(number: int, bits: int) -> None:
    segments = SliceSegments(5)
    for at in range(number):
        row = ClaimRow(at.to_bytes(16), Claim(f"{at:0100}", GUID, "p" * 50), "", b"")
        segments.add(row, at)
    segments.coarsen(bits)
    stored = list(segments)
    assert len({(bucket, part) for bucket, part, _ in stored}) == len(stored)
    for _, part, properties in stored:
        check_entity("p", f"{part}", properties)
        assert all(len(value) <= CHUNK_BYTES for value in properties.values() if isinstance(value, bytes))
        assert sum(len(value) for value in properties.values() if isinstance(value, bytes)) <= MAX_ENTITY_BYTES
    read = [row.key for _, _, properties in stored for row, _ in Segment.read(bits, properties).rows()]
    assert sorted(key for key in read if key) == [at.to_bytes(16) for at in range(number)]


def test_a_slice_that_overflows_one_entity_gives_several_parts_of_one_bucket() -> None:
    segments = SliceSegments(0)
    for at in range(20_000):
        segments.add(ClaimRow(at.to_bytes(16), Claim(f"{at:0100}"), "", b""), at)
    assert [(bucket, part) for bucket, part, _ in segments] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]


def test_a_usual_row_takes_24_bytes_of_index_and_17_of_claim() -> None:
    ((_, segment),) = staged([(ClaimRow(bytes(16), Claim("0a" * 16), "", b""), 1)], 0)
    assert (len(segment.index), len(segment.claims)) == (24, 17)
    assert place_key(bytes(16)) == place_key(bytes(16))
