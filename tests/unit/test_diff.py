"""Which rows of a page are unchanged, compared, changed or departed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.blocks import UNCONFIRMED, HashBlock, row_hash, wanted_entries
from linker.core.diff import PagePlan, diff_page

SALT = b"salt"
K1, K2, K3 = (bytes([n]) * 16 for n in (1, 2, 3))


def h(customer: str) -> int:
    return row_hash(customer, SALT)


def doubtful(customer: str) -> int:
    return h(customer) | UNCONFIRMED


def block(entries: dict[bytes, tuple[int, ...]]) -> HashBlock:
    return HashBlock().saved_by("run", "", entries)


def plan(unchanged=(), compare=(), change=(), departed=()) -> PagePlan:  # type: ignore[no-untyped-def]
    return PagePlan(frozenset(unchanged), dict(compare), dict(change), tuple(departed))


def diffed(wanted: dict[bytes, str], stored: HashBlock, **options: bool) -> PagePlan:
    return diff_page(wanted, wanted_entries(wanted, SALT), stored, **options)


@pytest.mark.parametrize(
    ("wanted", "stored", "expected"),
    [
        pytest.param({K1: "a"}, {}, plan(change={K1: "a"}), id="new row -> change"),
        pytest.param({K1: "a"}, {K1: (h("a"),)}, plan(unchanged=[K1]), id="same customer -> unchanged"),
        pytest.param({K1: "b"}, {K1: (h("a"),)}, plan(change={K1: "b"}), id="other customer -> change"),
        pytest.param({K1: "a"}, {K1: (doubtful("a"),)}, plan(compare={K1: "a"}), id="unconfirmed -> compare"),
        pytest.param({K1: "b"}, {K1: (doubtful("a"),)}, plan(compare={K1: "b"}), id="unconfirmed and other -> compare"),
        pytest.param({K1: "a"}, {K1: (h("a"), doubtful("b"))}, plan(compare={K1: "a"}), id="an open intent -> compare"),
        pytest.param({}, {K1: (h("a"),)}, plan(departed=[K1]), id="left the mapping -> departed"),
        pytest.param({}, {K1: (doubtful("a"),)}, plan(departed=[K1]), id="left the mapping unconfirmed -> departed"),
        pytest.param({}, {}, plan(), id="nothing -> nothing"),
        pytest.param(
            {K2: "a"}, {K3: (h("b"),), K1: (h("a"),)}, plan(change={K2: "a"}, departed=[K1, K3]), id="departed in order"
        ),
    ],
)
def test_diff_page(wanted: dict[bytes, str], stored: dict[bytes, tuple[int, ...]], expected: PagePlan) -> None:
    assert diffed(wanted, block(stored)) == expected


def test_a_block_that_is_not_known_compares_every_row() -> None:
    assert diffed({K1: "a", K2: "b"}, HashBlock()) == plan(compare={K1: "a", K2: "b"})


def test_a_full_run_compares_every_row_the_confirmed_ones_too() -> None:
    assert diffed({K1: "a", K2: "b"}, block({K1: (h("a"),)}), all_live=True) == plan(compare={K1: "a", K2: "b"})


def test_rows_of_a_column_that_is_new_are_written_without_a_look() -> None:
    assert diffed({K1: "a"}, HashBlock(), all_live=True, links_empty=True) == plan(change={K1: "a"})


rows = st.binary(min_size=1, max_size=1).map(lambda byte: byte * 16)
customers = st.sampled_from("abc")
stored_hashes = st.sampled_from([(h("a"),), (h("b"),), (doubtful("a"),), (h("a"), doubtful("b"))])
pages = st.tuples(st.dictionaries(rows, customers, max_size=9), st.dictionaries(rows, stored_hashes, max_size=9))


@given(pages, st.booleans(), st.booleans(), st.booleans())
def test_every_wanted_row_is_in_exactly_one_class_and_every_other_one_departed(
    page: tuple[dict[bytes, str], dict[bytes, tuple[int, ...]]], known: bool, all_live: bool, links_empty: bool
) -> None:
    wanted, stored = page
    found = diffed(wanted, block(stored) if known else HashBlock(), all_live=all_live, links_empty=links_empty)
    assert sorted([*found.unchanged, *found.compare, *found.change]) == sorted(wanted)
    assert {**found.compare, **found.change}.items() <= wanted.items()
    assert list(found.departed) == sorted((stored.keys() if known else set()) - wanted.keys())


@given(st.dictionaries(rows, customers, max_size=9))
def test_a_page_that_was_saved_as_wanted_has_nothing_to_do(wanted: dict[bytes, str]) -> None:
    saved = block(wanted_entries(wanted, SALT))
    assert diffed(wanted, saved) == plan(unchanged=wanted)
