"""Which rows of a shard are unchanged, compared, changed or unclaimed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.linking.hash_blocks import UNCONFIRMED, Entry, HashBlock, ShardPlan, diff_shard
from linker.core.linking.shards import Claim, hash_wish

SALT = b"salt"
K1, K2, K3 = (bytes([n]) * 16 for n in (1, 2, 3))


def h(key: bytes, customer: str) -> Entry:
    """Return the confirmed entry of a row."""
    return Entry(hash_wish(key, Claim(customer), SALT, names_profile=False), 2 * ord(customer))


def doubtful(key: bytes, customer: str) -> Entry:
    entry = h(key, customer)
    return Entry(entry.wish, entry.link | UNCONFIRMED)


def block(entries: dict[bytes, tuple[Entry, ...]]) -> HashBlock:
    return HashBlock().saved_by("run", "", entries)


def plan(unchanged=(), compare=(), change=(), unclaimed=()) -> ShardPlan:  # type: ignore[no-untyped-def]
    claimed = [{key: Claim(customer) for key, customer in dict(part).items()} for part in (compare, change)]
    return ShardPlan(frozenset(unchanged), *claimed, tuple(unclaimed))


def diffed(wanted: dict[bytes, str], stored: HashBlock, **options: bool) -> ShardPlan:
    claims = {key: Claim(customer) for key, customer in wanted.items()}
    wishes = {key: h(key, customer).wish for key, customer in wanted.items()}
    return diff_shard(claims, wishes, stored, **options)


@pytest.mark.parametrize(
    ("wanted", "stored", "expected"),
    [
        pytest.param({K1: "a"}, {}, plan(compare={K1: "a"}), id="new row -> compare: it may have the right link"),
        pytest.param({K1: "a"}, {K1: (h(K1, "a"),)}, plan(unchanged=[K1]), id="same customer -> unchanged"),
        pytest.param({K1: "b"}, {K1: (h(K1, "a"),)}, plan(compare={K1: "b"}), id="other customer -> compare"),
        pytest.param({K1: "a"}, {K1: (doubtful(K1, "a"),)}, plan(compare={K1: "a"}), id="unconfirmed -> compare"),
        pytest.param(
            {K1: "b"}, {K1: (doubtful(K1, "a"),)}, plan(compare={K1: "b"}), id="unconfirmed and other -> compare"
        ),
        pytest.param(
            {K1: "a"}, {K1: (h(K1, "a"), doubtful(K1, "b"))}, plan(compare={K1: "a"}), id="an open intent -> compare"
        ),
        pytest.param({}, {K1: (h(K1, "a"),)}, plan(unclaimed=[K1]), id="left the mapping -> unclaimed"),
        pytest.param(
            {}, {K1: (doubtful(K1, "a"),)}, plan(unclaimed=[K1]), id="left the mapping unconfirmed -> unclaimed"
        ),
        pytest.param({}, {}, plan(), id="nothing -> nothing"),
        pytest.param(
            {K2: "a"},
            {K3: (h(K3, "b"),), K1: (h(K1, "a"),)},
            plan(compare={K2: "a"}, unclaimed=[K1, K3]),
            id="unclaimed in order",
        ),
    ],
)
def test_diff_shard(wanted: dict[bytes, str], stored: dict[bytes, tuple[Entry, ...]], expected: ShardPlan) -> None:
    assert diffed(wanted, block(stored)) == expected


def test_a_block_that_is_not_known_compares_every_row() -> None:
    assert diffed({K1: "a", K2: "b"}, HashBlock()) == plan(compare={K1: "a", K2: "b"})


def test_a_full_run_compares_every_row_the_confirmed_ones_too() -> None:
    assert diffed({K1: "a", K2: "b"}, block({K1: (h(K1, "a"),)}), all_live=True) == plan(compare={K1: "a", K2: "b"})


def test_rows_of_a_column_that_is_new_are_written_without_a_look() -> None:
    assert diffed({K1: "a"}, HashBlock(), all_live=True, links_empty=True) == plan(change={K1: "a"})


rows = st.binary(min_size=1, max_size=1).map(lambda byte: byte * 16)
customers = st.sampled_from("abc")
kinds = st.sampled_from(["a", "b", "open a", "a and open b"])
shards = st.tuples(st.dictionaries(rows, customers, max_size=9), st.dictionaries(rows, kinds, max_size=9))


def stored_row(key: bytes, kind: str) -> tuple[Entry, ...]:
    entries = {"a": (h(key, "a"),), "b": (h(key, "b"),), "open a": (doubtful(key, "a"),)}
    return entries.get(kind, (h(key, "a"), doubtful(key, "b")))


@given(shards, st.booleans(), st.booleans(), st.booleans())
def test_every_claimed_row_is_in_exactly_one_class_and_every_other_one_unclaimed(
    shard: tuple[dict[bytes, str], dict[bytes, str]], known: bool, all_live: bool, links_empty: bool
) -> None:
    wanted, stored = shard[0], {key: stored_row(key, kind) for key, kind in shard[1].items()}
    found = diffed(wanted, block(stored) if known else HashBlock(), all_live=all_live, links_empty=links_empty)
    assert sorted([*found.unchanged, *found.compare, *found.change]) == sorted(wanted)
    assert {key: claim.stored for key, claim in {**found.compare, **found.change}.items()}.items() <= wanted.items()
    assert list(found.unclaimed) == sorted((stored.keys() if known else set()) - wanted.keys())


@given(st.dictionaries(rows, customers, max_size=9))
def test_a_shard_that_was_saved_as_wanted_has_nothing_to_do(wanted: dict[bytes, str]) -> None:
    saved = block({key: (h(key, customer),) for key, customer in wanted.items()})
    assert diffed(wanted, saved) == plan(unchanged=wanted)
