"""Claims: one per source row, the same one whatever the order and the repetition of the mapping rows."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.linking.shards import MAX_CUSTOMER, Claim, ClaimRow, Wanted, decide_claims, fold_customer, is_customer

K1, K2 = b"1" * 16, b"2" * 16
P1, P2 = "00000001-0000-4000-9000-000000000000", "00000002-0000-4000-9000-000000000000"


def row(key: bytes, stored: str, profile: str = "", partition: str = "") -> ClaimRow:
    return ClaimRow(key, Claim(stored, profile, partition), "", b"")


def bad(text: str, identity: bytes) -> ClaimRow:
    return ClaimRow(None, Claim(""), text, identity)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], Wanted(), id="nothing"),
        pytest.param([row(K1, "a"), row(K2, "b")], Wanted({K1: Claim("a"), K2: Claim("b")}), id="two rows"),
        pytest.param([row(K1, "a"), row(K1, "a")], Wanted({K1: Claim("a")}), id="the same twice"),
        pytest.param([row(K1, "A"), row(K1, "a")], Wanted({K1: Claim("A")}), id="one customer in two spellings"),
        pytest.param([row(K1, " a"), row(K1, "b")], Wanted({K1: Claim(" a")}, (), frozenset({K1})), id="blanks"),
        pytest.param([row(K1, "b"), row(K1, "a")], Wanted({K1: Claim("a")}, (), frozenset({K1})), id="the lowest wins"),
        pytest.param(
            [row(K1, "B"), row(K1, "a")], Wanted({K1: Claim("a")}, (), frozenset({K1})), id="regardless of case"
        ),
        pytest.param(
            [row(K1, "c"), row(K1, "a"), row(K1, "b")], Wanted({K1: Claim("a")}, (), frozenset({K1})), id="three claims"
        ),
        pytest.param([row(K1, "a"), row(K1, "a", P2)], Wanted({K1: Claim("a", P2)}), id="one names the profile"),
        pytest.param(
            [row(K1, "a", P2), row(K1, "a", P1)], Wanted({K1: Claim("a", P1)}), id="two profiles of one customer"
        ),
        pytest.param(
            [row(K1, "a", P1, "eu"), row(K1, "a", P1)], Wanted({K1: Claim("a", P1)}), id="two partitions of one profile"
        ),
        pytest.param(
            [row(K1, "a"), row(K1, "b", P1)], Wanted({K1: Claim("a")}, (), frozenset({K1})), id="customers come first"
        ),
        pytest.param([bad("x", b"i"), row(K1, "a")], Wanted({K1: Claim("a")}, ("x",)), id="no key"),
        pytest.param([bad("x", b"i"), bad("x", b"i")], Wanted({}, ("x",)), id="a row that paging returned twice"),
        pytest.param([bad("x", b"i"), bad("x", b"j")], Wanted({}, ("x", "x")), id="two rows with the same text"),
    ],
)
def test_claims_are_decided_alike_in_any_order(rows: list[ClaimRow], expected: Wanted) -> None:
    for order in permutations(rows):
        assert decide_claims(order) == expected


texts = st.sampled_from(["a", "A", " a", "b", "c"])
claims = st.builds(row, st.sampled_from([K1, K2]), texts, st.sampled_from(["", P1, P2]), st.sampled_from(["", "eu"]))
invalid = st.builds(bad, st.sampled_from(["x", "y"]), st.sampled_from([b"i", b"j"]))


@given(st.lists(claims | invalid, max_size=8).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_neither_order_nor_repetition_changes_what_is_wanted(found: tuple[list[ClaimRow], list[ClaimRow]]) -> None:
    rows, order = found
    first = decide_claims(rows)
    again = decide_claims([*order, *rows])
    assert (first.claims, first.conflicts, len(first.invalid)) == (again.claims, again.conflicts, len(again.invalid))
    for key, claim in first.claims.items():
        customers = {one.claim.customer for one in rows if one.key == key}
        assert claim.customer == min(customers)
        assert (key in first.conflicts) == (len(customers) > 1)
    assert first.rows == len({one.key for one in rows if one.key}) + len({one.identity for one in rows if not one.key})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("c1", True),
        (" c1 ", True),
        ("c" * MAX_CUSTOMER, True),
        ("c" * (MAX_CUSTOMER + 1), False),
        ("c" + " " * 1_000, False),
        ("", False),
        (" \n", False),
        (None, False),
        (5, False),
        ("c1\udfff", False),
    ],
)
def test_what_can_be_a_customer(found: object, expected: bool) -> None:
    assert is_customer(found) is expected


def test_customers_are_compared_without_outer_blanks_and_regardless_of_case() -> None:
    assert fold_customer(" Ab\t") == Claim("aB").customer == "ab"
