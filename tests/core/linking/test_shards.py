"""Shards: every key is in exactly one, whatever their number, and splitting keeps each key where it belongs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.linking.shards import (
    MAX_BITS,
    SHARD_ROWS,
    Shard,
    all_shards,
    bits_for,
    group_by_shard,
    place_key,
    shard_of,
)

KEYS = st.binary(min_size=16, max_size=16)
BITS = st.integers(0, MAX_BITS)


@given(KEYS, st.integers(0, 6))
def test_every_key_is_in_exactly_one_shard(key: bytes, bits: int) -> None:
    assert [shard for shard in all_shards(bits) if shard.holds(key)] == [shard_of(key, bits)]


@given(KEYS, BITS, BITS)
def test_a_shard_of_fewer_bits_holds_what_its_parts_hold(key: bytes, one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    assert shard_of(key, more).at(fewer) == shard_of(key, fewer)


@given(st.sets(KEYS, max_size=60), st.integers(0, 8))
def test_splitting_a_shard_in_two_keeps_each_of_its_keys_once(keys: set[bytes], bits: int) -> None:
    before, after = group_by_shard(keys, bits), group_by_shard(keys, bits + 1)
    for shard, rows in before.items():
        parts = [after.get(Shard(bits + 1, 2 * shard.number + half), set()) for half in (0, 1)]
        assert parts[0] | parts[1] == rows
        assert not parts[0] & parts[1]
    assert set().union(*after.values()) == keys


@given(BITS, BITS, st.integers(0, 2**MAX_BITS - 1))
def test_the_buckets_of_a_shard_hold_its_keys_and_only_coarser_ones_hold_others(
    bits: int, bucket_bits: int, number: int
) -> None:
    shard = Shard(bits, number >> (MAX_BITS - bits))
    buckets = shard.buckets(bucket_bits)
    assert len(buckets) == 1 << max(0, bucket_bits - bits)
    for bucket in {buckets[0], buckets[-1]}:
        one = Shard(bucket_bits, bucket)
        common = min(bits, bucket_bits)
        assert one.at(common) == shard.at(common)


@given(st.sets(KEYS, min_size=1, max_size=40), st.integers(0, 8))
def test_groups_come_in_order_and_name_the_shards_of_their_keys(keys: set[bytes], bits: int) -> None:
    groups = group_by_shard(keys, bits)
    numbers = [shard.number for shard in groups]
    assert numbers == sorted(numbers)
    assert all(shard.holds(key) for shard, rows in groups.items() for key in rows)


@pytest.mark.parametrize(
    ("rows", "bits"),
    [
        (0, 0),
        (1, 0),
        (SHARD_ROWS, 0),
        (SHARD_ROWS + 1, 1),
        (2 * SHARD_ROWS, 1),
        (2 * SHARD_ROWS + 1, 2),
        (10_000_000, 12),
        (10**12, MAX_BITS),
    ],
)
def test_there_are_as_many_shards_as_rows_need_and_no_more_than_a_name_holds(rows: int, bits: int) -> None:
    assert bits_for(rows) == bits


def test_names_of_shards_differ_for_each_size_and_sort_as_their_numbers() -> None:
    names = [shard.name for bits in range(6) for shard in all_shards(bits)]
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_where_a_key_lies_is_the_same_in_every_version() -> None:
    """Stored blocks are found by it: another answer would lose them all."""
    assert [place_key(bytes([number]) * 16) >> 20 for number in range(4)] == [3556, 2424, 1672, 673]


def test_keys_that_differ_in_one_digit_are_spread_evenly() -> None:
    keys = [f"{number:032x}" for number in range(16_000)]
    sizes = [len(rows) for rows in group_by_shard(map(bytes.fromhex, keys), 4).values()]
    assert (len(sizes), sum(sizes)) == (16, 16_000)
    assert max(sizes) < 1_150
