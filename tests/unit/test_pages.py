"""Pages: keys in every spelling, ranges that partition them, cuts that fill them, splits that keep their neighbours."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.model import KeyRange
from linker.pages import DIGITS, SPLIT_ROWS, Overlap, Plan, cut_text, cuts_from_counts, overlap, prefix_range

TEXT = "0123abcd-4567-89ab-cdef-0123456789ab"
KEY = bytes.fromhex(TEXT.replace("-", ""))
uuids = st.uuids().map(str)
prefixes = st.text(DIGITS, max_size=32)


def contains(keys: KeyRange, text: str) -> bool:
    return (keys.lower is None or text >= keys.lower) and (keys.upper is None or text < keys.upper)


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        ("", ""),
        ("0", "0"),
        ("01234567", "01234567"),
        ("012345678", "01234567-8"),
        ("0123456789abc", "01234567-89ab-c"),
        ("0123456789abcdef01234", "01234567-89ab-cdef-0123-4"),
        (KEY.hex(), TEXT),
    ],
)
def test_cut_text(digits: str, text: str) -> None:
    assert cut_text(digits) == text


@given(prefixes, uuids)
def test_a_prefix_range_holds_exactly_the_keys_that_start_with_it(digits: str, text: str) -> None:
    assert contains(prefix_range(digits), text) == text.startswith(cut_text(digits))


@given(st.text(DIGITS, max_size=31), uuids)
def test_the_ranges_of_the_next_digits_partition_a_prefix(digits: str, tail: str) -> None:
    text = cut_text((digits + tail.replace("-", ""))[:32])
    parts = [digit for digit in DIGITS if contains(prefix_range(digits + digit), text)]
    assert parts == [text.replace("-", "")[len(digits)]]


@given(st.text(DIGITS, min_size=32, max_size=32))
def test_the_key_after_a_prefix_of_fs_is_outside(digits: str) -> None:
    assert prefix_range("f" * len(digits)).upper is None


# ---- cuts ----

leaves = st.sets(st.text(DIGITS, min_size=2, max_size=2), max_size=40).map(sorted)
counted = leaves.flatmap(
    lambda ds: st.lists(st.integers(0, 5_000), min_size=len(ds), max_size=len(ds)).map(
        lambda n: list(zip(ds, n, strict=True))
    )
)


def spread(found: list[tuple[str, int]]) -> list[tuple[str, float]]:
    """Each leaf's rows, evenly over its next digit."""
    return [(digits + digit, rows / 16) for digits, rows in found for digit in DIGITS]


@given(counted, st.integers(1, 6_000))
def test_cuts_ascend_and_respect_the_size_if_rows_are_spread_evenly(found: list[tuple[str, int]], most: int) -> None:
    cuts = cuts_from_counts(found, most)
    assert list(cuts) == sorted(set(cuts))
    pages = [0.0] * (len(cuts) + 1)
    parts = [0] * (len(cuts) + 1)
    for digits, rows in spread(found):
        page = sum(cut <= cut_text(digits) for cut in cuts)
        pages[page] += rows
        parts[page] += rows > 0
    assert sum(pages) == sum(rows for _, rows in found)
    assert all(rows <= most or parts[page] == 1 for page, rows in enumerate(pages))


@given(counted)
def test_a_page_that_is_not_the_last_is_nearly_full(found: list[tuple[str, int]]) -> None:
    """Pages are cut at sixteenths of leaves, so at most one such part is missing (5,000 / 16 rows)."""
    cuts = cuts_from_counts(found, 4_700)
    pages = [0.0] * (len(cuts) + 1)
    for digits, rows in spread(found):
        pages[sum(cut <= cut_text(digits) for cut in cuts)] += rows
    assert all(rows > 4_700 - 5_000 / 16 for rows in pages[:-1])


@given(counted)
def test_even_where_rows_are_not_spread_evenly_two_requests_serve_a_page(found: list[tuple[str, int]]) -> None:
    cuts = cuts_from_counts(found, 4_700)
    pages = [0] * (len(cuts) + 1)
    for digits, rows in found:
        pages[sum(cut <= cut_text(digits + "0") for cut in cuts)] += rows  # all of a leaf at its lower end
    assert max(pages) <= SPLIT_ROWS


def test_an_empty_table_is_one_page() -> None:
    assert cuts_from_counts([("", 0)]) == ()
    assert cuts_from_counts([]) == ()


# ---- plans ----

plans = st.sets(st.uuids().map(str), max_size=8).map(lambda cuts: Plan("v1", tuple(sorted(cuts))))


@given(plans, st.one_of(uuids, st.text(max_size=10)))
def test_every_key_text_is_in_exactly_one_page(plan: Plan, text: str) -> None:
    assert sum(contains(plan.range(page), text) for page in range(plan.pages)) == 1


@given(plans, st.uuids())
def test_page_of_agrees_with_the_ranges(plan: Plan, key: UUID) -> None:
    assert contains(plan.range(plan.page_of(key.bytes)), str(key))


@given(plans)
def test_pages_have_names_of_their_own(plan: Plan) -> None:
    assert len({plan.name(page) for page in range(plan.pages)}) == plan.pages


def test_a_plan_without_cuts_is_one_open_page() -> None:
    assert (Plan("v1").pages, Plan("v1").range(0)) == (1, KeyRange())


def test_a_split_renames_the_pages_it_makes_and_no_other() -> None:
    plan = Plan("v1", ("4", "8"))
    split = plan.split("v2", {1: ("5", "6")})
    assert split.cuts == ("4", "5", "6", "8")
    assert [split.name(page) for page in range(split.pages)] == ["v1_0", "v2_4", "v2_5", "v2_6", "v1_8"]
    assert split.within(plan.range(1)) == (1, 4)
    again = split.split("v3", {0: ("1",)})
    assert [again.name(page) for page in range(again.pages)] == ["v3_0", "v3_1", "v2_4", "v2_5", "v2_6", "v1_8"]


@given(plans, st.data())
def test_a_split_keeps_every_key_in_its_old_range(plan: Plan, data: st.DataObject) -> None:
    page = data.draw(st.integers(0, plan.pages - 1))
    inside = [
        cut
        for cut in data.draw(st.lists(uuids, max_size=4))
        if contains(plan.range(page), cut) and cut != plan.range(page).lower
    ]
    split = plan.split("v2", {page: sorted(set(inside))})
    first, end = split.within(plan.range(page))
    assert end - first == len(set(inside)) + 1
    key = data.draw(st.uuids())
    assert (plan.page_of(key.bytes) == page) == (first <= split.page_of(key.bytes) < end)
    unchanged = {plan.name(n) for n in range(plan.pages)} & {split.name(n) for n in range(split.pages)}
    assert len(unchanged) == plan.pages - bool(inside)


@given(st.text(DIGITS, max_size=4), st.lists(st.text(DIGITS, min_size=1, max_size=4), max_size=2, unique=True), uuids)
def test_overlap_says_where_a_prefix_lies(digits: str, ends: list[str], text: str) -> None:
    bounds = sorted(cut_text(end) for end in ends)
    keys = KeyRange(bounds[0] if bounds else None, bounds[1] if len(bounds) > 1 else None)
    place = overlap(keys, digits)
    inside, mine = contains(keys, text), contains(prefix_range(digits), text)
    if place is Overlap.OUTSIDE:
        assert not (inside and mine)
    if place is Overlap.INSIDE:
        assert inside or not mine
